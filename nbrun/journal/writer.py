"""Append events to a journal: one JSON line each, chained by hashes, and synced to disk."""

import fcntl
import io
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from nbrun.core.approval import Moment
from nbrun.core.events import Event, Record
from nbrun.errors import JournalError
from nbrun.journal.codec import GENESIS, digest, encode
from nbrun.journal.tamper_check import TamperCheck
from nbrun.system.files import open_regular, sync_directory, sync_file

_LOCK_TIMEOUT = 1.0  # seconds


@dataclass(frozen=True)
class Clock:
    """The sources of time: the wall clock in UTC, and a monotonic clock in seconds."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic


@dataclass(frozen=True)
class NextLine:
    """The number and the `prev` of the next line, and the seconds from the run's start to it."""

    seq: int = 0
    prev: str = GENESIS
    elapsed: float = 0.0


class Journal:
    """The one writer of a run's journal.

    When `append` returns, the events are in the file, in order. After an error the journal takes
    no more events: nobody knows what the disk holds after a failed write or sync, and a second try
    would hide that (Rebello et al., "Can Applications Recover from fsync Failures?", 2020).
    """

    def __init__(
        self, path: Path, fd: int, clock: Clock, continues: NextLine | None = None
    ) -> None:
        """`fd` is locked and open for appending. `continues` is given for a file that has lines."""
        import jsonlines  # slow to import, and needed only here, not by readers

        following = continues or NextLine()
        self.path = path
        self._fd = fd
        self._clock = clock
        self._began = clock.monotonic() - following.elapsed
        self._seq = following.seq
        self._prev = following.prev
        self._size = os.fstat(fd).st_size
        self._broken = False
        self._tamper_check = TamperCheck(path, fd, GENESIS)
        self._batch = io.BytesIO()
        # jsonlines puts the lines of a batch together. It does not encode them: msgspec does, with
        # keys in a fixed order. It does not read them either: a reader has to check each line's
        # bytes against the chain, and to tell a torn line from a whole one.
        self._lines = jsonlines.Writer(self._batch, dumps=bytes)

    @classmethod
    def create(cls, path: Path, clock: Clock | None = None) -> "Journal":
        """Create a journal at `path` with mode 0600, and lock it for this process.

        Raises:
            JournalError: the file exists, or can't be created.
        """
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            fd = os.open(path, flags, 0o600)
            lock(fd)
            os.fchmod(fd, 0o600)  # under any umask
            sync_directory(path.parent)
        except OSError as error:
            raise JournalError(f"{path}: can't create the journal: {error.strerror}") from error
        return cls(path, fd, clock or Clock())

    def elapsed(self) -> float:
        """Return the seconds since the run began, by the monotonic clock."""
        return self._clock.monotonic() - self._began

    def now(self) -> Moment:
        """Return the time by both clocks, as a line that is written now would have it."""
        return Moment(self._clock.now(), self.elapsed())

    def append(self, events: Sequence[Event], *, sync: bool) -> list[Record]:
        """Append `events` in one write, and return their records.

        With `sync`, return only when the disk has them, and check that the file holds exactly what
        was written.

        Raises:
            JournalError: the events may not be on disk. The journal takes no more events.
            DamagedJournalError: another program wrote to the file, cut it, or took it away.
        """
        if self._broken:
            raise JournalError(f"{self.path}: the journal failed before and takes no more events")
        self._broken = True  # until everything below has succeeded
        self._check_content()
        records = [self._add_line(event) for event in events]
        self._write_batch(sync=sync)
        self._broken = False
        return records

    def close(self) -> None:
        os.close(self._fd)

    def _add_line(self, event: Event) -> Record:
        """Add the line of `event` to the batch, chained to the line before."""
        record = Record(
            seq=self._seq,
            at=_rfc3339(self._clock.now()),
            mono=round(self.elapsed(), 6),
            event=event,
            prev=self._prev,
            hash="",
        )
        line = encode(record)
        self._lines.write(line)
        self._seq += 1
        self._prev = digest(line)
        return msgspec.structs.replace(record, hash=self._prev)

    def _check_content(self) -> None:
        try:
            self._tamper_check.check_content(self._size, self._prev)
        except OSError as error:
            raise JournalError(
                f"{self.path}: the journal can't be read again: {error.strerror}. Nothing more is "
                "run; what was recorded before is kept"
            ) from error

    def _write_batch(self, *, sync: bool) -> None:
        lines = self._batch.getvalue()
        self._batch.seek(0)
        self._batch.truncate()
        try:
            rest = memoryview(lines)
            while rest:
                rest = rest[os.write(self._fd, rest) :]
            self._size += len(lines)
            self._tamper_check.remember_times()
            if sync:
                sync_file(self._fd)
                self._tamper_check.check_file(self._size)
        except OSError as error:
            raise JournalError(
                f"{self.path}: the journal can't be written: {error.strerror}. Nothing more is "
                "run; what was recorded before is kept"
            ) from error


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def lock(fd: int) -> None:
    """Lock a journal for writing. Wait a moment if another process is in `is_locked`.

    Raises:
        BlockingIOError: another process writes this journal.
    """
    deadline = time.monotonic() + _LOCK_TIMEOUT
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def is_locked(path: Path) -> bool:
    """Return True if a process is still writing this journal. Raises OSError."""
    with open_regular(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
