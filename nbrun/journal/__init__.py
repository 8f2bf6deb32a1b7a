"""The record on disk: one writer, many readers, recovery and the runs folder."""
