"""What the first and the last line of a journal tell of its run: all that a list of runs needs."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from nbrun.errors import DamagedJournalError
from nbrun.events import RunOutcome
from nbrun.files import open_regular

_TAILS = (4096, 65536)  # bytes read from the end: the end of a run is a short line
_HEAD = 160  # bytes of a line in which its event is named
_ENDS = b'"event":"run.finished"'


class _Who(msgspec.Struct):
    name: str


class Began(msgspec.Struct, tag_field="event", tag="run.started"):
    """Of the first line: `at` RFC 3339, `runbook` its path."""

    at: str
    runbook: str
    parameters: dict[str, Any]
    operator: _Who


class Ended(msgspec.Struct, tag_field="event", tag="run.finished"):
    """Of the last line of a run that has ended: `duration` in seconds."""

    outcome: RunOutcome
    off_script: bool
    duration: float


_began = msgspec.json.Decoder(Began)
_ended = msgspec.json.Decoder(Ended)


def glance(path: Path) -> tuple[Began | None, Ended | None]:
    """None for a run that never began, or that has no end.

    Raises:
        DamagedJournalError: the first line begins no run, or the last is no event.
        OSError: the file can't be read.
    """
    with open_regular(path) as file, _damage_told(path):
        first = file.readline()
        last = _last_line(file)
        began = _began.decode(first) if first.endswith(b"\n") else None
        return began, _ended.decode(last) if _ENDS in last[:_HEAD] else None


def beginning(path: Path) -> Began | None:
    """The first line alone; raises as `glance` does."""
    with open_regular(path) as file, _damage_told(path):
        first = file.readline()
        return _began.decode(first) if first.endswith(b"\n") else None


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    try:
        yield
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DamagedJournalError(f"{path}: a line is not as nbrun writes it: {error}") from error


def _last_line(file: io.BufferedReader) -> bytes:
    """The last whole one, without its newline; nothing of one that is too long to be an end."""
    size = file.seek(0, os.SEEK_END)
    for tail in _TAILS:
        file.seek(max(0, size - tail))
        lines = file.read().split(b"\n")
        whole = lines[:-1] if size <= tail else lines[1:-1]
        if whole:
            return whole[-1]
    return b""
