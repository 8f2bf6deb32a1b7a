"""Undo cells: a code cell tagged `undo` takes back the effect of a step, when an operator asks."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from nbrun.core.model import Step
from nbrun.errors import RunbookError
from nbrun.runbook import contract, titles
from nbrun.runbook.contract import ContractContext, setting_faults

TAG = "undo"

# Tags that an undo can't have: nothing runs it but an operator's decision.
_NO_TAGS = contract.TAGS - {
    *(TAG, "confirm", "approve", "shell-errors-ok", "nested-errors-ok", "raises-exception")
}
_NO_RETRIES = ("retries", "retry_delay")
_RULES = {
    **{key: rule for key, rule in contract.CELL.items() if key not in _NO_RETRIES},
    "step": (lambda value: isinstance(value, str) and bool(value), "the id of a step's cell"),
}


def is_undo(cell: Mapping[str, Any]) -> bool:
    """Return True if `cell` is an undo."""
    return cell["cell_type"] == "code" and TAG in cell["metadata"].get("tags", ())


def faults(metadata: Mapping[str, Any], context: ContractContext) -> Iterator[str]:
    """Yield each fault of an undo's settings, with its remedy."""
    yield from setting_faults("metadata.nbrun", metadata.get("nbrun", {}), _RULES)
    for tag in sorted(_NO_TAGS.intersection(metadata.get("tags", ()))):
        yield f"an undo can't have the tag {tag}: it runs only when an operator asks for it"
    yield from contract.template_faults(metadata.get("nbrun", {}), context)


def undo(where: str, cell: Mapping[str, Any], context: ContractContext) -> Step:
    """Return `cell` as an undo, whose number is that of its step and is not known yet.

    Raises:
        RunbookError: its settings are not valid. The message begins with `where`.
    """
    metadata = cell["metadata"]
    for fault in faults(metadata, context):
        raise RunbookError(f"{where}: {fault}")
    settings = {key: value for key, value in metadata.get("nbrun", {}).items() if key != "step"}
    own = contract.contract_of(where, "code", {**metadata, "nbrun": settings}, context)
    return Step(
        id=cell["id"],
        number=0,
        title=titles.step_title(cell, (), ""),
        source=cell["source"],
        tags=tuple(metadata.get("tags", ())),
        metadata={key: value for key, value in metadata.items() if key not in _NOT_KEPT},
        contract=msgspec.structs.replace(own, retries=0, retry_delay=0.0),
    )


_NOT_KEPT = ("papermill", "tags")
