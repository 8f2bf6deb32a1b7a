"""Work that a second process does beside this one, on the bytes that this one reads."""

import fcntl
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import NoReturn, Self

_PIPE = 1 << 20  # bytes that wait in the pipe, where the system allows it: neither waits for long

Read = Callable[[int], bytes]  # as of a file: some bytes, no more than that, and none at the end
Work = Callable[[Read], bytes]


def is_possible() -> bool:
    """Whether there is a processor for it: with one alone, two processes are slower than one."""
    return (os.cpu_count() or 1) > 1


class Beside:
    """Does `work` in a process forked from this one. To be entered: when it is left, that process
    is gone, whatever happened. `work` must start no thread, and nothing that it changes is changed
    here: what it returns is `result`. Entering raises OSError where there can be no more processes.

    The process ends by itself when this one is killed: then there is nothing more to read, and
    nobody to tell.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._pid = 0
        self._to = self._back = -1

    def __enter__(self) -> Self:
        given, self._to = os.pipe()
        self._back, told = os.pipe()
        try:
            self._pid = os.fork()
        except OSError:
            for each in (given, self._to, self._back, told):
                os.close(each)
            raise
        if not self._pid:
            self._be_the_other(given, told)
        os.close(given)
        os.close(told)
        _widen(self._to)
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        self._say_no_more()
        os.close(self._back)

    def tell(self, piece: bytes) -> None:
        """Give it the next bytes; nothing where it takes no more."""
        left = memoryview(piece)
        try:
            while left and self._to >= 0:
                left = left[os.write(self._to, left) :]
        except BrokenPipeError:
            self._say_no_more()

    def result(self) -> bytes:
        """What it made of all that it was told. Nothing can be told afterwards.

        Raises:
            ChildProcessError: it ended without one.
        """
        self._say_no_more()
        with os.fdopen(os.dup(self._back), "rb") as file:
            found = file.read()
        if not found:
            raise ChildProcessError("the second process ended without a result")
        return found

    def _say_no_more(self) -> None:
        if self._to >= 0:
            os.close(self._to)
            self._to = -1

    def _be_the_other(self, given: int, told: int) -> NoReturn:
        """Never return into what this process was a copy of, nor print what it had yet to print."""
        try:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.close(self._to)
            os.close(self._back)
            found = self._work(lambda size: os.read(given, size))
            os.close(given)  # who would tell more must not wait
            with os.fdopen(told, "wb") as file:
                file.write(found)
        finally:
            os._exit(0)


def _widen(pipe: int) -> None:
    if hasattr(fcntl, "F_SETPIPE_SZ"):  # Linux
        with suppress(OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)
