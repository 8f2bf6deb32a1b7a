"""The process that owns a run, its socket, and the consoles that connect to it."""
