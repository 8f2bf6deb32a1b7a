"""Long stream texts of an output notebook, put aside in a temporary file and not in memory."""

import re
import secrets
from collections.abc import Iterator

import msgspec

from nbrun.system.spool import Spool

_DEPTH = b" " * 6  # indentation of a stream's texts in the notebook's JSON

_encode = msgspec.json.Encoder().encode


class StreamTextSpool:
    """Texts of streams, taken out of cells in bulk and put back into the JSON of these cells.

    A placeholder stands for the texts meanwhile. It begins with a random number that is drawn
    after the journal was written, so no text of the journal can look like a placeholder.
    """

    def __init__(self) -> None:
        self._mark = f"aside-{secrets.token_hex(16)}-"
        self._placeholder = re.compile(rb'"%b([0-9]+)"' % self._mark.encode())
        self._batches = Spool()

    def take_out(self, texts: list[str]) -> None:
        """Move the texts of the list to the spool and leave a placeholder in the list.

        Raises:
            OSError: the temporary file can't be written.
        """
        new = [text for text in texts if not text.startswith(self._mark)]
        formatted = msgspec.json.format(_encode(new), indent=1)
        batch = formatted.removeprefix(b"[\n ").removesuffix(b"\n]").replace(b"\n ", b"\n" + _DEPTH)
        texts[:] = [*texts[: len(texts) - len(new)], f"{self._mark}{self._batches.add(batch)}"]

    def put_back(self, cell: bytes) -> Iterator[bytes]:
        """Yield the JSON of a cell in chunks, with the texts in place of the placeholders."""
        if not len(self._batches) or self._mark.encode() not in cell:
            yield cell
            return
        for place, part in enumerate(self._placeholder.split(cell)):
            yield self._batches[int(part)] if place % 2 else part

    def close(self) -> None:
        self._batches.close()
