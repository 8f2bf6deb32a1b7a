"""The cells of an output notebook that belong to no attempt: header, remarks, steps never run."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from nbrun.core import events as ev
from nbrun.core import model
from nbrun.core.planner import step_label
from nbrun.core.state import RunState, StepState
from nbrun.views.export.cell_store import NotebookCell
from nbrun.views.text import identities, phrases, runbook_facts
from nbrun.views.text.event_summary import EventSummary, describe

HEAD = "nbrun-head"


def head(state: RunState, began_at: str) -> NotebookCell:
    """Return the header: what was run, by whom, where, and how it left the script."""
    plan, finished = state.plan, state.finished
    rows = [
        ("Runbook", plan.runbook),
        ("SHA-256", plan.runbook_sha256),
        ("Git commit", plan.git_commit or ""),
        *runbook_facts.capitalized(plan),
        ("Started", f"{phrases.timestamp(began_at)} by {phrases.operator(plan.operator)}"),
        ("Host", plan.host),
        ("Folder", plan.cwd),
        ("Kernel", plan.kernelspec),
        ("Gateway", plan.gateway),
        *((name.capitalize(), value) for name, value in identities.rows(plan.role)),
        *((f"Parameter {name}", _json(value)) for name, value in plan.parameters.items()),
        ("Reason", plan.reason),
        ("Ticket", plan.ticket),
        ("Ended", f"{phrases.run_outcome(finished)}: {finished.why}" if finished else "not yet"),
        ("Took", phrases.duration(finished.duration) if finished else ""),
        *(("Off script", phrases.deviation_and_reason(state, each)) for each in state.deviations),
    ]
    table = "".join(f"| {escape(name)} | {escape(value)} |\n" for name, value in rows if value)
    return markdown(HEAD, f"# Run {escape(plan.run)}\n\n| | |\n|---|---|\n{table}")


def never_run(state: RunState) -> Iterator[NotebookCell]:
    """Yield a heading and the steps that were never run; nothing if there are none."""
    steps = phrases.never_run(state)
    if steps:
        yield markdown("nbrun-not-run", "## Steps that were never run")
    for step in steps:
        yield _not_run(state, step)


def _not_run(state: RunState, step: StepState) -> NotebookCell:
    why = phrases.why_not_run(state, step)
    own = {"step": step.step.id, "outcome": "not_run", "why": why}
    text = f"{step_label(state, step.step.id)}: {why}"
    id_ = f"nbrun-not-run-{step.step.number}"
    if step.step.contract.manual:
        made = markdown(id_, f"{escape(text)}\n\n{step.step.source}")
        return made | {"metadata": {"nbrun": own, "tags": ["nbrun-not-run"]}}
    return {
        "cell_type": "code",
        "id": id_,
        "execution_count": None,
        "metadata": {
            **step.step.metadata,
            "nbrun": {**own_metadata(step.step.metadata), **own},
            "tags": list(dict.fromkeys([*step.step.tags, "nbrun-not-run"])),
        },
        "outputs": [],
        "source": f"# {text}\n{step.step.source}",
    }


def by_hand(step: model.Step) -> NotebookCell:
    """Return a manual step as the runbook has it."""
    metadata = {**step.metadata, "tags": list(step.tags)}
    return markdown(step.id, step.source) | {"metadata": metadata}


def fenced(source: str) -> str:
    """Return Markdown that shows `source` as code, whatever backticks it contains."""
    longest = max((len(each) for each in re.findall("`+", source)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{source}\n{fence}"


def narration(cell: model.Narration) -> NotebookCell:
    """Return a Markdown or raw cell of the runbook."""
    made = {"cell_type": cell.kind, "id": cell.id, "metadata": cell.metadata, "source": cell.source}
    return made | ({"attachments": cell.attachments} if cell.attachments else {})


def markdown(id_: str, source: str) -> NotebookCell:
    return {"cell_type": "markdown", "id": id_, "metadata": {}, "source": source}


# The beginnings of remarks. `nbrun verify` makes the notebook of an old record again and compares,
# so this wording never changes, whatever `describe` says of the same events elsewhere.
_HEADINGS: dict[type[ev.Event], str] = {
    ev.Decided: "**{target}** by {who}",
    ev.NoteAdded: "**Note** by {who}",
    ev.DecisionProposed: "**Put up for approval**: {what}, by {who},",
    ev.ApprovalGranted: "**Approval**: {what} approved by {who}",
    ev.ApprovalRejected: "**Approval**: {what} rejected by {who}",
    ev.KernelDied: "**The kernel died**",
    ev.KernelRestarted: "**The kernel was restarted** (number {event.generation})",
    ev.KernelReattached: "**The kernel was found again**",
    ev.KernelDisconnected: "**The connection to the kernel was lost**",
    ev.GatewayFailed: "**The gateway did not {event.action}**",
    ev.ProcessesLeft: "**Left running**, seen",
    ev.BackgroundEnded: "**Ended early**, seen",
    ev.AttemptIndeterminate: "**Nobody saw the end** of {step}, attempt {event.attempt}, found",
    ev.AttemptSettled: "**{what_and_why}**, says {who}",
    ev.RunInterrupted: "**The run was interrupted**, found",
    ev.RunResumed: "**The run was resumed** by {who}",
    ev.RunbookReplaced: "**The runbook was replaced** by {who}",
}


def remark(state: RunState, event: ev.Event, at: str) -> str:
    """Return the Markdown that reports `event`; empty for events that the notebook does not report.

    `state` is the state after the event, `at` its time.
    """
    heading = _heading(event)
    summary = describe(state, _At(event, at)) if heading is not None else None
    if heading is None or summary is None:
        return ""
    text = heading.format(
        event=event,
        what=escape(summary.what),
        what_and_why=escape(phrases.with_reason(summary.what, summary.why)),
        who=escape(phrases.operator(summary.who)) if summary.who else "",
        target=escape(_target(state, event)),
        step=escape(phrases.step(state, summary.step)),
    )
    quoted = "".join(f"\n> {escape_line(line)}  " for line in _quoted(state, event, summary))
    return f"{text} at {phrases.timestamp(at)}" + (f"\n{quoted}" if quoted else "")


def _heading(event: ev.Event) -> str | None:
    if isinstance(event, ev.KernelDied) and event.may_run:
        return "**The kernel was out of reach**"
    return _HEADINGS.get(type(event))


class _At(NamedTuple):
    """An event and its time, as `describe` takes them."""

    event: ev.Event
    at: str


def _target(state: RunState, event: ev.Event) -> str:
    """A decision with the full name of the step that it was about."""
    if not isinstance(event, ev.Decided):
        return ""
    step = event.step or (state.stop.step if state.stop else None)
    where = f" · {phrases.step(state, step)}" if step is not None else ""
    return f"{event.decision}{where}"


def _quoted(state: RunState, event: ev.Event, summary: EventSummary) -> list[str]:
    """The lines quoted below a remark: the reason, or whatever else the event holds."""
    match event:
        case ev.NoteAdded() | ev.ProcessesLeft() | ev.BackgroundEnded() | ev.KernelReattached():
            text = summary.what
        case ev.DecisionProposed():
            text = f"{event.reason}\n{phrases.source_diff(state, event)}".strip()
        case ev.AttemptSettled():
            text = ""
        case ev.RunbookReplaced():
            text = summary.diff
        case _:
            text = summary.why
    return text.splitlines()


def own_metadata(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return the runbook's own metadata under the key `nbrun`."""
    found = metadata.get("nbrun")
    return found if isinstance(found, dict) else {}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


_MARKDOWN = str.maketrans({character: f"\\{character}" for character in "\\`*_{}[]<>#+!|~$&"})


def escape(text: str) -> str:
    """Return `text` on one line, escaped so that Markdown shows it unchanged."""
    return " ".join(text.translate(_MARKDOWN).split())


def escape_line(text: str) -> str:
    """Like `escape`, for the start of a line, where a list or an underline may begin."""
    return re.sub(r"^(\d*)([-=.)])", r"\1\\\2", escape(text))
