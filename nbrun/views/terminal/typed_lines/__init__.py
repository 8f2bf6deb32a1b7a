"""Lines that a person types at a terminal."""
