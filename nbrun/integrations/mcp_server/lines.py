"""The lines of a client on stdin, each of bounded length."""

from typing import BinaryIO

LONGEST = 1 << 20  # bytes of one message


class BoundedLines:
    """Read lines of UTF-8. A line that is too long is dropped, and read as one that is not JSON."""

    def __init__(self, stream: BinaryIO, longest: int = LONGEST) -> None:
        self._stream = stream
        self._longest = longest

    def readline(self) -> str:
        """Return the next line, or an empty text at the end of the stream."""
        line = self._stream.readline(self._longest)
        if len(line) < self._longest or line.endswith(b"\n"):
            return line.decode("utf-8", "replace")
        while line and not line.endswith(b"\n"):
            line = self._stream.readline(self._longest)
        return "a message was too long\n"
