"""Whether the journal that is being written was touched by something else.

A cell runs as the same user, and can write to the file as well as nbrun can. Its name, its number
and its size are looked at when it is synced; and before each write the times that the file system
keeps for it, which tell of a change that leaves the size as it is. Where they have moved since
nbrun's own last write, the lines are read again and their chain followed, as any reader would.
"""

import hashlib
import os
import time
from pathlib import Path

from nbrun.errors import DamagedJournalError
from nbrun.system.files import open_regular

SLOW = 0.05  # seconds; reading again that takes longer is not done at every chance,
SHARE = 0.1  # but in this part of the time: on NFS, times move by themselves


class Guard:
    """Of the file at `path`, open for appending as `fd`; `genesis` is the `prev` of its first line.
    What it finds it raises as DamagedJournalError."""

    def __init__(self, path: Path, fd: int, genesis: str) -> None:
        self._genesis = genesis
        self._path = path
        self._fd = fd
        self._times = (0, 0)
        self._stirred = False
        self._rested = 0.0  # when the file may be read again, by the monotonic clock
        self.note()

    def note(self) -> None:
        """The file is as nbrun has just left it."""
        self._times = self._now()

    def check_lines(self, size: int, head: str) -> None:
        """That the lines are those that were written: `size` bytes, the last with the hash `head`.
        It costs a look at the file's times, and reading it only where they have moved."""
        self._stirred = self._stirred or self._now() != self._times
        if not size or not self._stirred or time.monotonic() < self._rested:
            return
        self.check_place(size)
        began = time.monotonic()
        changed = self._first_changed(head)
        if changed is not None:
            raise self._altered(f"was overwritten: it is not what was written at line {changed}")
        took = time.monotonic() - began
        self._rested = began + (took / SHARE if took > SLOW else 0.0)
        self._stirred = False
        self.note()

    def check_place(self, size: int) -> None:
        """That its name leads to it, and it has the size that was written."""
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

    def _first_changed(self, head: str) -> int | None:
        """The number, from 1, of the first line that is not the one that was written, as far as the
        chain tells: of a line whose own `prev` was changed, the one before. None when all are."""
        prev, number = self._genesis, 0
        with open_regular(self._path) as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b'"prev":"' + prev.encode() + b'"}\n'):
                    return max(1, number - 1)
                prev = hashlib.sha256(line[:-1]).hexdigest()
        return None if prev == head else number

    def _now(self) -> tuple[int, int]:
        """The times of the last change of its content, and of any."""
        told = os.fstat(self._fd)
        return told.st_mtime_ns, told.st_ctime_ns

    def _altered(self, what: str) -> DamagedJournalError:
        return DamagedJournalError(
            f"{self._path}: the journal {what}. Nothing more is run; find out what did it "
            "(a cell can), and keep the folder as it is"
        )
