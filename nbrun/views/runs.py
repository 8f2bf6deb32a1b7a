"""The list of runs."""

from typing import Any

import msgspec
from rich.console import Group, RenderableType
from rich.text import Text

from nbrun.views import wording
from nbrun.views.ansi import plain

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
    widest = max(len(line.run) for line in lines)
    return Group(*(part for line in lines for part in _entry(line, widest)))


def _entry(line: RunLine, width: int) -> tuple[Text, Text]:
    status = f"{line.status}, off script" if line.off_script else line.status
    status += ", its kernel is still alive" * line.kernel_alive
    took = "" if line.duration is None else f" · {wording.duration(line.duration)}"
    head = Text(plain(line.run).ljust(width + 2), no_wrap=True, overflow="ignore")
    head.append(plain(status), style="yellow" if line.off_script else _STYLES.get(line.status, ""))
    head.append(took)
    parameters = (f"{name}={value}" for name, value in line.parameters.items())
    started = f"{wording.moment(line.started)} by {line.operator}" if line.started else ""
    facts = (line.runbook, *parameters, started)
    return head, Text("    " + "  ".join(plain(fact) for fact in facts if fact), style="dim")
