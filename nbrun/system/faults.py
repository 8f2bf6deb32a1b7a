"""Errors of the operating system as errors of nbrun: a deleted folder, a name without encoding."""

import os

from nbrun.errors import NbrunError, UsageError

_LONGEST = 80  # characters of a name in a message


def as_error(fault: OSError | UnicodeEncodeError) -> NbrunError:
    """Return the error to report for a `fault` that nobody has handled."""
    if isinstance(fault, UnicodeEncodeError):
        name = fault.object[:_LONGEST].encode("utf-8", "replace").decode()
        return NbrunError(f"{name}: can't be encoded in this locale: set LC_ALL=C.UTF-8")
    if isinstance(fault, FileNotFoundError) and not _has_working_folder():
        return UsageError("the working folder was deleted: change to another one (cd)")
    where = f"{os.fsdecode(fault.filename)}: " if isinstance(fault.filename, str | bytes) else ""
    return NbrunError(f"{where}{fault.strerror or fault}")


def _has_working_folder() -> bool:
    try:
        os.getcwd()  # noqa: PTH109
    except FileNotFoundError:
        return False
    return True


def root_cause(error: BaseException) -> BaseException:
    """Return the system's error below those of libraries, which are long and name addresses."""
    while error.__context__ is not None:
        error = error.__context__
    return error
