"""A supervisor started in a process of its own, its order, and its answer.

It is started before this process imports the command line and what encodes the order, so that both
import at once: little is imported here.
"""

import select
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from nbrun.errors import ExitCode, NbrunError

if TYPE_CHECKING:
    from nbrun.journal.run_directory import RunDirectory
    from nbrun.supervisor.requests import Order


# Seconds after which SIGTERM is sent once more: Python acts on a signal by raising an exception,
# which is lost where it meets code that can't raise: a finalizer, a callback of an import.
_AGAIN = 1.0


class DeclinedError(NbrunError):
    """The supervisor will not carry out its order; the message is its own."""

    def __init__(self, why: str, exit_code: int) -> None:
        super().__init__(why)
        self.exit_code = ExitCode(exit_code)


class Spawned:
    """A supervisor that waits for its order; without one it ends by itself."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._begun: RunDirectory | None = None

    def order(self, order: "Order") -> None:
        """Hand it `order`: not in its arguments or environment, which other users could see."""
        from nbrun.supervisor import requests

        assert self.process.stdin is not None  # noqa: S101  piped below
        with suppress(BrokenPipeError):  # it ended at once: what it said of that is read below
            self.process.stdin.write(requests.encoded(order))
            self.process.stdin.close()

    def directory(self) -> "RunDirectory":
        """Wait for the answer: the folder of the run that has begun.

        Raises:
            DeclinedError: nothing was run.
            NbrunError: it ended without an answer.
        """
        if self._begun is None:
            self._begun = self._answer()
        return self._begun

    def _answer(self) -> "RunDirectory":
        from pathlib import Path

        from nbrun.journal.run_directory import RunDirectory
        from nbrun.supervisor import requests

        assert self.process.stdout is not None  # noqa: S101  piped below
        assert self.process.stderr is not None  # noqa: S101
        line = self.process.stdout.readline()
        if not line:
            said = self.process.stderr.read().decode("utf-8", "replace").strip()
            raise NbrunError(f"the run's supervisor ended before the run began: {said}")
        answer = requests.answer(line)
        if isinstance(answer, requests.Accepted):
            return RunDirectory(Path(answer.directory))
        raise DeclinedError(answer.why, answer.exit_code)

    def give_up(self) -> "RunDirectory":
        """After Ctrl-C: end the supervisor. The folder of a run that had begun by then, which is
        cancelled by that.

        Raises:
            KeyboardInterrupt: none had.
        """
        assert self.process.stdin is not None  # noqa: S101  piped below
        assert self.process.stdout is not None  # noqa: S101
        with suppress(OSError):
            self.process.stdin.close()
        self.process.terminate()
        while not select.select([self.process.stdout], [], [], _AGAIN)[0]:
            self.process.terminate()
        try:
            return self.directory()
        except NbrunError:
            raise KeyboardInterrupt from None


_ahead: list[Spawned] = []


def spawn_ahead() -> None:
    """Start the supervisor that `spawn` will be asked for."""
    _ahead.append(_spawned())


def spawn() -> Spawned:
    """Start a supervisor that outlives this process and its terminal, if there is none ahead."""
    return _ahead.pop() if _ahead else _spawned()


def _spawned() -> Spawned:
    return Spawned(
        subprocess.Popen(
            # -P: no module of the folder that it is started in is taken for one of Python's
            [sys.executable, "-P", "-m", "nbrun.supervisor.main"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    )
