"""The command line: Typer declarations, completion, and exit codes."""
