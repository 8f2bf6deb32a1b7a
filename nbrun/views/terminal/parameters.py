"""The parameters of a runbook told to a person, and asked for where they are missing."""

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
    """Each parameter: what it takes, what it is unless given, and what it is for."""
    shown = Table(box=None, pad_edge=False)
    for column in ("parameter", "takes", "unless given", "what for"):
        shown.add_column(column, overflow="fold")
    for parameter in parameters.values():
        cells = (parameter.name, takes(parameter), default(parameter), parameter.help)
        shown.add_row(*(Text(plain(cell)) for cell in cells))
    return shown


def takes(parameter: Parameter) -> str:
    """`int, at least 1`, or the choices."""
    if parameter.choices:
        return " | ".join(map(spelled, parameter.choices))
    bounds = [
        told.format(parameter.schema[key])
        for key, told in _BOUNDS.items()
        if key in parameter.schema
    ]
    secret = ["secret"] if parameter.secret else []
    return ", ".join([_TYPES[parameter.type], *bounds, *secret])


def default(parameter: Parameter) -> str:
    if parameter.required:
        return "(must be given)"
    if parameter.secret:
        return "(hidden)" if parameter.default else ""
    if "default" in parameter.schema:
        return spelled(parameter.schema["default"])
    return " ".join(parameter.default.split())


def spelled(value: Any) -> str:
    """A value as `-p` takes it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def question(parameter: Parameter) -> Text:
    """What is asked for when a parameter that must be given was not."""
    what = f"{parameter.name} ({takes(parameter)})"
    return Text(plain(f"{what}: {parameter.help}" if parameter.help else what))
