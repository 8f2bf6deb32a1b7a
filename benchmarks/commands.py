"""Measure commands that run no notebook: help, completion, and the readers of records."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import timed_command
from benchmarks.errors import BenchmarkError
from benchmarks.metrics import Metrics
from benchmarks.runners import Workspace

_BIN = Path(sys.executable).parent


def run_short(
    workspace: Workspace,
    program: str,
    *arguments: str,
    expected: str,
    environment: dict[str, str] | None = None,
) -> Metrics:
    """Measure the seconds that a command takes on a terminal.

    Raises:
        BenchmarkError: the output does not contain `expected`.
    """
    done = timed_command.run_on_terminal(
        [str(_BIN / program), *arguments],
        environment=workspace.environment() | (environment or {}),
        folder=workspace.folder,
    )
    if expected not in done.output:
        raise BenchmarkError(
            f"{program} {' '.join(arguments)}: did not print {expected!r}: {done.output}"
        )
    return {"seconds": done.seconds}


def run_reader(
    workspace: Workspace,
    arguments: Sequence[str],
    *,
    events: int,
    is_complete: Callable[[Path], bool],
) -> Metrics:
    """Measure an nbrun command that reads `events` events and prints into a file.

    Returns `seconds` of the whole command, `events/s`, and `peak` in MiB.

    Raises:
        BenchmarkError: `is_complete` returns False for the file.
    """
    printed = workspace.folder / "printed"
    done = timed_command.run_to_file(
        [str(_BIN / "nbrun"), *arguments],
        environment=workspace.environment(),
        folder=workspace.folder,
        file=printed,
    )
    if not is_complete(printed):
        raise BenchmarkError(f"nbrun {' '.join(arguments)}: unexpected output in {printed}")
    peak = sum(usage.peak for usage in done.usage.values())
    return {"seconds": done.seconds, "events/s": events / done.seconds, "peak": peak}
