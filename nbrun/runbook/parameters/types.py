"""What is given for parameters: which text or value fits a type, and what is refused in any.

Every refusal is a ParameterError that says only what is expected: the caller knows the
parameter's name and where the value came from.
"""

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from nbrun.errors import ParameterError

Type = Literal["str", "int", "float", "bool", "list", "dict", "any"]

_MAX_DEPTH = 50
_INT = re.compile(r"[+-]?[0-9]+")
_FLOAT = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_TOO_BIG = "it is beyond 64 bits, which no record holds exactly; expected fewer digits"
_OF_TYPE: dict[Type, tuple[type[Any], ...]] = {
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
class Given:
    """One value as it was given. `where`: `-p`, `NBRUN_PARAM_X` or `path:line`.

    `text` is that of a scalar, None of others. `value` is by YAML 1.2's core schema, but digits
    that an int would not give back as they are (`007`, `+1`) stay text. `secret`: it came from
    where secrets come from.
    """

    value: Any
    text: str | None
    where: str
    secret: bool = False


def as_text(text: str, where: str, *, secret: bool = False) -> Given:
    """A text that was given as such."""
    return Given(text, text, where, secret)


def from_text(text: str, kind: Type) -> Any:
    """The value that `text` is for a parameter of type `kind`: `str` and `any` keep it as it is."""
    refuse_unsafe(text)
    if kind in ("str", "any"):
        return text
    try:
        value = _READ[kind](text)
    except (ValueError, RecursionError):
        raise ParameterError(f"expected {_EXPECTED[kind]}") from None
    return of_type(value, kind)


def of_type(value: Any, kind: Type) -> Any:
    """`value` where it is of type `kind`, an int made a float for one; else it is refused."""
    refuse_unsafe(value)
    if kind == "any":
        return value
    if not isinstance(value, _OF_TYPE[kind]) or (isinstance(value, bool) and kind != "bool"):
        raise ParameterError(f"expected {_EXPECTED[kind]}")
    return float(value) if kind == "float" else value


def json_value(text: str) -> Any:
    """Strict JSON: ValueError for NaN and for a key given twice as for what is not JSON."""
    return json.loads(text, parse_constant=_not_json, object_pairs_hook=_unique)


def refuse_unsafe(value: Any, depth: int = 0) -> None:
    """Refuse what no record can hold exactly or no language can be given."""
    if depth > _MAX_DEPTH:
        raise ParameterError(f"it is nested more than {_MAX_DEPTH} deep")
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
        raise ParameterError("it holds a NUL character, which cuts text short; remove it")
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise ParameterError("it holds half a character or a byte that is not UTF-8; correct it")


def _int(text: str) -> int:
    if not _INT.fullmatch(text):
        raise ValueError(text)
    digits = text.lstrip("+-").lstrip("0") or "0"
    if len(digits) > 19:  # int() refuses thousands of them with an error of its own
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


def _not_json(constant: str) -> None:
    raise ValueError(constant)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        raise ValueError("a key is given twice")
    return mapping


_READ: dict[Type, Callable[[str], Any]] = {
    "int": _int,
    "float": _float,
    "bool": _bool,
    "list": json_value,
    "dict": json_value,
}
