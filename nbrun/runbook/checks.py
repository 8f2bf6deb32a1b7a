"""Check cells: a code cell tagged `check` tests whether the effect of a step is there."""

from collections.abc import Iterator, Mapping
from typing import Any

from nbrun.core.model import Check
from nbrun.errors import RunbookError
from nbrun.runbook.contract import NO_TAGS_WITH_CHECK, setting_faults, valid_seconds

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


def is_check(cell: Mapping[str, Any]) -> bool:
    """Return True if `cell` is a check."""
    return cell["cell_type"] == "code" and TAG in cell["metadata"].get("tags", ())


def faults(metadata: Mapping[str, Any]) -> Iterator[str]:
    """Yield each fault of a check's settings, with its remedy."""
    yield from setting_faults("metadata.nbrun", metadata.get("nbrun", {}), SETTINGS)
    for tag in sorted(NO_TAGS_WITH_CHECK.intersection(metadata.get("tags", ()))):
        yield f"a check can't have the tag {tag}: it only reads, and runs by itself"


def check(where: str, cell: Mapping[str, Any]) -> Check:
    """Return `cell` as a check.

    Raises:
        RunbookError: its settings are not valid. The message begins with `where`.
    """
    metadata = cell["metadata"]
    for fault in faults(metadata):
        raise RunbookError(f"{where}: {fault}")
    own = metadata.get("nbrun", {})
    return Check(
        id=cell["id"],
        source=cell["source"],
        tags=tuple(metadata.get("tags", ())),
        metadata={key: value for key, value in metadata.items() if key not in _NOT_KEPT},
        interval=float(own.get("interval", 5.0)),
        timeout=float(own.get("timeout", 60.0)),
        settles="settle" in own,
    )


_NOT_KEPT = ("papermill", "tags")
