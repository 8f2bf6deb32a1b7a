"""The header and the footer of a run on a terminal."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from nbrun.core import events as ev
from nbrun.core.model import SettingsFile
from nbrun.core.state import RunState
from nbrun.views.text import identities, phrases, runbook_facts
from nbrun.views.text.sanitize import plain


def facts(rows: list[tuple[str, str]]) -> Table:
    """Return a table with a name and a value on each line."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rows:
        grid.add_row(name, Text(plain(value)))
    return grid


def settings_rows(files: Sequence[SettingsFile]) -> list[tuple[str, str]]:
    """Return a row for each file of settings that applies, with the beginning of its SHA-256."""
    return [("settings", f"{file.path} (sha256 {file.sha256[:12]}…)") for file in files]


def header(event: ev.RunStarted, at: str, where: str) -> RenderableType:
    """Return the header: runbook, operator, host, parameters.

    `where` is the path of the record, or "".
    """
    rows = [
        ("runbook", event.runbook),
        ("run", event.run),
        ("started", f"{phrases.timestamp(at)} by {phrases.operator(event.operator)}"),
        ("host", event.host),
        ("kernel", event.kernelspec),
    ]
    rows += [("gateway", event.gateway)] * bool(event.gateway)
    rows += [("folder", event.cwd)] * bool(event.cwd)
    rows += settings_rows(event.settings) + runbook_facts.rows(event.proofs, event.includes)
    rows += identities.rows(event.role)
    rows += [("parameter", f"{name} = {value!r}") for name, value in event.parameters.items()]
    rows += [("reason", event.reason)] * bool(event.reason)
    rows += [("ticket", event.ticket)] * bool(event.ticket)
    rows += [("steps", str(len(event.steps)))]
    rows += [("record", where)] * bool(where)
    return facts(rows)


def footer(
    state: RunState, event: ev.RunFinished, at: str, where: str, head: str
) -> RenderableType:
    """Return the footer: how the run ended, how it left the script, and which steps were not run.

    `head` is the hash of the record's last line. A copy of it that is kept elsewhere proves that
    the record was not changed.
    """
    good = event.outcome == "completed" and not event.off_script
    style = "bold green" if good else "bold yellow" if event.outcome == "completed" else "bold red"
    rows = [("why", event.why), ("took", phrases.duration(event.duration))]
    rows += [("off script", phrases.deviation_and_reason(state, each)) for each in state.deviations]
    rows += [
        (f"step {step.step.number}", f"{step.step.title}: {phrases.why_not_run(state, step)}")
        for step in phrases.never_run(state)
    ]
    rows += [("record", where)] * bool(where)
    rows += [("head", head)]
    title = Text(plain(f"{phrases.run_outcome(event)} at {phrases.timestamp(at)}"), style=style)
    return Group(Rule(style="dim"), title, facts(rows))
