"""One command run and measured: how long it took, what it showed when, and what it cost."""

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
from benchmarks.sampling import PERIOD, Sampler, Usage

_WINDOW = (50, 120)  # rows and columns of the terminal
_LONGEST = 1800.0  # seconds that any command may take
_LINGER = 30.0  # seconds that processes which the command leaves may take to end
_KEPT = 1 << 20  # bytes of a terminal's text that are kept, from its end


@dataclass(frozen=True)
class Measured:
    """`seconds`: from the start of the command to its end; `shown_at`: when the text that was
    waited for was on the screen, in seconds after the start; `began`: by time.time(); `said`: the
    end of what it wrote to the terminal; `usage`: by role (see `sampling`)."""

    seconds: float
    shown_at: float | None
    began: float
    said: str
    usage: Mapping[str, Usage]


def on_terminal(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    awaited: str = "",
) -> Measured:
    """Run `command` with a terminal of its own that takes whatever it writes at once.

    Raises:
        BenchmarkError: it failed, or did not end.
    """
    keyboard, screen = pty.openpty()
    with suppress(termios.error):
        termios.tcsetwinsize(screen, _WINDOW)
    try:
        run = _Run(command, environment, folder, stdout=screen, terminal=keyboard, awaited=awaited)
        return run.measure()
    finally:
        os.close(keyboard)


def to_file(
    command: Sequence[str], *, environment: Mapping[str, str], folder: Path, file: Path
) -> Measured:
    """Run `command` with stdout into `file`. Raises as `on_terminal` does."""
    with file.open("wb") as target:
        return _Run(command, environment, folder, stdout=target.fileno()).measure()


class _Run:
    """One command on its way from its start to the end of all that it started."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        *,
        stdout: int,
        terminal: int | None = None,
        awaited: str = "",
    ) -> None:
        """`stdout`: where it writes to; `terminal`: where that is read, if it is a terminal."""
        self._command = command
        self._environment = environment
        self._folder = folder
        self._awaited = awaited.encode()
        self._terminal = terminal
        self._stdout = stdout
        self._said = bytearray()
        self._shown_at: float | None = None
        self._began = 0.0

    def measure(self) -> Measured:
        now = time.time()
        self._began = time.monotonic()
        process = self._start()
        sampler = Sampler(process.pid)
        self._follow(process, sampler)
        seconds = time.monotonic() - self._began
        self._read(0.0)
        if process.returncode:
            raise self._failed(f"ended with {process.returncode}")
        self._wait_for_the_rest(sampler)
        return Measured(
            seconds, self._shown_at, now, self._said.decode("utf-8", "replace"), sampler.by_role()
        )

    def _start(self) -> "subprocess.Popen[bytes]":
        """What goes to a terminal is all on it; with a file, stderr is out of the way."""
        on_terminal = self._terminal is not None
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

    def _follow(self, process: "subprocess.Popen[bytes]", sampler: Sampler) -> None:
        while process.poll() is None:
            sampler.look()
            if time.monotonic() - self._began > _LONGEST:
                process.kill()
                process.wait()
                raise self._failed(f"did not end in {_LONGEST:g} s")
            self._read(PERIOD)

    def _read(self, patience: float) -> None:
        """What has come on the terminal, or within `patience` seconds does."""
        if self._terminal is None:
            time.sleep(min(patience, PERIOD / 10))
            return
        while select.select([self._terminal], [], [], patience)[0]:
            try:
                self._said += os.read(self._terminal, 1 << 16)
            except OSError:  # nobody has it open any more
                time.sleep(min(patience, PERIOD / 10))
                return
            patience = 0.0
            if self._shown_at is None and self._awaited and self._awaited in self._said:
                self._shown_at = time.monotonic() - self._began
        del self._said[:-_KEPT]

    def _wait_for_the_rest(self, sampler: Sampler) -> None:
        """What it left running belongs to it, and would disturb what is measured next."""
        deadline = time.monotonic() + _LINGER
        while sampler.alive():
            sampler.look()
            if time.monotonic() > deadline:
                raise self._failed("left processes that do not end")
            time.sleep(PERIOD / 5)

    def _failed(self, what: str) -> BenchmarkError:
        end = self._said.decode("utf-8", "replace").strip()[-2000:]
        return BenchmarkError(f"{' '.join(self._command)} {what}: {end}")
