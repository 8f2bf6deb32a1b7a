"""Run a Jupyter notebook as an operations runbook, and keep a record of what was done."""

__version__ = "0.1.0"
