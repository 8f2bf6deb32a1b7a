"""A command of the operator's that may take only so long, and ends with everything it started."""

import os
import secrets
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from typing import IO

from nbrun.system import processes

_MARK = "NBRUN_COMMAND"  # a variable by which the processes that a command starts are found
_LOOK = 0.02  # seconds between two looks at a running command
_READ = 2**16  # bytes of stderr read at each look: a command that floods it has to wait
_KEPT = 1000  # bytes of the end of stderr


class CommandEndedError(Exception):
    """The command was killed, or not started: its time was up, or `close` was called."""


class LimitedCommand:
    """Runs the same command again and again, once at a time, without a shell.

    Its stdout is discarded, and of stderr only the end is kept.
    """

    def __init__(
        self, words: Sequence[str], *, cwd: str | None = None, kill_leftovers: bool = False
    ) -> None:
        """`kill_leftovers`: what the command leaves running is killed when it exits."""
        self._words = list(words)
        self._cwd = cwd
        self._kill_leftovers = kill_leftovers
        self._mark = (_MARK, secrets.token_hex(8))
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False

    def run(
        self, stdin: bytes | IO[bytes], environment: Mapping[str, str], seconds: float
    ) -> tuple[int, str]:
        """Return the exit code and the end of what the command printed on stderr.

        The command need not read what it gets on stdin.

        Raises:
            CommandEndedError: it did not end within `seconds`, or `close` was called.
            OSError: it can't be started.
        """
        process = self._start(stdin, environment)
        try:
            in_time, printed = _Talk(process, stdin if isinstance(stdin, bytes) else b"").hold(
                seconds
            )
        finally:
            self._end(process)
        if not in_time:
            raise CommandEndedError(f"did not end within {seconds:.0f} s")
        if self._closed:
            raise CommandEndedError("the run has ended")
        return process.returncode, printed.decode("utf-8", "replace").strip()[-200:]

    def close(self) -> None:
        """Kill the command if it runs, with everything that it started. Start no other."""
        with self._lock:
            self._closed = True
            if self._process is not None:
                processes.kill_family(self._process.pid, self._mark)

    def _start(
        self, stdin: bytes | IO[bytes], environment: Mapping[str, str]
    ) -> "subprocess.Popen[bytes]":
        name, value = self._mark
        with self._lock:
            if self._closed:
                raise CommandEndedError("the run has ended")
            self._process = subprocess.Popen(  # noqa: S603  the operator's own command
                self._words,
                stdin=subprocess.PIPE if isinstance(stdin, bytes) else stdin,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
                cwd=self._cwd,
                env={**environment, name: value},
            )
            return self._process

    def _end(self, process: "subprocess.Popen[bytes]") -> None:
        """Kill what has to end, and then reap the process: until then, its number is its own."""
        if self._kill_leftovers or processes.exists(process.pid):
            processes.kill_family(process.pid, self._mark)
        with self._lock:
            self._process = None  # `close` must not signal a number that was given away
        process.wait()


class _Talk:
    """What a command reads and prints, without a wait for a pipe.

    A child of the command may keep a pipe open, and the command may never read.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", stdin: bytes) -> None:
        self._process = process
        self._unsent = memoryview(stdin)
        self._printed = b""

    def hold(self, seconds: float) -> tuple[bool, bytes]:
        """Return once the process has exited, or False after `seconds`; and what it printed."""
        stdin, stderr = self._process.stdin, self._process.stderr
        assert stderr is not None  # noqa: S101  piped
        os.set_blocking(stderr.fileno(), False)
        if stdin is not None:
            os.set_blocking(stdin.fileno(), False)
        deadline = time.monotonic() + seconds
        with stderr, stdin or nullcontext():
            while in_time := time.monotonic() < deadline:
                self._send()
                exited = not processes.exists(self._process.pid)
                self._receive(stderr.fileno())
                if exited:
                    break
                time.sleep(_LOOK)
        return in_time, self._printed

    def _send(self) -> None:
        stdin = self._process.stdin
        if stdin is None or stdin.closed:
            return
        try:
            self._unsent = self._unsent[os.write(stdin.fileno(), self._unsent) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._unsent = self._unsent[:0]
        if not self._unsent:
            stdin.close()

    def _receive(self, stderr: int) -> None:
        with suppress(BlockingIOError):
            self._printed = (self._printed + os.read(stderr, _READ))[-_KEPT:]
