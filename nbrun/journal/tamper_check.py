"""Detect that another program changed the journal while nbrun writes it.

A cell runs as the same user, and can write to the file as well as nbrun can. At each sync, nbrun
checks the file's path, inode and size. Before each write, it checks the file's times, which also
change when the size does not. If they changed since nbrun's own last write, nbrun reads all lines
again and follows their chain, as any reader would.
"""

import os
import time
from pathlib import Path

from nbrun.errors import DamagedJournalError
from nbrun.journal.codec import digest
from nbrun.system.files import open_regular

SLOW = 0.05  # seconds; if reading all lines takes longer, it is limited to
SHARE = 0.1  # this part of the time: on NFS, a file's times change by themselves


class TamperCheck:
    """The checks of the journal at `path`, which is open for appending as `fd`.

    `genesis` is the `prev` of the first line.
    """

    def __init__(self, path: Path, fd: int, genesis: str) -> None:
        self._genesis = genesis
        self._path = path
        self._fd = fd
        self._times = (0, 0)
        self._times_changed = False
        self._next_read_at = 0.0  # by the monotonic clock
        self.remember_times()

    def remember_times(self) -> None:
        """Take the file's times of now as those of nbrun's own last write."""
        self._times = self._current_times()

    def check_content(self, size: int, head: str) -> None:
        """Check that the file has `size` bytes, all as written; the last line has the hash `head`.

        This costs one fstat, and reads the file only if its times changed.

        Raises:
            DamagedJournalError: another program changed the file.
            OSError: the file can't be read.
        """
        # Remembered, because the next write changes the times, and the reading may be postponed.
        self._times_changed = self._times_changed or self._current_times() != self._times
        if not size or not self._times_changed or time.monotonic() < self._next_read_at:
            return
        self.check_file(size)
        began = time.monotonic()
        changed = self._first_changed_line(head)
        if changed is not None:
            raise self._altered(f"was overwritten: it is not what was written at line {changed}")
        took = time.monotonic() - began
        self._next_read_at = began + (took / SHARE if took > SLOW else 0.0)
        self._times_changed = False
        self.remember_times()

    def check_file(self, size: int) -> None:
        """Check that the path still leads to the open file, and that it has `size` bytes.

        Raises:
            DamagedJournalError: another program cut, extended, replaced or deleted the file.
            OSError: the path can't be checked.
        """
        own = os.fstat(self._fd)
        try:
            found = self._path.lstat()
        except FileNotFoundError:
            raise self._altered("was deleted or moved away") from None
        if (found.st_dev, found.st_ino) != (own.st_dev, own.st_ino):
            raise self._altered("was replaced by another file")
        if own.st_size != size:
            what = "cut short" if own.st_size < size else "written to by something else"
            raise self._altered(f"was {what}: it has {own.st_size} bytes, not {size}")

    def _first_changed_line(self, head: str) -> int | None:
        """Return the number, from 1, of the first line that the chain shows to be changed, or None.

        If the `prev` of a line was changed, this is the line before it.
        """
        prev, number = self._genesis, 0
        with open_regular(self._path) as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b'"prev":"' + prev.encode() + b'"}\n'):
                    return max(1, number - 1)
                prev = digest(line[:-1])
        return None if prev == head else number

    def _current_times(self) -> tuple[int, int]:
        """Return when the content last changed, and when anything did, in nanoseconds."""
        status = os.fstat(self._fd)
        return status.st_mtime_ns, status.st_ctime_ns

    def _altered(self, what: str) -> DamagedJournalError:
        return DamagedJournalError(
            f"{self._path}: the journal {what}. Nothing more is run; find out what did it "
            "(a cell can), and keep the folder as it is"
        )
