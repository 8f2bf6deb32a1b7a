"""stdin, stdout and stderr that may be closed, or go away while a command writes to them.

Python answers a closed pipe, a full disk or a lost terminal with a traceback, or with exit code 120
when it flushes a last time at exit. `protect` replaces the streams: a command's work and its exit
code do not depend on who reads its output. This module imports little, since `nbrun --version`
waits for its imports.
"""

import errno
import io
import os
import select
import sys

TYPE_CHECKING = False  # not typing's, which `entry` does without
if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_NAMES = ("stdin", "stdout", "stderr")  # by file descriptor


class OutputLostError(OSError):
    """Nothing more can be written to stdout (see `raise_if_stdout_is_lost`)."""


class OutputStream(io.FileIO):
    """A standard stream that discards what it can't write.

    Attributes:
        cause: the first error of a write, after which nothing is written; None if there was none.
        notice: printed on stderr together with the cause, as soon as the stream is lost.
        raises: raise OutputLostError instead of discarding.
    """

    def __init__(self, fd: int, cause: OSError | None) -> None:
        super().__init__(fd, "w", closefd=False)
        self.cause = cause
        self.notice = ""
        self.raises = False
        self._is_noticed = False

    def write(self, data: "ReadableBuffer", /) -> int:
        if self.cause is None:
            try:
                return self._write_some(data)
            except OSError as error:
                self.cause = error
        if self.notice:
            self.explain(self.notice)
        if self.raises and self.cause.errno != errno.EBADF:  # closed at the start, as /dev/null is
            raise OutputLostError(str(self.cause)) from self.cause
        return memoryview(data).nbytes

    def explain(self, notice: str = "") -> None:
        """Print once on stderr that the stream is lost, and why."""
        if self._is_noticed or self.cause is None:
            return
        self._is_noticed = True
        why = "is closed" if self.is_closed_by_reader else f"can't be written: {_words(self.cause)}"
        sys.stderr.write(f"nbrun: stdout {why}{notice and ': '}{notice}\n")
        sys.stderr.flush()

    @property
    def is_closed_by_reader(self) -> bool:
        """Return True if whoever read the stream has seen enough, as `| head` has."""
        return self.cause is not None and self.cause.errno in (errno.EPIPE, errno.EBADF)

    def _write_some(self, data: "ReadableBuffer") -> int:
        # None: another program has made the terminal or pipe non-blocking, and it is full.
        while (written := super().write(data)) is None:
            select.select([], [self], [])
        return written


def protect() -> None:
    """Make the standard streams of this process safe. Call it before anything opens a file.

    A closed stream is opened on /dev/null: the next file that is opened would take its number, and
    receive what is printed. A stream that is not the process's own, as in a test, is left alone.
    """
    closed = [fd for fd in range(3) if not _is_open(fd)]
    for _ in closed:  # the lowest first: it is the number that `os.open` returns
        os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115  open as long as the process
    for fd in (1, 2):
        stream = getattr(sys, _NAMES[fd])
        if stream is None or (isinstance(stream, io.TextIOWrapper) and stream.fileno() == fd):
            cause = OSError(errno.EBADF, os.strerror(errno.EBADF)) if fd in closed else None
            setattr(sys, _NAMES[fd], _wrap(OutputStream(fd, cause), stream))


def continue_without_stdout(notice: str) -> None:
    """Print `notice` on stderr if stdout is lost, and leave the exit code as it is."""
    stream = _output(sys.stdout)
    if stream is not None:
        stream.notice = notice


def raise_if_stdout_is_lost() -> None:
    """Make each write to a lost stdout raise OutputLostError, for commands that write for long."""
    stream = _output(sys.stdout)
    if stream is not None:
        stream.raises = True


def finish(code: int) -> int:
    """Flush the streams, and return the exit code of the process: `code`, or 1 instead of 0.

    It is 1 if output was lost for another reason than a reader who has seen enough, unless
    `continue_without_stdout` was called.
    """
    for stream in (sys.stdout, sys.stderr):
        if (output := _output(stream)) is not None:
            output.raises = False
            stream.flush()
    output = _output(sys.stdout)
    if output is None or output.cause is None or output.notice or output.is_closed_by_reader:
        return code
    output.explain()
    return code or 1


def _output(stream: object) -> OutputStream | None:
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    return raw if isinstance(raw, OutputStream) else None


def _wrap(raw: OutputStream, before: io.TextIOWrapper | None) -> io.TextIOWrapper:
    """Return a text stream on `raw` with the settings of the stream `before`, but buffered.

    With PYTHONUNBUFFERED, Python drops the rest of a write that a signal interrupts (a resize,
    Ctrl-Z and fg). A buffered writer retries.
    """
    buffered = io.BufferedWriter(raw)
    if before is None:
        return io.TextIOWrapper(buffered, "utf-8", "backslashreplace", line_buffering=True)
    by_line = before.line_buffering or before.write_through
    return io.TextIOWrapper(buffered, before.encoding, before.errors, line_buffering=by_line)


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def _words(error: OSError) -> str:
    return error.strerror or str(error)
