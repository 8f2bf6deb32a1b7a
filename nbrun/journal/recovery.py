"""A journal whose writer is gone: its torn last line put aside, what it lacks said, and the journal
opened again."""

import os
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from nbrun.core import events as ev
from nbrun.core.deviation_check import DeviationChecker
from nbrun.core.events import Event, Record
from nbrun.core.reducer import apply
from nbrun.core.state import Phase, RunState
from nbrun.errors import JournalError
from nbrun.journal import reader as reading
from nbrun.journal import writer as journal
from nbrun.journal.reader import Reading
from nbrun.journal.writer import Clock, End, Journal
from nbrun.system.files import sync_directory, sync_file

_WHY_UNSEEN = "nbrun ended while it ran"
_WHY = "the process that ran it is gone: nbrun was killed, or the machine went down"


def note_interruption(path: Path) -> bool:
    """Say in the journal at `path`, once, that its run was interrupted, if it was; whether it is.

    An attempt that was in flight is recorded as indeterminate. A journal that this user may not
    write is left as it is.

    Raises:
        DamagedJournalError: it is damaged otherwise than by a torn last line.
    """
    if not _is_abandoned(path):
        return False
    if not os.access(path, os.W_OK):
        return True
    with suppress(BlockingIOError):  # another process resumes it, or says this, right now
        reopened = open_again(path)
        reopened.writer.close()
        return reopened.state.finished is None
    return False


def _is_abandoned(path: Path) -> bool:
    """Begun, not ended, written by nobody, and not said to be."""
    if journal.is_locked(path):
        return False
    last = reading.last(path)
    ended = last is not None and isinstance(last.event, ev.RunFinished | ev.RunInterrupted)
    return reading.first(path) is not None and not ended


class Reopened:
    """A journal that can be appended to again, and the state of its run. `seen`: when its process
    was last heard of, in seconds since the run began."""

    def __init__(self, writer: Journal, state: RunState, seen: float) -> None:
        self.writer = writer
        self.state = state
        self.seen = seen


def open_again(path: Path, clock: Clock | None = None) -> Reopened:
    """The journal of an interrupted run, repaired, and locked for this process.

    Raises:
        BlockingIOError: another process writes it.
        DamagedJournalError: it is damaged otherwise than by a torn last line.
        JournalError: it can't be opened, or is empty.
    """
    fd = _open(path)
    try:
        journal.lock(fd)
        reading, followed, last, seen = _read(path)
        state = followed.state
        kept_in = _cut(path, fd, reading.torn)
        end = _end(last, reading.head, clock or Clock())
        writer = Journal(path, fd, clock or Clock(), end)
        told = [*followed.missing, *_told(state, last, reading.torn, kept_in)]
        if told:
            writer.append(told, sync=True)
            for event in told:
                apply(state, event)
    except BaseException:
        os.close(fd)
        raise
    return Reopened(writer, state, seen)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise JournalError(f"{path}: can't open the journal again: {error.strerror}") from error


def _read(path: Path) -> tuple[Reading, DeviationChecker, Record, float]:
    """The journal to its end: as read, where it leads, the last record, and when it was last
    alive."""
    reading, followed, last, seen = Reading(path), DeviationChecker(), None, 0.0
    for record in reading:
        followed.add(record.event)
        last = record
        if not isinstance(record.event, ev.AttemptIndeterminate | ev.RunInterrupted):
            seen = record.mono
    if last is None:
        raise JournalError(f"{path}: the journal is empty: nbrun ended before the run began")
    return reading, followed, last, seen


def _cut(path: Path, fd: int, torn: bytes) -> str:
    """Put the bytes of a torn last line into a file of their own; its name, or nothing."""
    if not torn:
        return ""
    size = os.fstat(fd).st_size - len(torn)
    kept = path.with_name(f"{path.name}.torn-at-{size}")
    try:
        with suppress(FileExistsError):  # cut before, and the cut was not finished
            made = os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(made, "wb") as file:
                file.write(torn)
                file.flush()
                sync_file(made)
        sync_directory(path.parent)
        os.ftruncate(fd, size)
        sync_file(fd)
    except OSError as error:
        raise JournalError(f"{path}: its torn last line can't be cut: {error.strerror}") from error
    return kept.name


def _end(last: Record, head: str, clock: Clock) -> End:
    """Time has gone on since the last line, by the wall clock; back it never goes."""
    away = (clock.now() - datetime.fromisoformat(last.at)).total_seconds()
    elapsed = last.mono + max(0.0, away)
    return End(seq=last.seq + 1, prev=head, elapsed=elapsed)


def _told(state: RunState, last: Record, torn: bytes, kept_in: str) -> list[Event]:
    """What the journal lacks of its own interruption."""
    if state.phase is Phase.FINISHED or (isinstance(last.event, ev.RunInterrupted) and not torn):
        return []
    running = state.attempt
    unseen: list[Event] = []
    if running is not None:
        unseen.append(
            ev.AttemptIndeterminate(step=running.step, attempt=running.attempt, why=_WHY_UNSEEN)
        )
    return [*unseen, ev.RunInterrupted(why=_WHY, cut=len(torn), kept_in=kept_in)]
