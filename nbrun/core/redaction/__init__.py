"""Removing secrets from all that leaves a run: what is looked for, and in which forms."""
