"""The parameters that a notebook declares, in its schema and in its `parameters` cell."""

import ast
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from nbrun.runbook.parameters import schema
from nbrun.runbook.parameters.cell_declarations import line_parameters, python_parameters
from nbrun.runbook.parameters.languages import PYTHON
from nbrun.runbook.parameters.types import Parameter


@dataclass(frozen=True)
class Declarations:
    """The declared parameters, by name, in order.

    Attributes:
        language: the notebook's language, as `languages.language_name` returns it.
        closed: the schema accepts no other parameters.
    """

    parameters: dict[str, Parameter]
    language: str
    closed: bool = False

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


def declarations_of(document: Mapping[str, Any], language: str) -> Declarations:
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
    if schema.is_closed(metadata):
        return Declarations(in_schema, language, closed=True)
    others = {name: each for name, each in in_cell.items() if name not in in_schema}
    return Declarations(in_schema | others, language)


def _with_default(parameter: Parameter, in_cell: Parameter) -> Parameter:
    return replace(parameter, default=in_cell.default, help=parameter.help or in_cell.help)


def _in_cell(document: Mapping[str, Any], language: str) -> dict[str, Parameter]:
    """Return the parameters of the first code cell that is tagged `parameters`."""
    for cell in document["cells"]:
        if cell["cell_type"] == "code" and "parameters" in cell["metadata"].get("tags", ()):
            source = cell["source"]
            is_python = language in PYTHON
            return python_parameters(source) if is_python else line_parameters(source, language)
    return {}
