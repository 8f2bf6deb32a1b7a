"""What was measured, as a table for people and as JSON."""

import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from benchmarks.figures import Spread, Verdict, column, measured, spread
from benchmarks.sampling import ROLES
from benchmarks.turns import Result

_VERSIONS = ("nbrun-cli", "papermill", "nbclient", "jupyter-client", "ipykernel", "pyzmq", "rich")
_ROLES = {f"{what} {role}" for what in ("cpu", "peak") for role in ROLES}
_SHOWN = ("seconds", "first output", "seconds a cell", "events/s", "peak by output")


def tables(results: Sequence[Result]) -> Group:
    """A table a work, a row a contestant, and its goals below. A figure is the median of the turns,
    with the lowest and the highest."""
    return Group(*(part for result in results for part in _work(result)))


def _work(result: Result) -> Iterator[RenderableType]:
    yield Text(result.work.what, style="bold")
    made = Table(box=None, pad_edge=False, show_header=False)
    for name in result.turns:
        told = [_told(result, name, figure) for figure in _figures(result, name)]
        roles = [_roles(result, name, what) for what in ("cpu", "peak")]
        made.add_row(f"  {name}", "; ".join(told), *roles)
    yield made
    for failure in result.failures:
        yield Text(f"  {failure[-300:]}", style="yellow")
    for verdict in result.verdicts:
        yield _verdict(verdict)
    yield Text()


def as_json(results: Sequence[Result]) -> dict[str, Any]:
    """Everything, with the machine that it was measured on."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "works": [
            {
                "name": result.work.name,
                "what": result.work.what,
                "turns": result.turns,
                "failures": result.failures,
                "goals": [
                    {"goal": str(each.goal), "found": _spread(each), "holds": each.holds}
                    for each in result.verdicts
                ],
            }
            for result in results
        ],
    }


def machine() -> dict[str, Any]:
    """What the figures depend on besides the programs."""
    return {
        "system": platform.platform(),
        "processors": os.cpu_count(),
        "load": os.getloadavg(),
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in _VERSIONS},
    }


def _figures(result: Result, name: str) -> list[str]:
    known = {figure for turn in result.turns[name] for figure in turn}
    wanted = {goal.figure for goal in result.work.goals} | {"seconds"}
    return [figure for figure in _SHOWN if figure in known and figure in wanted]


def _told(result: Result, name: str, figure: str) -> str:
    found = spread(measured(column(result.turns, name, figure)))
    unit = " s" if figure == "seconds" else f" {figure}"
    return f"{_numbers(found)}{unit}"


def _numbers(found: Spread) -> str:
    return f"{_number(found.median)} ({_number(found.lowest)} to {_number(found.highest)})"


def _number(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.2f}" if value >= 0.1 else f"{value:.4f}"


def _roles(result: Result, name: str, what: str) -> str:
    """`cpu s: console 0.30, kernel 0.40`: medians, of the roles that were seen in every turn."""
    turns = [turn for turn in result.turns[name] if turn]
    known = [figure for figure in (turns[0] if turns else ()) if figure.startswith(f"{what} ")]
    parts = [
        f"{figure.removeprefix(f'{what} ')} {_short(spread([t[figure] for t in turns]).median)}"
        for figure in known
        if figure in _ROLES and all(figure in turn for turn in turns)
    ]
    unit = {"cpu": "CPU s", "peak": "peak MiB"}[what]
    return f"{unit}: {', '.join(parts)}" if parts else ""


def _short(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def _verdict(verdict: Verdict) -> Text:
    told = "holds" if verdict.holds else "DOES NOT HOLD"
    style = "green" if verdict.holds else "bold red"
    found = _numbers(verdict.found) if verdict.found else "nothing was measured"
    return Text(f"  goal: {verdict.goal}: {found}: {told}", style=style)


def _spread(verdict: Verdict) -> dict[str, float] | None:
    return asdict(verdict.found) if verdict.found else None
