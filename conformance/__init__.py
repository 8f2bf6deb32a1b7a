"""Run one suite of small notebooks on each installed kernel: `python -m conformance --help`."""
