"""The operating system: processes, files, other users, and the peer of a socket."""
