"""How long nbrun takes for what, beside what else runs notebooks: `python -m benchmarks --help`."""
