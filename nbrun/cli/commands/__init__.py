"""The commands. Each wires the other packages together and returns an exit code."""
