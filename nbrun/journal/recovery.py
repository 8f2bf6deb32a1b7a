"""Recover the journal of an interrupted run, whose writer is gone.

Recovery moves a torn last line to a file of its own, records the interruption, and opens the
journal for appending again.
"""

import os
import stat
from datetime import datetime
from pathlib import Path

from nbrun.core import events as ev
from nbrun.core.deviation_check import DeviationChecker
from nbrun.core.events import Event, Record
from nbrun.core.reducer import apply
from nbrun.core.state import Phase, RunState
from nbrun.errors import DamagedJournalError, JournalError
from nbrun.journal import writer
from nbrun.journal.reader import JournalReader, first_record, last_record
from nbrun.journal.writer import Clock, Journal, NextLine
from nbrun.system.files import open_regular, sync_directory, sync_file
from nbrun.system.ownership import owner_fault

# Recorded texts: they must not change.
_WHY_INDETERMINATE = "nbrun ended while it ran"
_WHY_INTERRUPTED = "the process that ran it is gone: nbrun was killed, or the machine went down"


def record_interruption(path: Path) -> bool:
    """Record in the journal at `path`, once, that its run was interrupted. Return True if it was.

    An attempt that was in flight is recorded as indeterminate. A run that is not this user's own,
    or whose journal can't be written, as on a full disk, is left as it is: it can be read all the
    same, and what changes it reports why it can't.

    Raises:
        DamagedJournalError: the journal is damaged by more than a torn last line.
        OSError: the journal can't be read.
    """
    if not _is_abandoned(path):
        return False
    if owner_fault(path.parent) or owner_fault(path) or not os.access(path, os.W_OK):
        return True
    try:
        reopened = reopen(path)
    except BlockingIOError:  # another process resumes the run, or records the same now
        return False
    except DamagedJournalError:
        raise
    except JournalError:
        return True
    reopened.journal.close()
    return reopened.state.finished is None


def _is_abandoned(path: Path) -> bool:
    """Return True if the run began, has no writer, and has neither an end nor an interruption."""
    if writer.is_locked(path):
        return False
    last = last_record(path)
    ended = last is not None and isinstance(last.event, ev.RunFinished | ev.RunInterrupted)
    return first_record(path) is not None and not ended


class ReopenedJournal:
    """A journal that can be appended to again, and the state of its run.

    `last_alive`: when its process last wrote, in seconds since the run began.
    """

    def __init__(self, journal: Journal, state: RunState, last_alive: float) -> None:
        self.journal = journal
        self.state = state
        self.last_alive = last_alive


def reopen(path: Path, clock: Clock | None = None) -> ReopenedJournal:
    """Repair the journal of an interrupted run, lock it for this process, and open it again.

    Raises:
        BlockingIOError: another process writes the journal.
        DamagedJournalError: the journal is damaged by more than a torn last line.
        JournalError: the journal can't be opened, or is empty.
    """
    fd = _open(path)
    try:
        writer.lock(fd)  # before reading: nobody may append meanwhile
        reader, checker, last, last_alive = _read(path)
        state = checker.state
        kept_in = _cut_torn_line(path, fd, reader.torn)
        following = _next_line(last, reader.head, clock or Clock())
        journal = Journal(path, fd, clock or Clock(), following)
        missing = [*checker.missing, *_missing_events(state, last, reader.torn, kept_in)]
        if missing:
            journal.append(missing, sync=True)
            for event in missing:
                apply(state, event)
    except BaseException:
        os.close(fd)
        raise
    return ReopenedJournal(journal, state, last_alive)


def _open(path: Path) -> int:
    try:
        fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise JournalError(f"{path}: can't open the journal again: {error.strerror}") from error
    found = os.fstat(fd)
    # Again, of what was opened: the folder may have been another one when it was examined.
    if not stat.S_ISREG(found.st_mode) or os.getuid() not in (found.st_uid, 0):
        os.close(fd)
        raise JournalError(f"{path}: is not your own journal: nothing is written")
    return fd


def _read(path: Path) -> tuple[JournalReader, DeviationChecker, Record, float]:
    """Read the whole journal: also its last record, and when its process last wrote."""
    reader, checker, last, last_alive = JournalReader(path), DeviationChecker(), None, 0.0
    for record in reader:
        checker.add(record.event)
        last = record
        # These two are written by later commands, not by the process that ran the run.
        if not isinstance(record.event, ev.AttemptIndeterminate | ev.RunInterrupted):
            last_alive = record.mono
    if last is None:
        raise JournalError(f"{path}: the journal is empty: nbrun ended before the run began")
    return reader, checker, last, last_alive


def _cut_torn_line(path: Path, fd: int, torn: bytes) -> str:
    """Move a torn last line to a file of its own, and return its name; empty if none is torn."""
    if not torn:
        return ""
    size = os.fstat(fd).st_size - len(torn)
    kept = path.with_name(f"{path.name}.torn-at-{size}")
    try:
        # The bytes are on disk in the new file before they are cut from the journal.
        kept = _keep(torn, kept)
        sync_directory(path.parent)
        os.ftruncate(fd, size)
        sync_file(fd)
    except OSError as error:
        raise JournalError(f"{path}: its torn last line can't be cut: {error.strerror}") from error
    return kept.name


def _keep(torn: bytes, path: Path) -> Path:
    """Write `torn` to the file `path`, or to one beside it, and return the file's path.

    An earlier recovery may have written the file, or a part of it, and ended before it cut the
    journal. It may also have cut another line there, and ended while it appended.
    """
    kept, number = path, 1
    while os.path.lexists(kept) and not torn.startswith(_content(kept, len(torn) + 1)):
        number += 1
        kept = path.with_name(f"{path.name}-{number}")
    fresh = kept.with_name(f"{kept.name}.new")
    fresh.unlink(missing_ok=True)
    created = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(created, "wb") as file:
            file.write(torn)
            file.flush()
            sync_file(created)
        fresh.replace(kept)
    except OSError:  # the disk is full
        fresh.unlink(missing_ok=True)
        raise
    return kept


def _content(path: Path, most: int) -> bytes:
    with open_regular(path) as file:
        return file.read(most)


def _next_line(last: Record, head: str, clock: Clock) -> NextLine:
    """Continue the run's seconds by the wall clock since the last line, and never backwards."""
    away = (clock.now() - datetime.fromisoformat(last.at)).total_seconds()
    elapsed = last.mono + max(0.0, away)
    return NextLine(seq=last.seq + 1, prev=head, elapsed=elapsed)


def _missing_events(state: RunState, last: Record, torn: bytes, kept_in: str) -> list[Event]:
    """Return the events that record the interruption, or none if they are there already."""
    if state.phase is Phase.FINISHED or (isinstance(last.event, ev.RunInterrupted) and not torn):
        return []
    running = state.attempt
    missing: list[Event] = []
    if running is not None:
        missing.append(
            ev.AttemptIndeterminate(
                step=running.step, attempt=running.attempt, why=_WHY_INDETERMINATE
            )
        )
    return [*missing, ev.RunInterrupted(why=_WHY_INTERRUPTED, cut=len(torn), kept_in=kept_in)]
