"""Tell people and programs elsewhere that a run waits or has ended: hooks and chat services."""
