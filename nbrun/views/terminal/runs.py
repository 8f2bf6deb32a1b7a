"""The list of runs."""

from typing import Any

import msgspec
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from nbrun.views.text import phrases
from nbrun.views.text.sanitize import plain

_STYLES = {"completed": "green", "failed": "red", "cancelled": "yellow"}


class RunLine(msgspec.Struct, frozen=True, kw_only=True):
    """One run. `status`: its outcome, else `running`, `interrupted` or what is wrong with it;
    `kernel_alive`: it was interrupted, and its kernel is still running; `started` RFC 3339;
    `duration` in seconds; `off_script` and `duration` None until it ends."""

    run: str
    runbook: str = ""
    parameters: dict[str, Any] = {}
    operator: str = ""
    started: str = ""
    duration: float | None = None
    status: str = ""
    off_script: bool | None = None
    kernel_alive: bool = False


def listing(lines: list[RunLine], where: str) -> RenderableType:
    """Two lines a run, in the order given: an id and what became of it, then what it was. An id is
    never cut, so that it can be copied. `where` is the folder, named when there are no runs."""
    if not lines:
        return Text(plain(f"no runs in {where}"))
    return _Listing(lines)


class _Listing:
    """Makes what rich prints itself: laying each of ten thousand lines out takes it a second."""

    def __init__(self, lines: list[RunLine]) -> None:
        self._lines = lines

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(len(line.run) for line in self._lines) + 2
        for line in self._lines:
            yield Segment(plain(line.run).ljust(width))
            yield Segment(plain(_status(line)), _style(console, line))
            took = "" if line.duration is None else f" · {phrases.duration(line.duration)}"
            yield Segment(f"{took}\n")
            facts = "    " + "  ".join(plain(fact) for fact in _facts(line) if fact)
            if len(facts) * 2 <= options.max_width or cell_len(facts) <= options.max_width:
                yield Segment(f"{facts}\n", console.get_style("dim"))
            else:
                yield Text(facts, style="dim")


def _status(line: RunLine) -> str:
    status = f"{line.status}, off script" if line.off_script else line.status
    return status + ", its kernel is still alive" * line.kernel_alive


def _style(console: Console, line: RunLine) -> Style:
    return console.get_style("yellow" if line.off_script else _STYLES.get(line.status, "none"))


def _facts(line: RunLine) -> tuple[str, ...]:
    """What it was, each fact a text."""
    parameters = (f"{name}={value}" for name, value in line.parameters.items())
    started = f"{phrases.timestamp(line.started)} by {line.operator}" if line.started else ""
    return (line.runbook, *parameters, started)
