"""Turn whatever a forged record makes fail into an error in words."""

from collections.abc import Iterator
from contextlib import contextmanager

from nbrun.errors import BrokenRecordError

# What folding, describing or drawing an event raises that nbrun cannot have written: a step that
# does not exist, a text where a number should be, a number that no clock has.
_FAULTS = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Report a failure while the record called `name` is read or shown as one of the record.

    A record is data that anybody may have made: each line can be well formed and chained, and still
    say what can't be. The cause stays attached, in case that it is a defect of nbrun.

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
