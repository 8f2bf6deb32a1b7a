"""Run one command and measure its duration, when it shows a text, and what it costs."""

import os
import pty
import select
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.errors import BenchmarkError
from benchmarks.process_sampler import PERIOD, ProcessSampler, Usage

_WINDOW = (50, 120)  # rows and columns of the terminal
_TIMEOUT = 1800.0  # seconds that a command may take
_LINGER = 30.0  # seconds that processes may outlive the command
_READ_PAUSE = PERIOD / 10  # seconds
_MAX_OUTPUT = 1 << 20  # bytes of terminal output to keep, from its end


@dataclass(frozen=True)
class Measurement:
    """The measurement of one command.

    `seconds`: from the start of the command to its end.
    `shown_at`: seconds from the start until the awaited text was shown; None if it never was.
    `started_at`: by `time.time()`.
    `output`: the end of what the command wrote to the terminal.
    `usage`: by role of the process; see `process_sampler`.
    """

    seconds: float
    shown_at: float | None
    started_at: float
    output: str
    usage: Mapping[str, Usage]


def run_on_terminal(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    awaited: str = "",
) -> Measurement:
    """Run `command` on a terminal of its own that reads all output at once.

    Raises:
        BenchmarkError: the command failed or did not end.
    """
    controller, terminal = pty.openpty()
    with suppress(termios.error):
        termios.tcsetwinsize(terminal, _WINDOW)
    try:
        run = _TimedCommand(
            command, environment, folder, stdout=terminal, controller=controller, awaited=awaited
        )
        return run.measure()
    finally:
        os.close(controller)


def run_to_file(
    command: Sequence[str], *, environment: Mapping[str, str], folder: Path, file: Path
) -> Measurement:
    """Run `command` with its stdout in `file`.

    Raises:
        BenchmarkError: the command failed or did not end.
    """
    with file.open("wb") as target:
        return _TimedCommand(command, environment, folder, stdout=target.fileno()).measure()


class _TimedCommand:
    """One command, from its start to the end of every process that it started."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        *,
        stdout: int,
        controller: int | None = None,
        awaited: str = "",
    ) -> None:
        """`controller` is the other end of `stdout` if that is a terminal."""
        self._command = command
        self._environment = environment
        self._folder = folder
        self._awaited = awaited.encode()
        self._controller = controller
        self._stdout = stdout
        self._output = bytearray()
        self._shown_at: float | None = None
        self._start_time = 0.0

    def measure(self) -> Measurement:
        started_at = time.time()
        self._start_time = time.monotonic()
        process = self._start()
        sampler = ProcessSampler(process.pid)
        self._wait(process, sampler)
        seconds = time.monotonic() - self._start_time
        self._read(0.0)
        if process.returncode:
            raise self._failed(f"exited with {process.returncode}")
        self._wait_for_children(sampler)
        return Measurement(
            seconds,
            self._shown_at,
            started_at,
            self._output.decode("utf-8", "replace"),
            sampler.by_role(),
        )

    def _start(self) -> "subprocess.Popen[bytes]":
        """Start the command. On a terminal it gets all three streams; with a file, only stdout."""
        on_terminal = self._controller is not None
        try:
            return subprocess.Popen(
                self._command,
                stdin=self._stdout if on_terminal else subprocess.DEVNULL,
                stdout=self._stdout,
                stderr=self._stdout if on_terminal else subprocess.DEVNULL,
                env=dict(self._environment),
                cwd=self._folder,
                start_new_session=True,
            )
        finally:
            if on_terminal:
                os.close(self._stdout)

    def _wait(self, process: "subprocess.Popen[bytes]", sampler: ProcessSampler) -> None:
        while process.poll() is None:
            sampler.sample()
            if time.monotonic() - self._start_time > _TIMEOUT:
                process.kill()
                process.wait()
                raise self._failed(f"did not end in {_TIMEOUT:g} s")
            self._read(PERIOD)

    def _read(self, timeout: float) -> None:
        """Read what is on the terminal, or arrives there within `timeout` seconds."""
        if self._controller is None:
            time.sleep(min(timeout, _READ_PAUSE))
            return
        while select.select([self._controller], [], [], timeout)[0]:
            try:
                self._output += os.read(self._controller, 1 << 16)
            except OSError:  # no process has the terminal open any more
                time.sleep(min(timeout, _READ_PAUSE))
                return
            timeout = 0.0
            if self._shown_at is None and self._awaited and self._awaited in self._output:
                self._shown_at = time.monotonic() - self._start_time
        del self._output[:-_MAX_OUTPUT]

    def _wait_for_children(self, sampler: ProcessSampler) -> None:
        """Wait for processes that the command left. They would disturb the next measurement."""
        deadline = time.monotonic() + _LINGER
        while sampler.alive():
            sampler.sample()
            if time.monotonic() > deadline:
                raise self._failed("left processes that do not end")
            time.sleep(PERIOD / 5)

    def _failed(self, problem: str) -> BenchmarkError:
        end = self._output.decode("utf-8", "replace").strip()[-2000:]
        return BenchmarkError(f"{' '.join(self._command)} {problem}: {end}")
