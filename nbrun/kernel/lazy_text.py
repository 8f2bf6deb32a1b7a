"""Long texts of JSON messages, decoded piece by piece so that memory holds them only once."""

from collections.abc import Iterator
from contextlib import suppress

import msgspec

PIECE = 2**18  # bytes of JSON that are decoded at once
_LONGEST_ESCAPE = len(r"\ud83d\ude00")  # bytes: one character, which must not be cut in two

_decode = msgspec.json.Decoder(str).decode


class LazyText:
    """The text of a JSON string, which can be iterated over any number of times.

    `literal` is the string with its quotes, in any buffer. The buffer is kept, and not copied.

    Raises:
        ValueError: `literal` is not a JSON string in UTF-8.
    """

    def __init__(self, literal: memoryview) -> None:
        self._literal = literal
        for _ in self:  # validate it now: a later iteration can't fail
            pass

    def __iter__(self) -> Iterator[str]:
        """Yield the pieces of the text. None is empty."""
        start, end = 1, len(self._literal) - 1
        if end < 1 or bytes(self._literal[:1]) + bytes(self._literal[end:]) != b'""':
            raise ValueError("not a JSON string")
        while start < end:
            piece, start = self._piece(start, min(start + PIECE, end))
            yield piece

    def _piece(self, start: int, upto: int) -> tuple[str, int]:
        """Return the text from `start` up to `upto`, and where the text ends.

        The text ends a little before `upto` if that is within a character or an escape: JSON that
        is cut there can't be decoded.
        """
        for end in range(upto, max(start, upto - _LONGEST_ESCAPE), -1):
            with suppress(ValueError):
                return _decode(b"".join((b'"', self._literal[start:end], b'"'))), end
        raise ValueError("not a JSON string in UTF-8")
