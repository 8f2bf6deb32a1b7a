"""The list of runs as a table."""

from typing import Any

import msgspec
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from nbrun.views import wording
from nbrun.views.ansi import plain

_STYLES = {"completed": "green", "failed": "red", "cancelled": "yellow"}


class RunLine(msgspec.Struct, frozen=True, kw_only=True):
    """One run. `status`: its outcome, else `running`, `interrupted` or what is wrong with it;
    `started` RFC 3339; `duration` in seconds; `off_script` and `duration` None until it ends."""

    run: str
    runbook: str = ""
    parameters: dict[str, Any] = {}
    operator: str = ""
    started: str = ""
    duration: float | None = None
    status: str = ""
    off_script: bool | None = None


def table(lines: list[RunLine], where: str) -> RenderableType:
    """A row a run, in the order given; `where` is the folder, named when there are none."""
    if not lines:
        return Text(plain(f"no runs in {where}"))
    shown = Table(box=None, pad_edge=False)
    for heading in (
        "run",
        "runbook",
        "parameters",
        "operator",
        "started",
        "took",
        "outcome",
        "script",
    ):
        shown.add_column(heading, overflow="fold")
    for line in lines:
        shown.add_row(*_cells(line))
    return shown


def _cells(line: RunLine) -> list[Text]:
    parameters = ", ".join(f"{name}={value}" for name, value in line.parameters.items())
    script = {None: "", True: "off", False: "on"}[line.off_script]
    return [
        Text(plain(line.run)),
        Text(plain(line.runbook)),
        Text(plain(parameters)),
        Text(plain(line.operator)),
        Text(wording.moment(line.started) if line.started else ""),
        Text("" if line.duration is None else wording.duration(line.duration)),
        Text(plain(line.status), style=_STYLES.get(line.status, "")),
        Text(script, style="yellow" if line.off_script else ""),
    ]
