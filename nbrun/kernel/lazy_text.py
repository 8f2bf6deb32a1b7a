"""A text that is too long to be in memory twice: as the JSON it came in, decoded piece by piece."""

from collections.abc import Iterator
from contextlib import suppress

import msgspec

PIECE = 2**18  # bytes of JSON that are decoded at once
_PAIR = len(r"\ud83d\ude00")  # the longest that may not be cut in two: one character, in escapes

_decode = msgspec.json.Decoder(str).decode


class LongText:
    """The text of a JSON string, which can be gone through again and again. `literal` is that
    string with its quotes, in any buffer; it is kept, and no copy of it is made.

    Raises:
        ValueError: it is no JSON string in UTF-8.
    """

    def __init__(self, literal: memoryview) -> None:
        self._literal = literal
        for _ in self:  # whoever goes through it later gets to its end
            pass

    def __iter__(self) -> Iterator[str]:
        """Pieces of it, none empty."""
        start, end = 1, len(self._literal) - 1
        if end < 1 or bytes(self._literal[:1]) + bytes(self._literal[end:]) != b'""':
            raise ValueError("no JSON string")
        while start < end:
            piece, start = self._piece(start, min(start + PIECE, end))
            yield piece

    def _piece(self, start: int, upto: int) -> tuple[str, int]:
        """What stands from `start` up to `upto`, or to a little before where that lies within a
        character or an escape: what is cut there is no JSON. And where it ends."""
        for end in range(upto, max(start, upto - _PAIR), -1):
            with suppress(ValueError):
                return _decode(b"".join((b'"', self._literal[start:end], b'"'))), end
        raise ValueError("no JSON string in UTF-8")
