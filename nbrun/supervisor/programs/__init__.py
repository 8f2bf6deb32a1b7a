"""The socket's other end for programs: read where a run stands, and send a decision."""
