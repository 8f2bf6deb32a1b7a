"""The commands that run no notebook, measured: help, completion, and what reads records."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import measuring
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Figures
from benchmarks.runners import Desk

_BIN = Path(sys.executable).parent


def answer(
    desk: Desk,
    program: str,
    *arguments: str,
    awaited: str,
    environment: dict[str, str] | None = None,
) -> Figures:
    """The seconds that a command takes on a terminal; `awaited` is a part of what it says.

    Raises:
        BenchmarkError: it said something else.
    """
    found = measuring.on_terminal(
        [str(_BIN / program), *arguments],
        environment=desk.environment() | (environment or {}),
        folder=desk.folder,
    )
    if awaited not in found.said:
        raise BenchmarkError(f"{program} {' '.join(arguments)}: said no {awaited!r}: {found.said}")
    return {"seconds": found.seconds}


def read(
    desk: Desk, arguments: Sequence[str], *, events: int, is_whole: Callable[[Path], bool]
) -> Figures:
    """What an nbrun command that reads `events` events takes to print into a file, which
    `is_whole` looks at: `seconds`, of the whole command, and `events/s`."""
    printed = desk.folder / "printed"
    found = measuring.to_file(
        [str(_BIN / "nbrun"), *arguments],
        environment=desk.environment(),
        folder=desk.folder,
        file=printed,
    )
    if not is_whole(printed):
        raise BenchmarkError(
            f"nbrun {' '.join(arguments)}: did not print what it was to: {printed}"
        )
    peak = sum(usage.peak for usage in found.usage.values())
    return {"seconds": found.seconds, "events/s": events / found.seconds, "peak": peak}
