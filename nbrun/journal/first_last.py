"""Read the first and the last line of a journal without the lines between them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nbrun.system.files import open_regular_fd

_FIRST = 16384  # bytes read at once from the beginning; the first line has the whole plan
_LONGEST = 1 << 30  # bytes through which the first newline is looked for
_TAILS = (4096, 65536)  # bytes read from the end; the line that ends a run is short


class JournalEnds:
    """An open journal and its size when it was opened."""

    def __init__(self, fd: int, size: int) -> None:
        self._fd = fd
        self._size = size

    def first_line(self) -> bytes | None:
        """Return the first line without its newline, or None if there is no complete one. Raises
        OSError."""
        position = 0
        # Of a very long line, the newline is looked for first: the pieces are not kept in memory.
        while piece := os.pread(self._fd, _FIRST, position):
            end = piece.find(b"\n")
            if end >= 0:
                return self._read(0, position + end) if position else piece[:end]
            if b"\0" in piece or position > _LONGEST:
                return piece  # which no decoder takes for a line
            position += len(piece)
        return None

    def last_line(self) -> bytes | None:
        """Return the last complete line without its newline, or None if there is none.

        Also return None if that line may be longer than 64 KiB: it does not end a run. Raises
        OSError.
        """
        for tail in _TAILS:
            lines = self._read(max(0, self._size - tail), tail).split(b"\n")
            complete = lines[:-1] if self._size <= tail else lines[1:-1]
            if complete:
                return complete[-1]
        return None

    def _read(self, start: int, size: int) -> bytes:
        """Read `size` bytes from `start`, or as many as there are: one read may return fewer."""
        found = os.pread(self._fd, size, start)
        while len(found) < size and (
            more := os.pread(self._fd, size - len(found), start + len(found))
        ):
            found += more
        return found


@contextmanager
def open_ends(path: Path) -> Iterator[JournalEnds]:
    """Open a journal to read its first and its last line. Raises OSError."""
    fd, size = open_regular_fd(path)
    try:
        yield JournalEnds(fd, size)
    finally:
        os.close(fd)
