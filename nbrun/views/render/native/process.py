"""The child process for native code: a crash, a hang or a flood of memory ends only the child.

A picture or page from a kernel can crash a parser written in C or Rust, or keep it busy for hours.
Neither raises an exception, and Ctrl-C does not end it.
"""

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import IO

from nbrun.views.render.native import worker

_TIME_LIMIT = 5.0  # seconds of processor time for one call
_LEAST_TIME_LIMIT = 0.5  # the same, after others have used up theirs
_SLOWER = 6  # how many times as long a call may take on a busy machine
_MAX_RESULT = 200_000_000  # bytes

Pipe = Sequence[IO[bytes]]


class NativeError(Exception):
    """Native code did not return a result."""


class RefusedError(NativeError):
    """The input is not what the native code reads, such as a broken picture."""


class BoundedProcess:
    """A child process that is started at the first call, and again after it was ended.

    Each call that takes too long halves the time of the next ones: a cell can send thousands.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._limit = _TIME_LIMIT
        self._lock = threading.Lock()

    def call(self, task: str, data: bytes) -> bytes:
        """Return what `task`, one of `worker.TASKS`, makes of `data`.

        Raises:
            RefusedError: the task raised an exception.
            NativeError: the child crashed, used too much memory, or took too long.
        """
        with self._lock:
            try:
                word, result = self._exchange(worker.message(f"{task} {self._limit}", data))
            except BaseException:  # also Ctrl-C: half an answer must not be read by the next call
                self._kill()
                raise
        if word != worker.DONE:
            raise RefusedError(result.decode("utf-8", "replace"))
        return result

    def _exchange(self, request: bytes) -> tuple[str, bytes]:
        process = self._started()
        deadline = time.monotonic() + _SLOWER * self._limit
        assert process.stdin is not None  # noqa: S101  piped
        assert process.stdout is not None  # noqa: S101
        left = memoryview(request)
        while left:
            self._wait(deadline, to_write=[process.stdin])
            with suppress(BlockingIOError):
                try:
                    left = left[os.write(process.stdin.fileno(), left) :]
                except BrokenPipeError:
                    raise self._failure(process) from None
        received = bytearray()
        while len(received) <= _MAX_RESULT:
            self._wait(deadline, to_read=[process.stdout])
            part = os.read(process.stdout.fileno(), 1 << 20)
            if not part:
                raise self._failure(process)
            received += part
            result = worker.complete_message(received)
            if result is not None:
                return result
        raise NativeError("the result is too large")

    def _wait(self, deadline: float, *, to_read: Pipe = (), to_write: Pipe = ()) -> None:
        if not any(select.select(to_read, to_write, [], max(0.0, deadline - time.monotonic()))):
            raise self._too_slow()

    def _too_slow(self) -> NativeError:
        took, self._limit = self._limit, max(_LEAST_TIME_LIMIT, self._limit / 2)
        return NativeError(f"it took more than {took:g} s")

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(  # noqa: S603  Python, and nbrun's own module
                # -P: modules in the working directory must not shadow Python's own
                [sys.executable, "-P", "-m", worker.__name__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                start_new_session=True,  # Ctrl-C on the terminal is not for the child
            )
            assert self._process.stdin is not None  # noqa: S101  piped
            os.set_blocking(self._process.stdin.fileno(), False)
        return self._process

    def _failure(self, process: subprocess.Popen[bytes]) -> NativeError:
        """Return why the child has ended."""
        with suppress(subprocess.TimeoutExpired):
            process.wait(1.0)
        code = process.returncode
        if code == -signal.SIGPROF:
            return self._too_slow()
        how = f"was ended by {signal.Signals(-code).name}" if code and code < 0 else "ended"
        return NativeError(f"the process that draws it {how}")

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()


call = BoundedProcess().call
