"""The runs of a runbook, and when each of its steps ran last: read from journals, and cheaply."""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from nbrun.core.events import Outcome
from nbrun.errors import JournalError
from nbrun.journal import run_directory
from nbrun.journal.run_directory import RunDirectory
from nbrun.journal.summary import beginning

_MOST_RUNS = 200  # looked at, newest first, whatever runbook they are of
_MOST_READ = 20_000_000  # bytes of journals: a look back must not keep an operator waiting
_ENDS = b'"event":"attempt.finished"'


class LastTime(msgspec.Struct, frozen=True, kw_only=True):
    """How an attempt of an earlier run ended: `at` as in a record, `duration` in seconds."""

    at: str
    outcome: Outcome
    duration: float


class _Ended(msgspec.Struct):
    at: str
    event: str
    step: str
    outcome: Outcome
    duration: float


_ended = msgspec.json.Decoder(_Ended)


def last_times(now: RunDirectory, runbook: str) -> dict[str, LastTime]:
    """The last attempt of each step in the runs of the same runbook (its path) that are kept beside
    `now`, this one left out. A journal that can't be read tells nothing: it has its own command."""
    found: dict[str, LastTime] = {}
    for path in _journals(now, runbook):
        for step, last in _of_run(path).items():
            found.setdefault(step, last)
    return found


def runs_of(
    parent: Path, runbook: str, most: int | None = None, besides: RunDirectory | None = None
) -> Iterator[RunDirectory]:
    """The runs of the runbook with this path, however it was written, that are kept in `parent`,
    newest first, without `besides`. `most`: how many of all runs there are looked at."""
    wanted = os.path.realpath(runbook)
    for directory in run_directory.all_runs(parent)[:most]:
        if directory != besides and _runbook(directory.journal) == wanted:
            yield directory


def _journals(now: RunDirectory, runbook: str) -> Iterator[Path]:
    """Newest first, as much as may be read."""
    left = _MOST_READ
    for directory in runs_of(now.path.parent, runbook, _MOST_RUNS, besides=now):
        left -= _size(directory.journal)
        if left < 0:
            return
        yield directory.journal


def _runbook(journal: Path) -> str | None:
    """The path of the runbook that a journal's run is of; None where it doesn't tell."""
    try:
        began = beginning(journal)
    except (OSError, JournalError):
        return None
    return None if began is None else os.path.realpath(began.runbook)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _of_run(path: Path) -> dict[str, LastTime]:
    """The last attempt of each step in one journal: only the lines that tell it are decoded."""
    told: dict[str, LastTime] = {}
    try:
        with path.open("rb") as file:
            for line in file:
                if _ENDS in line[:200] and (ended := _read(line)) is not None:
                    told[ended.step] = LastTime(
                        at=ended.at, outcome=ended.outcome, duration=ended.duration
                    )
    except OSError:
        return told
    return told


def _read(line: bytes) -> _Ended | None:
    try:
        return _ended.decode(line)
    except msgspec.DecodeError:
        return None
