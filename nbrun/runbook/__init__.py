"""Notebooks as runbooks: load, validate, lint, and read each step's contract."""
