"""The error of a case."""


class CaseFailedError(Exception):
    """A promise does not hold with a kernel. The message says what was found instead."""
