"""A supervisor started in a process of its own, and what it answers to its order."""

import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nbrun import orders
from nbrun.errors import ExitCode, NbrunError
from nbrun.orders import Accepted, Order
from nbrun.run_directory import RunDirectory


class DeclinedError(NbrunError):
    """The supervisor will not carry out its order; the message is its own."""

    def __init__(self, why: str, exit_code: int) -> None:
        super().__init__(why)
        self.exit_code = ExitCode(exit_code)


@dataclass(frozen=True)
class Launched:
    """A supervisor that has its order."""

    process: subprocess.Popen[bytes]

    def directory(self) -> RunDirectory:
        """Wait for the answer: the folder of the run that has begun.

        Raises:
            DeclinedError: nothing was run.
            NbrunError: it ended without an answer.
        """
        assert self.process.stdout is not None  # noqa: S101  piped below
        assert self.process.stderr is not None  # noqa: S101
        line = self.process.stdout.readline()
        if not line:
            said = self.process.stderr.read().decode("utf-8", "replace").strip()
            raise NbrunError(f"the run's supervisor ended before the run began: {said}")
        answer = orders.answer(line)
        if isinstance(answer, Accepted):
            return RunDirectory(Path(answer.directory))
        raise DeclinedError(answer.why, answer.exit_code)


def launch(order: Order) -> Launched:
    """Start a supervisor that outlives this process and its terminal, and hand it `order`: not in
    its arguments or environment, which other users could see."""
    process = subprocess.Popen(
        # -P: no module of the folder that it is started in is taken for one of Python's
        [sys.executable, "-P", "-m", "nbrun.supervisor"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env=dict(os.environ),
    )
    assert process.stdin is not None  # noqa: S101  piped above
    with suppress(BrokenPipeError):  # it ended at once; what it said of it is read with the answer
        process.stdin.write(orders.encoded(order))
        process.stdin.close()
    return Launched(process)
