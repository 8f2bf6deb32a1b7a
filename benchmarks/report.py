"""Show the measurements as a table and as JSON."""

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

from benchmarks.metrics import Spread, Verdict, column, measured, spread
from benchmarks.process_sampler import ROLES
from benchmarks.turns import Result

_VERSIONS = ("nbrun-cli", "papermill", "nbclient", "jupyter-client", "ipykernel", "pyzmq", "rich")
_ROLE_METRICS = {f"{kind} {role}" for kind in ("cpu", "peak") for role in ROLES}
_SHOWN = ("seconds", "first output", "seconds a cell", "events/s", "peak by output")


def tables(results: Sequence[Result]) -> Group:
    """Render a table per workload with a row per contestant, and the workload's goals below it.

    Each value is the median of the turns, with the lowest and the highest.
    """
    return Group(*(part for result in results for part in _workload(result)))


def _workload(result: Result) -> Iterator[RenderableType]:
    yield Text(result.workload.description, style="bold")
    table = Table(box=None, pad_edge=False, show_header=False)
    for name in result.turns:
        values = [_value(result, name, metric) for metric in _shown_metrics(result, name)]
        roles = [_roles(result, name, kind) for kind in ("cpu", "peak")]
        table.add_row(f"  {name}", "; ".join(values), *roles)
    yield table
    for failure in result.failures:
        yield Text(f"  {failure[-300:]}", style="yellow")
    for verdict in result.verdicts:
        yield _verdict(verdict)
    yield Text()


def as_json(results: Sequence[Result]) -> dict[str, Any]:
    """Return every measurement, with the machine that it was taken on."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "works": [
            {
                "name": result.workload.name,
                "what": result.workload.description,
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
    """Return what the measurements depend on besides nbrun: the machine and library versions."""
    return {
        "system": platform.platform(),
        "processors": os.cpu_count(),
        "load": os.getloadavg(),
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in _VERSIONS},
    }


def _shown_metrics(result: Result, name: str) -> list[str]:
    known = {metric for turn in result.turns[name] for metric in turn}
    wanted = {goal.metric for goal in result.workload.goals} | {"seconds"}
    return [metric for metric in _SHOWN if metric in known and metric in wanted]


def _value(result: Result, name: str, metric: str) -> str:
    found = spread(measured(column(result.turns, name, metric)))
    unit = " s" if metric == "seconds" else f" {metric}"
    return f"{_numbers(found)}{unit}"


def _numbers(found: Spread) -> str:
    return f"{_number(found.median)} ({_number(found.lowest)} to {_number(found.highest)})"


def _number(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.2f}" if value >= 0.1 else f"{value:.4f}"


def _roles(result: Result, name: str, kind: str) -> str:
    """Return medians such as `CPU s: console 0.30, kernel 0.40`.

    A role is left out unless every turn has it.
    """
    turns = [turn for turn in result.turns[name] if turn]
    known = [metric for metric in (turns[0] if turns else ()) if metric.startswith(f"{kind} ")]
    parts = [
        f"{metric.removeprefix(f'{kind} ')} {_short(spread([t[metric] for t in turns]).median)}"
        for metric in known
        if metric in _ROLE_METRICS and all(metric in turn for turn in turns)
    ]
    unit = {"cpu": "CPU s", "peak": "peak MiB"}[kind]
    return f"{unit}: {', '.join(parts)}" if parts else ""


def _short(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def _verdict(verdict: Verdict) -> Text:
    result = "holds" if verdict.holds else "DOES NOT HOLD"
    style = "green" if verdict.holds else "bold red"
    found = _numbers(verdict.found) if verdict.found else "nothing was measured"
    return Text(f"  goal: {verdict.goal}: {found}: {result}", style=style)


def _spread(verdict: Verdict) -> dict[str, float] | None:
    return asdict(verdict.found) if verdict.found else None
