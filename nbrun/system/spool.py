"""Byte strings in a temporary file, so that they need not be in memory."""

import tempfile
import weakref
from array import array

_IN_MEMORY = 1 << 18  # bytes; a larger spool is written to the disk


class Spool:
    """Byte strings by number, in an unnamed temporary file. All methods may raise OSError."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115  `close`
        self.close = weakref.finalize(self, self._file.close)
        self._starts = array("q")
        self._sizes = array("q")
        self._end = 0

    def __len__(self) -> int:
        return len(self._starts)

    def add(self, data: bytes) -> int:
        """Append `data` and return its number."""
        self._starts.append(0)
        self._sizes.append(0)
        self.replace(len(self) - 1, data)
        return len(self) - 1

    def replace(self, number: int, data: bytes) -> None:
        """Store `data` under a number that `add` returned. The old bytes stay in the file."""
        self._file.seek(self._end)
        self._file.write(data)
        self._starts[number], self._sizes[number] = self._end, len(data)
        self._end += len(data)

    def __getitem__(self, number: int) -> bytes:
        self._file.seek(self._starts[number])
        return self._file.read(self._sizes[number])
