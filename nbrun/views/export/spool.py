"""What an output notebook is made of while it is made: in a temporary file, not in memory."""

import re
import secrets
import tempfile
from array import array
from collections.abc import Iterator

import msgspec

_IN_MEMORY = 1 << 18  # bytes; a notebook that is larger goes to the disk
_DEPTH = b" " * 6  # of a stream's texts in the notebook's JSON, which is indented by one

_encode = msgspec.json.Encoder().encode


class Pieces:
    """Byte strings by number, in a temporary file that nobody else sees."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115  `close`
        self._starts = array("q")
        self._sizes = array("q")
        self._end = 0

    def __len__(self) -> int:
        return len(self._starts)

    def add(self, piece: bytes) -> int:
        """Its number. Raises OSError."""
        self._starts.append(0)
        self._sizes.append(0)
        self.replace(len(self) - 1, piece)
        return len(self) - 1

    def replace(self, number: int, piece: bytes) -> None:
        self._file.seek(self._end)
        self._file.write(piece)
        self._starts[number], self._sizes[number] = self._end, len(piece)
        self._end += len(piece)

    def __getitem__(self, number: int) -> bytes:
        self._file.seek(self._starts[number])
        return self._file.read(self._sizes[number])

    def close(self) -> None:
        self._file.close()


class Aside:
    """Texts that are taken out of the streams of cells, many at a time, and put back into the JSON
    of these. What stands for them meanwhile is a text that begins with a number that was drawn when
    the record that is read here had been written, so that nothing in it can be like that."""

    def __init__(self) -> None:
        self._mark = f"aside-{secrets.token_hex(16)}-"
        self._place = re.compile(rb'"%b([0-9]+)"' % self._mark.encode())
        self._runs = Pieces()

    def put(self, texts: list[str]) -> None:
        """Take out those that are in the list themselves. Raises OSError."""
        still = [text for text in texts if not text.startswith(self._mark)]
        formatted = msgspec.json.format(_encode(still), indent=1)
        run = formatted.removeprefix(b"[\n ").removesuffix(b"\n]").replace(b"\n ", b"\n" + _DEPTH)
        texts[:] = [*texts[: len(texts) - len(still)], f"{self._mark}{self._runs.add(run)}"]

    def put_back(self, cell: bytes) -> Iterator[bytes]:
        """A cell as it stands in the notebook, with all that was taken out of it, in pieces."""
        if not len(self._runs) or self._mark.encode() not in cell:
            yield cell
            return
        for place, part in enumerate(self._place.split(cell)):
            yield self._runs[int(part)] if place % 2 else part

    def close(self) -> None:
        self._runs.close()
