"""Summarize a run from the first and the last line of its journal, for lists of runs."""

from pathlib import Path
from typing import Any

import msgspec

from nbrun.core.events import RunOutcome
from nbrun.errors import DamagedJournalError
from nbrun.journal.codec import DECODE_ERRORS
from nbrun.journal.first_last import open_ends

_HEAD = 160  # bytes at the start of a line, which name its event
_OUTPUT = b'"event":"output'
_LATE = b'"late":true'
_ENDS_RUN = b'"event":"run.finished"'


class _OperatorName(msgspec.Struct):
    name: str


class RunStart(msgspec.Struct, tag_field="event", tag="run.started"):
    """Fields of the first line. `at` is a time in RFC 3339, `runbook` a path."""

    at: str
    runbook: str
    parameters: dict[str, Any]
    operator: _OperatorName


class RunEnd(msgspec.Struct, tag_field="event", tag="run.finished"):
    """Fields of the last line of a run that has ended. `duration` is in seconds."""

    outcome: RunOutcome
    off_script: bool
    duration: float


_run_starts = msgspec.json.Decoder(RunStart)
_run_ends = msgspec.json.Decoder(RunEnd)


def read_start_and_end(path: Path) -> tuple[RunStart | None, RunEnd | None]:
    """Read how a run began, or None if it never did, and how it ended, or None if it did not.

    Raises:
        DamagedJournalError: the first line does not begin a run, or the last is damaged.
        OSError: the file can't be read.
    """
    with open_ends(path) as ends:
        first, last = ends.first_line(), ends.last_line()
    try:
        start = None if first is None else _run_starts.decode(first)
        has_ended = last is not None and _ENDS_RUN in last[:_HEAD]
        return start, _run_ends.decode(last) if has_ended and last is not None else None
    except DECODE_ERRORS as error:
        raise _damage(path, error) from error


def ends_with_output(path: Path) -> bool:
    """Return True if the last line is an output of an attempt that has not ended.

    Such a run does not wait, and its journal may be long. Raises OSError.
    """
    with open_ends(path) as ends:
        last = ends.last_line() or b""
    return _OUTPUT in last[:_HEAD] and _LATE not in last


def read_start(path: Path) -> RunStart | None:
    """Read how a run began, or None if it never did. Raises as `read_start_and_end` does."""
    with open_ends(path) as ends:
        first = ends.first_line()
    try:
        return None if first is None else _run_starts.decode(first)
    except DECODE_ERRORS as error:
        raise _damage(path, error) from error


def _damage(path: Path, error: Exception) -> DamagedJournalError:
    return DamagedJournalError(f"{path}: a line is not as nbrun writes it: {error}")
