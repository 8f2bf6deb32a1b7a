"""What stops a measurement."""


class BenchmarkError(Exception):
    """It can't be told what was measured: a run failed, or lost something. The message says what
    and where."""
