"""nbrun within other tools, and other tools within nbrun."""
