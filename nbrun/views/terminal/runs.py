"""The list of runs that `nbrun runs` prints."""

from typing import Any

import msgspec
from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from nbrun.views.text import phrases
from nbrun.views.text.sanitize import plain

_STYLES = {"completed": "green", "failed": "red", "cancelled": "yellow", "waiting": "magenta"}


class WaitingRun(msgspec.Struct, frozen=True, kw_only=True):
    """Where and why a run waits for a person, since when (RFC 3339), and for whom."""

    place: str
    reason: str
    since: str
    waits_for: str


class ListedRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the list.

    `status`: the outcome; else `running`, `waiting`, `interrupted`, or what is wrong with the run.
    `kernel_alive`: the run was interrupted, and its kernel is still running. `started`: RFC 3339.
    `duration`: seconds. `off_script` and `duration` are None until the run ends. `owner`: whose
    run it is, if it is not this user's own; otherwise empty.
    """

    run: str
    runbook: str = ""
    parameters: dict[str, Any] = {}
    operator: str = ""
    started: str = ""
    duration: float | None = None
    status: str = ""
    off_script: bool | None = None
    kernel_alive: bool = False
    waiting: WaitingRun | None = None
    owner: str = ""


def listing(runs: list[ListedRun], runs_dir: str, *, waiting: bool = False) -> RenderableType:
    """Return two lines for each run, in the order given: id and status, then the facts.

    An id is never cut, so that it can be copied. `runs_dir` is named if there are no runs, and
    `waiting` says that only runs that wait are listed.
    """
    if not runs:
        return Text(plain(f"{'no run waits' if waiting else 'no runs'} in {runs_dir}"))
    return _Listing(runs)


class _Listing:
    """Yield segments directly: rich takes a second to lay out ten thousand lines."""

    def __init__(self, runs: list[ListedRun]) -> None:
        self._runs = runs

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(cell_len(plain(run.run)) for run in self._runs) + 2
        for run in self._runs:
            yield Segment(set_cell_size(plain(run.run), width))
            status, more, facts = texts(run)
            yield Segment(status, _style(console, run))
            yield Segment(f"{more}\n")
            if len(facts) * 2 <= options.max_width or cell_len(facts) <= options.max_width:
                yield Segment(f"{facts}\n", console.get_style("dim"))
            else:
                yield Text(facts, style="dim")


def texts(run: ListedRun) -> tuple[str, str, str]:
    """Return the status, what follows it on the first line, and the second line."""
    took = "" if run.duration is None else f" · {phrases.duration(run.duration)}"
    whose = f" · a run of {plain(run.owner)}" if run.owner else ""
    facts = "    " + "  ".join(plain(fact) for fact in _facts(run) if fact)
    return plain(_status(run)), took + whose, facts


def _status(run: ListedRun) -> str:
    if run.waiting:
        wait = run.waiting
        since = f"since {phrases.timestamp(wait.since)}"
        return f"waiting at {wait.place}: {wait.reason} · {since} · for {wait.waits_for}"
    status = f"{run.status}, off script" if run.off_script else run.status
    return status + ", its kernel is still alive" * run.kernel_alive


def _style(console: Console, run: ListedRun) -> Style:
    return console.get_style("yellow" if run.off_script else _STYLES.get(run.status, "none"))


def _facts(run: ListedRun) -> tuple[str, ...]:
    """The facts of the second line."""
    parameters = (f"{name}={value}" for name, value in run.parameters.items())
    started = f"{phrases.timestamp(run.started)} by {run.operator}" if run.started else ""
    return (run.runbook, *parameters, started)
