"""The error that stops a measurement."""


class BenchmarkError(Exception):
    """A run failed or lost output, so its measurement is void. The message says what and where."""
