"""The decisions that are possible in a state of a run: who may make them, and their needs."""
