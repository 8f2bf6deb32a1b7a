"""One file a command: wire the pieces, call them, return an exit code."""
