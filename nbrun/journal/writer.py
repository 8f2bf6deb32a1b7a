"""The journal's one writer: it appends events to a chained, synced JSONL file."""

import fcntl
import io
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from nbrun.core.events import Event, Record
from nbrun.errors import JournalError
from nbrun.journal.codec import GENESIS, digest, encode
from nbrun.journal.tamper_check import Guard
from nbrun.system.files import open_regular, sync_directory, sync_file

if TYPE_CHECKING:
    import jsonlines

_LOCK_PATIENCE = 1.0  # seconds


@dataclass(frozen=True)
class Clock:
    """Where times come from: the wall, in UTC, and a clock that never goes back, in seconds."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic


@dataclass(frozen=True)
class End:
    """Where a journal's lines end: the number and the `prev` of the next one, and how many seconds
    after the run began that will be."""

    seq: int = 0
    prev: str = GENESIS
    elapsed: float = 0.0


class Journal:
    """The one writer of a run's journal. An `append` that returned is in the file, in order.

    After an error it writes no more: a failed write or sync leaves it unknown what the disk
    holds, and trying again would hide that (Rebello et al., "Can Applications Recover from
    fsync Failures?", 2020).
    """

    def __init__(self, path: Path, fd: int, clock: Clock, after: "End | None" = None) -> None:
        """`fd` is open for appending, and locked; `after` is where the lines it has end."""
        end = after or End()
        self.path = path
        self._fd = fd
        self._clock = clock
        self._began = clock.monotonic() - end.elapsed
        self._seq = end.seq
        self._prev = end.prev
        self._size = os.fstat(fd).st_size
        self._broken = False
        self._guard = Guard(path, fd, GENESIS)
        self._lines = io.BytesIO()
        self._stamped: list[Record] = []
        self._writer = _writer(self._lines, self._line)

    @classmethod
    def create(cls, path: Path, clock: Clock | None = None) -> "Journal":
        """A new journal at `path`, which must not exist, mode 0600, locked for this process.

        Raises:
            JournalError: it can't be created there.
        """
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            fd = os.open(path, flags, 0o600)
            lock(fd)
            os.fchmod(fd, 0o600)
            sync_directory(path.parent)
        except OSError as error:
            raise JournalError(f"{path}: can't create the journal: {error.strerror}") from error
        return cls(path, fd, clock or Clock())

    def elapsed(self) -> float:
        """Seconds since the run began, by the monotonic clock."""
        return self._clock.monotonic() - self._began

    def append(self, events: Sequence[Event], *, sync: bool) -> list[Record]:
        """Write `events` as one piece; with `sync`, come back when the disk has them and the file
        holds what was written, no more and no less.

        Raises:
            JournalError: they are not, or not surely, on disk; the journal takes no more.
            DamagedJournalError: something else wrote to the file, cut it, or took it away.
        """
        if self._broken:
            raise JournalError(f"{self.path}: the journal failed before and takes no more events")
        self._broken = True  # till all of it has come to a good end
        self._check_lines()
        self._writer.write_all(events)
        lines, records = self._lines.getvalue(), self._stamped
        self._lines.seek(0)
        self._lines.truncate()
        self._stamped = []
        self._to_disk(lines, sync=sync)
        self._broken = False
        return records

    def close(self) -> None:
        os.close(self._fd)

    def _check_lines(self) -> None:
        try:
            self._guard.check_lines(self._size, self._prev)
        except OSError as error:
            raise JournalError(
                f"{self.path}: the journal can't be read again: {error.strerror}. Nothing more is "
                "run; what was recorded before is kept"
            ) from error

    def _to_disk(self, lines: bytes, *, sync: bool) -> None:
        try:
            left = memoryview(lines)
            while left:
                left = left[os.write(self._fd, left) :]
            self._size += len(lines)
            self._guard.note()
            if sync:
                sync_file(self._fd)
                self._guard.check_place(self._size)
        except OSError as error:
            raise JournalError(
                f"{self.path}: the journal can't be written: {error.strerror}. Nothing more is "
                "run; what was recorded before is kept"
            ) from error

    def _line(self, event: Any) -> bytes:
        """The line of `event`, without its newline, and the chain moved on to it."""
        if event == {}:  # jsonlines asks once whether text or bytes come from here
            return b"{}"
        record = Record(
            seq=self._seq,
            at=_rfc3339(self._clock.now()),
            mono=round(self.elapsed(), 6),
            event=event,
            prev=self._prev,
            hash="",
        )
        line = encode(record)
        self._prev = digest(line)
        self._seq += 1
        self._stamped.append(msgspec.structs.replace(record, hash=self._prev))
        return line


def _writer(lines: io.BytesIO, line: Callable[[Any], bytes]) -> "jsonlines.Writer":
    import jsonlines  # which who only reads a journal doesn't wait for

    return jsonlines.Writer(lines, dumps=line)


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def lock(fd: int) -> None:
    """Be the one writer. `is_locked` of another process may be in the way for a moment.

    Raises:
        BlockingIOError: another process writes this journal.
    """
    deadline = time.monotonic() + _LOCK_PATIENCE
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
    """Whether a process is still writing this journal."""
    with open_regular(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
