"""Commands that start or control a run."""
