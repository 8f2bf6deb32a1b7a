"""The parameters that a notebook declares, in its schema and in its `parameters` cell."""

import ast
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nbrun.runbook.parameters import schema
from nbrun.runbook.parameters.cell_declarations import line_parameters, python_parameters
from nbrun.runbook.parameters.languages import PYTHON
from nbrun.runbook.parameters.script_declarations import script_parameters
from nbrun.runbook.parameters.types import Parameter
from nbrun.runbook.places import Places
from nbrun.runbook.source_scanner import LANGUAGES

_NOTEBOOK = Places(Path())


@dataclass(frozen=True)
class Declarations:
    """The declared parameters, by name, in order.

    Attributes:
        language: the notebook's language, as `languages.language_name` returns it.
        closed: the schema accepts no other parameters.
        overwritten: the names that a cell assigns which is tagged as parameters and runs after the
            given values, with the place of that cell.
    """

    parameters: dict[str, Parameter]
    language: str
    closed: bool = False
    overwritten: Mapping[str, str] = field(default_factory=dict)

    @property
    def secrets(self) -> frozenset[str]:
        """The names of the parameters that are declared secret."""
        return frozenset(name for name, each in self.parameters.items() if each.secret)

    def missing(self, given: Mapping[str, Any]) -> list[Parameter]:
        """Return the required parameters that `given` lacks."""
        return [
            each for name, each in self.parameters.items() if each.required and name not in given
        ]

    def literal_defaults(self) -> dict[str, Any]:
        """Return the defaults that are known without running code: Python literals, as JSON."""
        known = {}
        for name, parameter in self.parameters.items() if self.language in PYTHON else ():
            with suppress(ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
                known[name] = json.loads(json.dumps(ast.literal_eval(parameter.default)))
        return known


def declarations_of(
    document: Mapping[str, Any], language: str, places: Places = _NOTEBOOK
) -> Declarations:
    """Return what the notebook `document` declares: its schema's parameters, then the cell's.

    The schema takes precedence. A parameter that only the cell assigns is declared too, unless the
    schema is closed.

    Raises:
        RunbookError: the schema is not valid.
    """
    metadata = document.get("metadata", {})
    in_cell = _in_cell(document, language)
    in_schema = {
        name: _with_default(each, in_cell[name]) if name in in_cell else each
        for name, each in schema.parameters_in(metadata).items()
    }
    overwritten = _overwritten(document, language, places)
    if schema.is_closed(metadata):
        return Declarations(in_schema, language, closed=True, overwritten=overwritten)
    others = {name: each for name, each in in_cell.items() if name not in in_schema}
    return Declarations(in_schema | others, language, overwritten=overwritten)


def _with_default(parameter: Parameter, in_cell: Parameter) -> Parameter:
    return replace(
        parameter,
        default=in_cell.default,
        help=parameter.help or in_cell.help,
        keyword=in_cell.keyword,
    )


def surplus_cells(document: Mapping[str, Any]) -> list[int]:
    """Return the numbers of the cells that are tagged as parameters without being read or replaced.

    Only the first cell tagged `parameters` declares. As in papermill, the given values go after
    this cell, or in place of the first cell tagged `injected-parameters`.
    """
    declaring = _tagged(document, "parameters")
    injected = _tagged(document, "injected-parameters")
    place = (injected or declaring or [0])[0]
    after = {number for number in declaring + injected if number > place}
    return sorted(after | {*declaring[1:]})


def _tagged(document: Mapping[str, Any], tag: str) -> list[int]:
    """Return the numbers of the code cells with this tag."""
    return [
        number
        for number, cell in enumerate(document["cells"], start=1)
        if cell["cell_type"] == "code" and tag in cell["metadata"].get("tags", ())
    ]


def _overwritten(document: Mapping[str, Any], language: str, places: Places) -> dict[str, str]:
    place = min(_tagged(document, "injected-parameters") or _tagged(document, "parameters") or [0])
    return {
        name: places.in_file(number)
        for number in surplus_cells(document)
        if number > place
        for name in _assigned(document["cells"][number - 1]["source"], language)
    }


def _in_cell(document: Mapping[str, Any], language: str) -> dict[str, Parameter]:
    """Return the parameters of the first code cell that is tagged `parameters`."""
    for number in _tagged(document, "parameters")[:1]:
        return _assigned(document["cells"][number - 1]["source"], language)
    return {}


def _assigned(source: str, language: str) -> dict[str, Parameter]:
    if language in PYTHON:
        return python_parameters(source)
    if language in LANGUAGES:
        return script_parameters(source, language)
    return line_parameters(source)
