"""Include cells: a Markdown cell whose `metadata.nbrun.include` names another runbook."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nbrun.runbook.contract import TAGS, setting_faults
from nbrun.runbook.places import Places

_KEY = "include"
_FORM = re.compile(r"(?P<path>[^\0\n]+)@sha256:(?P<digest>[0-9a-f]{64})")
_RULES = {
    _KEY: (
        lambda value: isinstance(value, str) and bool(_FORM.fullmatch(value)),
        '"PATH@sha256:HASH", with the hash that `sha256sum PATH` prints',
    ),
    "parameters": (lambda value: isinstance(value, Mapping), "an object"),
}


@dataclass(frozen=True)
class IncludeFault:
    """Something wrong with an include: in the cell `number` of the file of `places`."""

    places: Places
    number: int
    message: str

    def __str__(self) -> str:
        return f"{self.places.of_cell(self.number)}: {self.message}"


@dataclass(frozen=True)
class IncludeCell:
    """An include cell.

    Attributes:
        places: of the cells of the including file.
        number: of the cell in that file.
        id: the id of the cell.
        path: of the included runbook, as written, from the folder of the including one.
        sha256: the hex digest that the included file must have.
        parameters: the values for the included runbook, as written.
    """

    places: Places
    number: int
    id: str
    path: str
    sha256: str
    parameters: Mapping[str, Any]

    def fault(self, message: str) -> IncludeFault:
        """Return a fault of this cell."""
        return IncludeFault(self.places, self.number, message)


def is_include(cell: Mapping[str, Any]) -> bool:
    """Return True if `cell` includes another runbook."""
    return _KEY in cell["metadata"].get("nbrun", {})


def faults(cell: Mapping[str, Any]) -> Iterator[str]:
    """Yield each fault of an include cell's settings, with its remedy."""
    metadata = cell["metadata"]
    if cell["cell_type"] != "markdown":
        yield f"metadata.nbrun.{_KEY} is for Markdown cells: make this cell one"
    for tag in sorted(TAGS.intersection(metadata.get("tags", ()))):
        yield f"a cell that includes a runbook can't have the tag {tag}: it is no step. Remove it"
    yield from setting_faults("metadata.nbrun", metadata["nbrun"], _RULES)


def include_cell(places: Places, number: int, cell: Mapping[str, Any]) -> IncludeCell:
    """Return the cell `number`, which has no faults, as an include."""
    own = cell["metadata"]["nbrun"]
    found = _FORM.fullmatch(own[_KEY])
    assert found is not None  # noqa: S101  `faults` has checked the form
    values = own.get("parameters", {})
    return IncludeCell(places, number, cell["id"], found["path"], found["digest"], values)
