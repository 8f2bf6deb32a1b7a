"""The parameters of a runbook as a table, and the question for a missing one."""

import json
from typing import Any

from rich.table import Table
from rich.text import Text

from nbrun.runbook.parameters.types import Parameter
from nbrun.views.text.sanitize import plain

_TYPES = {
    "str": "text",
    "int": "int",
    "float": "float",
    "bool": "true or false",
    "list": "JSON list",
    "dict": "JSON object",
    "any": "any",
    "other": "can't be given",
}
_BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
    "multipleOf": "a multiple of {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "pattern": "matches {}",
}


def table(parameters: dict[str, Parameter]) -> Table:
    """Return a table of the parameters: type, default and purpose."""
    shown = Table(box=None, pad_edge=False)
    for column in ("parameter", "takes", "unless given", "what for"):
        shown.add_column(column, overflow="fold")
    for parameter in parameters.values():
        cells = (parameter.name, takes(parameter), default(parameter), parameter.help)
        shown.add_row(*(Text(plain(cell)) for cell in cells))
    return shown


def takes(parameter: Parameter) -> str:
    """Return `int, at least 1`, or the allowed values."""
    if parameter.choices:
        return " | ".join(map(as_text, parameter.choices))
    bounds = [
        bound.format(parameter.schema[key])
        for key, bound in _BOUNDS.items()
        if key in parameter.schema
    ]
    declared = [parameter.declared] if parameter.declared else []
    secret = ["secret"] if parameter.secret else []
    return ", ".join([_TYPES[parameter.type], *declared, *bounds, *secret])


def default(parameter: Parameter) -> str:
    """Return the default as text; a secret's is hidden."""
    if parameter.required:
        return "(must be given)"
    if parameter.secret:
        return "(hidden)" if parameter.default else ""
    if "default" in parameter.schema:
        return as_text(parameter.schema["default"])
    return " ".join(parameter.default.split())


def as_text(value: Any) -> str:
    """Return a value as `-p` takes it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def question(parameter: Parameter) -> Text:
    """Return the question for a required parameter that was not given."""
    what = f"{parameter.name} ({takes(parameter)})"
    return Text(plain(f"{what}: {parameter.help}" if parameter.help else what))
