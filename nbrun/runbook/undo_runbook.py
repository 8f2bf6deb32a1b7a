"""The runbook that undoes a run: its undos, newest first, made from its record.

The record is used, not the runbook file: the file may have changed since. Each undo asks before it
runs, since nothing is undone unasked.
"""

import hashlib
import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from nbrun.core import undo
from nbrun.core.model import Step
from nbrun.core.reducer import SETUP_TAGS
from nbrun.core.state import RunState, StepState
from nbrun.errors import RunbookError
from nbrun.runbook import undos
from nbrun.runbook.loader import ParsedNotebook
from nbrun.runbook.places import Places

_INJECTED = "injected-parameters"


def compose(state: RunState, undone: Collection[str] = ()) -> ParsedNotebook:
    """Return a notebook with what is left to undo of the run `state`, without the cells `undone`.

    Before the undos are the cells that declare parameters, and the `setup` steps as they last
    succeeded. The path is the runbook's, so that the settings of its folder apply.

    Raises:
        RunbookError: there is nothing to undo.
    """
    plan = state.plan
    offered = [each for each in undo.offered(state) if _cell_id(each) not in undone]
    if not offered:
        raise RunbookError(f"{plan.run}: nothing that ran has an undo that is left to run")
    steps = (state.steps[id_] for id_ in state.order)
    cells = [cell for step in steps for cell in _setup_cells(step)]
    cells += [cell for step in offered for cell in _undo_cells(step)]
    document = {"nbformat": 4, "nbformat_minor": 5, "metadata": plan.metadata, "cells": cells}
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
    path = Path(plan.runbook)
    return ParsedNotebook(path, digest, document, (), Places(path))


def _cell_id(step: StepState) -> str:
    return step.undo.step.id if step.undo is not None else ""


def _setup_cells(step: StepState) -> Iterator[dict[str, Any]]:
    """Yield the cell of a step that a new kernel needs; the injected parameters are made anew."""
    tags = SETUP_TAGS.intersection(step.step.tags) - {_INJECTED}
    if tags and ("parameters" in tags or (step.passed and step.attempts)):
        source = step.step.source if "parameters" in tags else step.last_source
        yield _code(step.step, source or step.step.source, list(step.step.tags))


def _undo_cells(step: StepState) -> Iterator[dict[str, Any]]:
    """Yield a heading and the undo of `step`, as a step that asks before it runs."""
    planned = step.step.undo
    assert planned is not None  # noqa: S101  `undo.offered` has only steps with one
    heading = f"## Undo step {step.step.number}: {step.step.title}"
    yield {
        "cell_type": "markdown",
        "id": f"{planned.id[:55]}-heading",
        "metadata": {},
        "source": heading,
    }
    cell = _code(planned, planned.source, [tag for tag in planned.tags if tag != undos.TAG])
    own = {key: item for key, item in planned.metadata.get("nbrun", {}).items() if key != "step"}
    if planned.contract.confirm is None:
        own["confirm"] = f"Undo step {step.step.number}?"
    cell["metadata"]["nbrun"] = own
    yield cell


def _code(step: Step, source: str, tags: list[str]) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "id": step.id,
        "metadata": {**step.metadata, "tags": tags},
        "source": source,
        "outputs": [],
        "execution_count": None,
    }
