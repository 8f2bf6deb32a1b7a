"""Parameters, the types that one can have, and how given text becomes a value of a type.

Every refusal here is a ParameterError that says only what is expected. The caller adds the
parameter's name and the origin of the value.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from nbrun.errors import ParameterError

# "other": a type that no given value has, such as a date
ParameterType = Literal["str", "int", "float", "bool", "list", "dict", "any", "other"]

_MAX_DEPTH = 50
_INT = re.compile(r"[+-]?[0-9]+")
_FLOAT = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_TOO_BIG = "it needs more than 64 bits, which no record stores exactly; expected fewer digits"
_PYTHON_TYPES: dict[ParameterType, tuple[type[Any], ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (float, int),
    "bool": (bool,),
    "list": (list,),
    "dict": (dict,),
}
_EXPECTED = {
    "str": "text",
    "int": "an int: digits such as 42",
    "float": "a float: a finite number such as 0.5",
    "bool": "a bool: true or false",
    "list": 'a list: JSON such as ["a", "b"]',
    "dict": 'a dict: JSON such as {"a": 1}',
}


@dataclass(frozen=True)
class Parameter:
    """One declared parameter.

    Attributes:
        default: the source text of the default; empty if there is none.
        optional: null is a valid value too.
        required: the operator must give a value.
        secret: the value must not be recorded or shown.
        schema: the parameter's JSON Schema; empty if the notebook has none for it.
        declared: the type "other" as the notebook names it, such as `datetime.date`.
        keyword: `let`, `const`, `var` or `readonly`, as the cell declares it; else empty.
    """

    name: str
    type: ParameterType
    default: str = ""
    help: str = ""
    optional: bool = False
    required: bool = False
    secret: bool = False
    schema: Mapping[str, Any] = field(default_factory=dict)
    declared: str = ""
    keyword: str = ""

    @property
    def choices(self) -> list[Any]:
        """The values that the schema's `enum` lists; empty if there is no `enum`."""
        return list(self.schema.get("enum", ()))


@dataclass(frozen=True)
class RawValue:
    """A value as the operator gave it, before it is converted to its parameter's type.

    Attributes:
        value: the value by YAML 1.2's core schema. Digits that an int would not print in the same
            way (`007`, `+1`) stay text.
        text: the text of a scalar; None for a list or a mapping.
        origin: `-p`, `NBRUN_PARAM_X`, `PATH:LINE` and the like, for messages.
        secret: the value came from a source of secrets.
        unread: the value is not known, because its source was not read; says which source.
        exact: the value has the type that it is meant to have, whatever a cell declares.
    """

    value: Any
    text: str | None
    origin: str
    secret: bool = False
    unread: str = ""
    exact: bool = False


def raw_text(text: str, origin: str, *, secret: bool = False) -> RawValue:
    """Return the raw value of a text, such as one from the command line."""
    return RawValue(text, text, origin, secret)


def from_text(text: str, kind: ParameterType) -> Any:
    """Convert `text` to a value of type `kind`. The types `str` and `any` leave it unchanged.

    Raises:
        ParameterError: the text is not a value of that type.
    """
    refuse_unsafe(text)
    if kind in ("str", "any"):
        return text
    try:
        value = _PARSERS[kind](text)
    except (ValueError, RecursionError):
        raise ParameterError(f"expected {_EXPECTED[kind]}") from None
    return of_type(value, kind)


def of_type(value: Any, kind: ParameterType) -> Any:
    """Return `value` if it is of type `kind`. Convert an int to a float where a float is expected.

    Raises:
        ParameterError: the value is of another type.
    """
    refuse_unsafe(value)
    if kind == "any":
        return value
    if not isinstance(value, _PYTHON_TYPES[kind]) or (isinstance(value, bool) and kind != "bool"):
        raise ParameterError(f"expected {_EXPECTED[kind]}")
    return float(value) if kind == "float" else value


def refuse_unsafe(value: Any, depth: int = 0) -> None:
    """Raise ParameterError if a record can't store `value` exactly, or no language can receive it.

    `value` is of JSON's types. `depth` counts the lists and mappings around it.
    """
    if depth > _MAX_DEPTH:
        raise ParameterError(f"it is nested more than {_MAX_DEPTH} levels deep")
    if isinstance(value, str):
        _refuse_unsafe_text(value)
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ParameterError(_TOO_BIG)
    if isinstance(value, float) and not math.isfinite(value):
        raise ParameterError("it is not finite; expected a number such as 0.5")
    children = [*value, *value.values()] if isinstance(value, dict) else value
    for child in children if isinstance(children, list) else ():
        refuse_unsafe(child, depth + 1)


def _refuse_unsafe_text(text: str) -> None:
    if "\0" in text:
        raise ParameterError("it holds a NUL character, where some languages cut text: remove it")
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise ParameterError("it holds a lone surrogate or a byte that is not UTF-8: correct it")


def _int(text: str) -> int:
    if not _INT.fullmatch(text):
        raise ValueError(text)
    digits = text.lstrip("+-").lstrip("0") or "0"
    if len(digits) > 19:  # int() raises an error of its own for thousands of digits
        raise ParameterError(_TOO_BIG)
    return -int(digits) if text[0] == "-" else int(digits)


def _float(text: str) -> float:
    if not _FLOAT.fullmatch(text):
        raise ValueError(text)
    return float(text)


def _bool(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


def _strict_json(text: str) -> Any:
    """Parse JSON. Raise ValueError for NaN and for a duplicate key too."""
    return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique_keys)


def _refuse_constant(constant: str) -> None:
    raise ValueError(constant)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        raise ValueError("duplicate key")
    return mapping


_PARSERS: dict[ParameterType, Callable[[str], Any]] = {
    "int": _int,
    "float": _float,
    "bool": _bool,
    "list": _strict_json,
    "dict": _strict_json,
}
