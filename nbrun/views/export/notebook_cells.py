"""The cells of an output notebook that are no attempt's: its head, remarks, what was never run."""

import json
import re
from collections.abc import Iterator
from typing import Any

from nbrun.core import model
from nbrun.core.planner import label
from nbrun.core.state import RunState, StepState
from nbrun.views.export.cell_store import Cell
from nbrun.views.text import identities, phrases

HEAD = "nbrun-head"


def head(state: RunState, began_at: str) -> Cell:
    """What the run was, and how it left the script."""
    plan, finished = state.plan, state.finished
    rows = [
        ("Runbook", plan.runbook),
        ("SHA-256", plan.runbook_sha256),
        ("Git commit", plan.git_commit or ""),
        ("Started", f"{phrases.moment(began_at)} by {phrases.operator(plan.operator)}"),
        ("Host", plan.host),
        ("Folder", plan.cwd),
        ("Kernel", plan.kernelspec),
        *((name.capitalize(), value) for name, value in identities.rows(plan.role)),
        *((f"Parameter {name}", _json(value)) for name, value in plan.parameters.items()),
        ("Reason", plan.reason),
        ("Ticket", plan.ticket),
        ("Ended", f"{phrases.outcome(finished)}: {finished.why}" if finished else "not yet"),
        ("Took", phrases.duration(finished.duration) if finished else ""),
        *(("Off script", phrases.deviation(state, each)) for each in state.deviations),
    ]
    table = "".join(f"| {md(name)} | {md(value)} |\n" for name, value in rows if value)
    return markdown(HEAD, f"# Run {md(plan.run)}\n\n| | |\n|---|---|\n{table}")


def never_run(state: RunState) -> Iterator[Cell]:
    """The steps that were never run, below a heading; nothing without any."""
    steps = phrases.not_run(state)
    if steps:
        yield markdown("nbrun-not-run", "## Steps that were never run")
    for step in steps:
        yield _not_run(state, step)


def _not_run(state: RunState, step: StepState) -> Cell:
    why = phrases.why_not_run(state, step)
    own = {"step": step.step.id, "outcome": "not_run", "why": why}
    told = f"{label(state, step.step.id)}: {why}"
    id_ = f"nbrun-not-run-{step.step.number}"
    if step.step.contract.manual:
        made = markdown(id_, f"{md(told)}\n\n{step.step.source}")
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
        "source": f"# {told}\n{step.step.source}",
    }


def by_hand(step: model.Step) -> Cell:
    """A step that a person does, as the runbook has it."""
    metadata = {**step.metadata, "tags": list(step.tags)}
    return markdown(step.id, step.source) | {"metadata": metadata}


def narration(cell: model.Narration) -> Cell:
    made = {"cell_type": cell.kind, "id": cell.id, "metadata": cell.metadata, "source": cell.source}
    return made | ({"attachments": cell.attachments} if cell.attachments else {})


def markdown(id_: str, source: str) -> Cell:
    return {"cell_type": "markdown", "id": id_, "metadata": {}, "source": source}


def own_metadata(metadata: dict[str, Any]) -> dict[str, Any]:
    """What the runbook itself says under nbrun's key."""
    found = metadata.get("nbrun")
    return found if isinstance(found, dict) else {}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


_MARKDOWN = str.maketrans({character: f"\\{character}" for character in "\\`*_{}[]<>#+!|~$&"})


def md(text: str) -> str:
    """Text that a Markdown cell shows as it is, on one line."""
    return " ".join(text.translate(_MARKDOWN).split())


def md_line(text: str) -> str:
    """The same at the start of a line, where a list or the underline of a heading may begin."""
    return re.sub(r"^(\d*)([-=.)])", r"\1\\\2", md(text))
