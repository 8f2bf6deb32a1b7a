"""A pipe that wakes a thread waiting in select or poll."""

import os
from contextlib import suppress

_CHUNK = 4096  # bytes read at once


class WakeupPipe:
    """A pipe whose read end is registered with a selector or poller.

    `wake` may be called from another thread or from a signal handler: it only writes one byte, and
    never blocks. Call `close` when no thread can call `wake` any more.
    """

    def __init__(self) -> None:
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        os.set_blocking(self._write_end, False)

    def fileno(self) -> int:
        """Return the read end, readable after `wake` until `drain`."""
        return self._read_end

    def wake(self) -> None:
        """Make the pipe readable."""
        with suppress(BlockingIOError):  # a full pipe is readable as well
            os.write(self._write_end, b"\0")

    def drain(self) -> None:
        """Make the pipe unreadable until the next `wake`.

        Call it before looking for work, never after: a `wake` in between would be lost.
        """
        with suppress(BlockingIOError):
            while len(os.read(self._read_end, _CHUNK)) == _CHUNK:
                pass

    def close(self) -> None:
        """Close both ends."""
        os.close(self._read_end)
        os.close(self._write_end)
