"""What the first and the last line of a journal tell of its run: all that a list of runs needs."""

import os
from pathlib import Path
from typing import Any

import msgspec

from nbrun.core.events import RunOutcome
from nbrun.errors import DamagedJournalError
from nbrun.system.files import open_sized

_FIRST = 16384  # bytes read at once from the beginning, where all the steps stand
_TAILS = (4096, 65536)  # bytes read from the end: the end of a run is a short line
_HEAD = 160  # bytes of a line in which its event is named
_ENDS = b'"event":"run.finished"'

# What a decoder raises of bytes that are no line of a journal.
_NO_EVENT = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


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
    fd, size = open_sized(path)
    try:
        first, last = _first_line(fd), _last_line(fd, size)
    finally:
        os.close(fd)
    try:
        began = _began.decode(first) if first else None
        return began, _ended.decode(last) if _ENDS in last[:_HEAD] else None
    except _NO_EVENT as error:
        raise _damage(path, error) from error


def beginning(path: Path) -> Began | None:
    """The first line alone; raises as `glance` does."""
    fd, _ = open_sized(path)
    try:
        first = _first_line(fd)
    finally:
        os.close(fd)
    try:
        return _began.decode(first) if first else None
    except _NO_EVENT as error:
        raise _damage(path, error) from error


def _damage(path: Path, error: Exception) -> DamagedJournalError:
    return DamagedJournalError(f"{path}: a line is not as nbrun writes it: {error}")


def _first_line(fd: int) -> bytes:
    """With its newline; nothing where it has none. A long one is looked through for its end before
    it is read: it is not in memory in pieces beside the whole."""
    upto = 0
    while piece := os.pread(fd, _FIRST, upto):
        end = piece.find(b"\n") + 1
        if end:
            return _bytes(fd, 0, upto + end) if upto else piece[:end]
        upto += len(piece)
    return b""


def _last_line(fd: int, size: int) -> bytes:
    """The last whole one, without its newline; nothing of one that is too long to be an end."""
    for tail in _TAILS:
        lines = _bytes(fd, max(0, size - tail), tail).split(b"\n")
        whole = lines[:-1] if size <= tail else lines[1:-1]
        if whole:
            return whole[-1]
    return b""


def _bytes(fd: int, start: int, size: int) -> bytes:
    """So many from there, or as many as there are: a read may bring less."""
    found = os.pread(fd, size, start)
    while len(found) < size and (more := os.pread(fd, size - len(found), start + len(found))):
        found += more
    return found
