"""Cells that belong to a step without being a step of the run: its check and its undo.

Such a cell belongs to the step whose id is `metadata.nbrun.step`, or by default to the step before
the cell.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from nbrun.core.model import PARAMETER_TAGS, SETUP_TAGS, Check, Step
from nbrun.errors import RunbookError
from nbrun.runbook import checks, undos
from nbrun.runbook.contract import ContractContext
from nbrun.runbook.notebook import short


@dataclass(frozen=True)
class AttachedCell:
    """A check or an undo in a notebook. `where` names the cell in messages.

    `step` is the id of the step that the cell names; `after` is the id of the step before the cell.
    """

    where: str
    part: Check | Step
    step: str
    after: str

    @property
    def kind(self) -> str:
        return checks.TAG if isinstance(self.part, Check) else undos.TAG


def is_attached(cell: Mapping[str, Any]) -> bool:
    """Return True if `cell` is a check or an undo."""
    return checks.is_check(cell) or undos.is_undo(cell)


def faults(cell: Mapping[str, Any], context: ContractContext) -> Iterator[str]:
    """Yield each fault of the settings of `cell`, a check or an undo, with its remedy."""
    metadata = cell["metadata"]
    return checks.faults(metadata) if checks.is_check(cell) else undos.faults(metadata, context)


def attached_cell(
    where: str, cell: Mapping[str, Any], after: str, context: ContractContext
) -> AttachedCell:
    """Return `cell`, a check or an undo.

    Raises:
        RunbookError: its settings are not valid. The message begins with `where`.
    """
    is_check = checks.is_check(cell)
    part = checks.check(where, cell) if is_check else undos.undo(where, cell, context)
    return AttachedCell(where, part, cell["metadata"].get("nbrun", {}).get("step", ""), after)


def attach(steps: Iterable[Step], cells: Iterable[AttachedCell]) -> tuple[Step, ...]:
    """Return `steps` with their checks and undos.

    Raises:
        RunbookError: a cell has no step, or can't belong to the one that it names.
    """
    found = {step.id: step for step in steps}
    for cell in cells:
        step = found.get(cell.step or cell.after)
        fault = _fault(cell, step)
        if step is None or fault:
            raise RunbookError(f"{cell.where}: {fault}")
        found[step.id] = _with_part(step, cell.part)
    return tuple(found.values())


def _with_part(step: Step, part: Check | Step) -> Step:
    if isinstance(part, Check):
        return msgspec.structs.replace(step, check=part)
    return msgspec.structs.replace(step, undo=msgspec.structs.replace(part, number=step.number))


def _fault(cell: AttachedCell, step: Step | None) -> str:
    """Return why `cell` can't belong to `step`; empty if it can."""
    if step is None and cell.step:
        return f"metadata.nbrun.step names no step: {short(cell.step)}. Name the id of its cell"
    if step is None:
        article = "a check" if cell.kind == checks.TAG else "an undo"
        return (
            f"{article} follows its step: there is none above it. Name it with metadata.nbrun.step"
        )
    if getattr(step, cell.kind) is not None:
        has = f"a{'n' if cell.kind == undos.TAG else ''} {cell.kind}"
        return f"step {step.number} has {has} already: make one cell of both"
    return _tag_fault(cell, step)


def _tag_fault(cell: AttachedCell, step: Step) -> str:
    is_check = cell.kind == checks.TAG
    tags = sorted((SETUP_TAGS if is_check else PARAMETER_TAGS).intersection(step.tags))
    if not tags:
        return ""
    why = (
        "a new kernel needs what it defines, so that no check can say that it need not run"
        if is_check
        else "it only assigns parameters, and there is nothing to undo"
    )
    return f"step {step.number} is tagged {tags[0]}: {why}. Remove the {cell.kind}"
