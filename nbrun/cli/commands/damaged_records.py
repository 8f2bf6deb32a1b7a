"""Report failures that a forged record causes as errors of the record."""

from collections.abc import Iterator
from contextlib import contextmanager

from nbrun.errors import BrokenRecordError

# Exceptions that folding, describing or drawing an impossible event raises: a step that does not
# exist, a text where a number should be, a number that no clock has.
_FAULTS = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Report as an error of the record `name` what fails while it is read or shown.

    A record is data that anybody may have made: each line can be well formed and chained, and still
    say what can't be. The cause stays attached, in case it is a defect of nbrun.

    Raises:
        BrokenRecordError: the record says what can't be.
    """
    try:
        yield
    except (*_FAULTS, RecursionError) as error:
        cause = f"{type(error).__name__}: {error}"
        raise BrokenRecordError(
            f"{name}: the record can't be shown: it is not as nbrun writes it ({cause:.200}). "
            "nbrun verify says at which line"
        ) from error
