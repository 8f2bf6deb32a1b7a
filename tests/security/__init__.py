"""Attacks on nbrun by whoever can write a record, a folder or a settings file."""
