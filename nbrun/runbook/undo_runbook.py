"""The runbook that undoes a run: its undos, newest first, made from its record.

The record is used, not the runbook file: the file may have changed since. Each undo asks before it
runs, since nothing is undone unasked.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from nbrun.core import undo
from nbrun.core.model import PARAMETER_TAGS, SETUP_TAGS, Step
from nbrun.core.state import RunState, StepState
from nbrun.errors import RunbookError
from nbrun.runbook import undos
from nbrun.runbook.loader import ParsedNotebook
from nbrun.runbook.places import Places

_INJECTED = "injected-parameters"


def compose(
    state: RunState, undone: Collection[str] = (), *, needs_approval: bool = False
) -> ParsedNotebook:
    """Return a notebook with what is left to undo of the run `state`, without the cells `undone`.

    Before the undos are the cells that declare parameters, and the `setup` steps as they last
    succeeded. Those of an included runbook come before its own undos, since another one may assign
    the same names. The path is the runbook's, so that the settings of its folder apply. With
    `needs_approval`, each undo needs the approval of another person.

    Raises:
        RunbookError: there is nothing to undo.
    """
    plan = state.plan
    offered = [each for each in undo.offered(state) if _cell_id(each) not in undone]
    if not offered:
        raise RunbookError(f"{plan.run}: nothing that ran has an undo that is left to run")
    steps = [state.steps[id_] for id_ in state.order]
    cells = [cell for step in steps if not step.step.included for cell in _setup_cells(step)]
    cells += _all_undo_cells(steps, offered)
    if needs_approval:
        own = {_cell_id(each) for each in offered}
        for cell in cells:
            if cell["id"] in own:
                cell["metadata"]["nbrun"].setdefault("approve", True)
    document = {"nbformat": 4, "nbformat_minor": 5, "metadata": plan.metadata, "cells": cells}
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
    path = Path(plan.runbook)
    return ParsedNotebook(path, digest, document, (), Places(path))


def _cell_id(step: StepState) -> str:
    return step.undo.step.id if step.undo is not None else ""


def _setup_cells(step: StepState) -> Iterator[dict[str, Any]]:
    """Yield the cell of a step that a new kernel needs; the injected parameters are made anew."""
    tags = SETUP_TAGS.intersection(step.step.tags) - {_INJECTED}
    if tags and ("parameters" in tags or _has_prepared(step)):
        source = step.step.source if "parameters" in tags else step.last_source
        yield _code(step.step, source or step.step.source, list(step.step.tags))


def _has_prepared(step: StepState) -> bool:
    """Return False for a setup step that did not run, or that failed and was skipped."""
    return step.passed and step.succeeded and step.attempts > 0


def _all_undo_cells(
    steps: Collection[StepState], offered: Iterable[StepState]
) -> Iterator[dict[str, Any]]:
    """Yield the undos, and the setup of an included runbook where the undos become its own."""
    before = ""
    for number, step in enumerate(offered):
        own = step.step.included
        if own is not None and own.cell != before:
            yield from (
                _included_setup(each, number)
                for each in steps
                if each.step.included == own and each.step.number < step.step.number
                if each.step.is_setup and _has_prepared(each)
            )
        before = own.cell if own is not None else before
        yield from _undo_cells(step)


def _included_setup(step: StepState, number: int) -> dict[str, Any]:
    """Return the cell of a setup step as it ran. It assigns values, and declares no parameter."""
    tags = [tag for tag in step.step.tags if tag not in PARAMETER_TAGS]
    cell = _code(step.step, step.last_source or step.step.source, [*{*tags, "setup"}])
    cell["metadata"]["nbrun"] = _settings(step.step, None)
    digest = hashlib.sha256(f"{step.step.id}\n{number}".encode()).hexdigest()
    return cell | {"id": f"nbrun-{digest[:16]}"}


def _undo_cells(step: StepState) -> Iterator[dict[str, Any]]:
    """Yield a heading and the undo of `step`, as a step that asks before it runs."""
    planned = step.step.undo
    assert planned is not None  # noqa: S101  `undo.offered` has only steps with one
    heading = f"## Undo step {step.step.number}: {step.step.title}"
    yield {
        "cell_type": "markdown",
        "id": f"heading-{hashlib.sha256(planned.id.encode()).hexdigest()[:16]}",
        "metadata": {},
        "source": heading,
    }
    cell = _code(planned, planned.source, [tag for tag in planned.tags if tag != undos.TAG])
    cell["metadata"]["nbrun"] = _settings(planned, f"Undo step {step.step.number}?")
    yield cell


def _settings(step: Step, question: str | None) -> dict[str, Any]:
    """Return the settings of a cell, with its questions as the run has asked them.

    The parameters that the questions name may be those of an included runbook, which the new run
    does not know. The same is true of defaults for its steps.
    """
    contract = step.contract
    known = {
        "confirm": _literal(contract.confirm or question),
        "type": _literal(contract.typed),
        "timeout": contract.timeout,
        "impact": contract.impact,
    }
    own = {key: item for key, item in step.metadata.get("nbrun", {}).items() if key != "step"}
    return own | {key: value for key, value in known.items() if value}


def _literal(text: str | None) -> str:
    """Return a question in which braces stand for themselves."""
    return (text or "").replace("{", "{{").replace("}", "}}")


def _code(step: Step, source: str, tags: list[str]) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "id": step.id,
        "metadata": {**step.metadata, "tags": tags},
        "source": source,
        "outputs": [],
        "execution_count": None,
    }
