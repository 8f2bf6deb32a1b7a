"""Check cells: which step each belongs to, and its settings.

A code cell tagged `check` is not a step. It tests whether the effect of a step is there: of the
step whose id is `metadata.nbrun.step`, or by default of the step before the cell.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from nbrun.core.model import Check, Step
from nbrun.core.reducer import SETUP_TAGS
from nbrun.errors import RunbookError
from nbrun.runbook.contract import NO_TAGS_WITH_CHECK, setting_faults, valid_seconds
from nbrun.runbook.notebook import short

TAG = "check"
_BY_CHECK = "by-check"

SETTINGS = {
    "title": (lambda value: isinstance(value, str), "text"),
    "step": (lambda value: isinstance(value, str) and bool(value), "the id of a step's cell"),
    "interval": (valid_seconds, "seconds, from 0 to 31 days"),
    "timeout": (
        lambda value: valid_seconds(value) and value > 0,
        "seconds, more than 0 and at most 31 days",
    ),
    "settle": (lambda value: value == _BY_CHECK, f'"{_BY_CHECK}"'),
}


@dataclass(frozen=True)
class CheckCell:
    """A check in a notebook. `where` names the cell in messages.

    `step` is the id of the step that the cell names; `after` is the id of the step before the cell.
    """

    where: str
    check: Check
    step: str
    after: str


def is_check(cell: Mapping[str, Any]) -> bool:
    """Return True if `cell` is a check."""
    return cell["cell_type"] == "code" and TAG in cell["metadata"].get("tags", ())


def faults(metadata: Mapping[str, Any]) -> Iterator[str]:
    """Yield each fault of a check's settings, with its remedy."""
    yield from setting_faults("metadata.nbrun", metadata.get("nbrun", {}), SETTINGS)
    for tag in sorted(NO_TAGS_WITH_CHECK.intersection(metadata.get("tags", ()))):
        yield f"a check can't have the tag {tag}: it only reads, and runs by itself"


def check_cell(where: str, cell: Mapping[str, Any], after: str) -> CheckCell:
    """Return `cell` as a check.

    Raises:
        RunbookError: its settings are not valid. The message begins with `where`.
    """
    metadata = cell["metadata"]
    for fault in faults(metadata):
        raise RunbookError(f"{where}: {fault}")
    own = metadata.get("nbrun", {})
    check = Check(
        id=cell["id"],
        source=cell["source"],
        tags=tuple(metadata.get("tags", ())),
        metadata={key: value for key, value in metadata.items() if key not in _NOT_KEPT},
        interval=float(own.get("interval", 5.0)),
        timeout=float(own.get("timeout", 60.0)),
        settles="settle" in own,
    )
    return CheckCell(where, check, own.get("step", ""), after)


_NOT_KEPT = ("papermill", "tags")


def with_checks(steps: Iterable[Step], cells: Iterable[CheckCell]) -> tuple[Step, ...]:
    """Return `steps` with their checks.

    Raises:
        RunbookError: a check has no step, or can't have the one that it names.
    """
    found = {step.id: step for step in steps}
    for cell in cells:
        step = found.get(cell.step or cell.after)
        fault = _fault(cell, step)
        if step is None or fault:
            raise RunbookError(f"{cell.where}: {fault}")
        found[step.id] = msgspec.structs.replace(step, check=cell.check)
    return tuple(found.values())


def _fault(cell: CheckCell, step: Step | None) -> str:
    """Return why `cell` can't be the check of `step`; empty if it can."""
    if step is None and cell.step:
        return f"metadata.nbrun.step names no step: {short(cell.step)}. Name the id of its cell"
    if step is None:
        return "a check follows its step: there is none above it. Name it with metadata.nbrun.step"
    if step.check is not None:
        return f"step {step.number} has a check already: make one cell of both"
    tags = sorted(SETUP_TAGS.intersection(step.tags))
    if tags:
        return (
            f"step {step.number} is tagged {tags[0]}: a new kernel needs what it defines, so that "
            "no check can say that it need not run. Remove the check"
        )
    return ""
