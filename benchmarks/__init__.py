"""Measure nbrun against other programs that run notebooks: `python -m benchmarks --help`."""
