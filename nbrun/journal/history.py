"""Find the earlier runs of a runbook, and when each of its steps last ran."""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from nbrun.core.events import Outcome
from nbrun.errors import JournalError
from nbrun.journal import run_directory
from nbrun.journal.codec import DECODE_ERRORS
from nbrun.journal.line_form import is_time
from nbrun.journal.run_directory import RunDirectory
from nbrun.journal.summary import read_start
from nbrun.system.files import open_regular

_MAX_RUNS = 200  # runs of any runbook to look at, newest first
_MAX_READ = 20_000_000  # bytes of journals to read: an operator waits for the result
_LONGEST = 1e9  # seconds of an attempt: no clock counts more
_FINISHED = b'"event":"attempt.finished"'


class LastAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """The end of an attempt in an earlier run. `at` as in a record, `duration` in seconds."""

    at: str
    outcome: Outcome
    duration: float


class _FinishedLine(msgspec.Struct):
    at: str
    event: str
    step: str
    outcome: Outcome
    duration: float


_finished_lines = msgspec.json.Decoder(_FinishedLine)


def last_attempts(now: RunDirectory, runbook: str) -> dict[str, LastAttempt]:
    """Return the last attempt of each step, by the step's id, in earlier runs of a runbook.

    Earlier runs are those in the same folder as the run `now`. `runbook` is a path. A journal that
    can't be read is left out: other commands report that.
    """
    found: dict[str, LastAttempt] = {}
    for path in _recent_journals(now, runbook):
        for step, attempt in _attempts_in(path).items():
            found.setdefault(step, attempt)
    return found


def runs_of(
    parent: Path, runbook: str, most: int | None = None, excluding: RunDirectory | None = None
) -> Iterator[RunDirectory]:
    """Yield the runs in `parent` of the runbook with this path, newest first.

    `most`: how many runs of any runbook to look at.
    """
    wanted = os.path.realpath(runbook)
    for directory in run_directory.all_runs(parent)[:most]:
        if directory != excluding and _runbook_of(directory.journal) == wanted:
            yield directory


def _recent_journals(now: RunDirectory, runbook: str) -> Iterator[Path]:
    """Yield journals, newest first, until they have too many bytes together."""
    left = _MAX_READ
    for directory in runs_of(now.path.parent, runbook, _MAX_RUNS, excluding=now):
        left -= _size(directory.journal)
        if left < 0:
            return
        yield directory.journal


def _runbook_of(journal: Path) -> str | None:
    """Return the path of the run's runbook, or None if the journal doesn't name it."""
    try:
        start = read_start(journal)
    except (OSError, JournalError):
        return None
    if start is None:
        return None
    try:
        return os.path.realpath(start.runbook)
    except UnicodeEncodeError:  # in this locale there is no such file
        return start.runbook
    except ValueError:  # what a forged record names can't be a path
        return None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _attempts_in(path: Path) -> dict[str, LastAttempt]:
    """Return the last attempt of each step in one journal. Only the lines of ends are decoded."""
    found: dict[str, LastAttempt] = {}
    try:
        with open_regular(path) as file:
            for line in file:
                if _FINISHED in line[:200] and (finished := _decode(line)) is not None:
                    found[finished.step] = LastAttempt(
                        at=finished.at, outcome=finished.outcome, duration=finished.duration
                    )
    except OSError:
        return found
    return found


def _decode(line: bytes) -> _FinishedLine | None:
    """Decode one line. Anybody may have written it, where several users share a folder of runs."""
    try:
        found = _finished_lines.decode(line)
    except DECODE_ERRORS:
        return None
    return found if is_time(found.at) and 0 <= found.duration < _LONGEST else None
