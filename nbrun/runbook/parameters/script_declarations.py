"""Parse a `parameters` cell in bash, R, JavaScript or TypeScript: names, types and defaults.

No code is run, and no type is computed that the source does not show.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from nbrun.runbook.parameters.types import Parameter, ParameterType
from nbrun.runbook.source_scanner import Statement, statements

_STRING = re.compile(r"_+")  # in the shape of a statement: one string
_TYPED_LITERALS: tuple[tuple[re.Pattern[str], ParameterType], ...] = (
    (re.compile(r"[+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|0[xXoObB][\da-fA-F_]+"), "float"),
    (re.compile(r"true|false|TRUE|FALSE|T|F|!.*"), "bool"),
    (re.compile(r"\[.*", re.DOTALL), "list"),
    (re.compile(r"\{.*", re.DOTALL), "dict"),
)


@dataclass(frozen=True)
class _Type:
    """A declared type. `name`: for the type "other", the source that names it."""

    type: ParameterType
    name: str = ""
    optional: bool = False
    choices: tuple[Any, ...] = ()


_ANY = _Type("any")


def script_parameters(source: str, language: str) -> dict[str, Parameter]:
    """Return the parameters that a cell assigns, by name, in order."""
    read = _READERS[language]
    found = (each for statement in statements(source, language) for each in read(statement))
    return {parameter.name: parameter for parameter in found}


def _parameter(name: str, kind: _Type, default: Statement, keyword: str = "") -> Parameter:
    choices = [*kind.choices, None] if kind.optional else [*kind.choices]
    return Parameter(
        name,
        kind.type,
        default.text.strip(),
        default.comment,
        kind.optional,
        schema={"enum": choices} if kind.choices else {},
        declared=kind.name,
        keyword=keyword,
    )


def _literal_type(shape: str) -> ParameterType | None:
    if _STRING.fullmatch(shape):
        return "str"
    return next((kind for pattern, kind in _TYPED_LITERALS if pattern.fullmatch(shape)), None)


# ── JavaScript and TypeScript ────────────────────────────────────────────────────────────────────

_DECLARATION = re.compile(r"(?:export\s+)?(?P<keyword>let|const|var)\s+")
_DECLARATOR = re.compile(
    r"\s*(?P<name>[A-Za-z_$][\w$]*)\s*!?\s*(?::(?P<type>(?:=>|[^=])*))?(?:=(?![=>])(?P<default>.*))?",
    re.DOTALL,
)
_TS_TYPES: Mapping[str, ParameterType] = MappingProxyType(
    {
        "string": "str",
        "number": "float",
        "boolean": "bool",
        "any": "any",
        "unknown": "any",
        "object": "dict",
        "null": "any",
        "undefined": "any",
    }
)
_TS_LIST = re.compile(r".*\[\]|(?:Readonly)?Array<.*>|\[.*\]|readonly\s+.*\[\]", re.DOTALL)
_TS_DICT = re.compile(r"Record<.*>|\{.*\}", re.DOTALL)
_CALLS: tuple[tuple[re.Pattern[str], ParameterType], ...] = (
    (re.compile(r"(?:Number|parseInt|parseFloat)\(.*", re.DOTALL), "float"),
    (re.compile(r"String\(.*", re.DOTALL), "str"),
    (re.compile(r"Boolean\(.*", re.DOTALL), "bool"),
)
_OTHER_VALUE = re.compile(r"[+-]?\d[\d_]*n|new\s+(?P<class>[\w.$]+).*", re.DOTALL)


def _of_javascript(statement: Statement) -> Iterator[Parameter]:
    declaration = _DECLARATION.match(statement.shape)
    keyword = declaration["keyword"] if declaration else ""
    rest = statement.slice(declaration.end() if declaration else 0, len(statement.shape))
    for part in rest.parts(",", "([{<)]}>") if declaration else (rest,):
        match = _DECLARATOR.fullmatch(part.shape)
        if match and (declaration or match["default"]) and (declaration or not match["type"]):
            default = part.slice(*match.span("default")) if match["default"] else part.slice(0, 0)
            annotation = part.slice(*match.span("type")) if match["type"] else None
            kind = _annotated(annotation) if annotation else _value_type(default.shape.strip())
            yield _parameter(match["name"], kind, default, keyword)


def _annotated(annotation: Statement) -> _Type:
    members = [
        Statement(each.text.strip(), each.shape.strip(), "", 0) for each in annotation.parts("|")
    ]
    present = [each for each in members if each.shape not in ("", "null", "undefined")]
    optional = len(present) < len([each for each in members if each.shape])
    choices = [_choice(each) for each in present]
    if present and None not in choices:
        types: set[ParameterType] = {_choice_type(each) for each in choices}
        kind = types.pop() if len(types) == 1 else "any"
        return _Type(kind, optional=optional, choices=tuple(choices))
    types = {_member_type(each.shape) for each in present}
    if "other" in types:
        return _Type("other", " ".join(annotation.text.split()))
    return _Type(types.pop() if len(types) == 1 else "any", optional=optional)


def _choice_type(choice: Any) -> ParameterType:
    return "str" if isinstance(choice, str) else "bool" if isinstance(choice, bool) else "float"


def _choice(member: Statement) -> Any:
    """Return the value of a literal type such as `"dry"`; None for another type."""
    text = member.text
    if _STRING.fullmatch(member.shape):
        text = f'"{text[1:-1]}"' if text[0] == "'" and '"' not in text else text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, str | int | float) else None


def _member_type(shape: str) -> ParameterType:
    if _TS_LIST.fullmatch(shape):
        return "list"
    if _TS_DICT.fullmatch(shape):
        return "dict"
    return _TS_TYPES.get(shape, "other")


def _value_type(shape: str) -> _Type:
    other = _OTHER_VALUE.fullmatch(shape)
    if other:
        return _Type("other", other["class"] or "bigint")
    call = next((kind for pattern, kind in _CALLS if pattern.fullmatch(shape)), None)
    return _Type(_literal_type(shape) or call or "any")


# ── bash ─────────────────────────────────────────────────────────────────────────────────────────

_BASH_WORD = re.compile(r"(?P<name>[A-Za-z_]\w*)=(?P<default>.*)", re.DOTALL)
_BASH_KEYWORDS = ("declare", "typeset", "readonly", "export")


def _of_bash(statement: Statement) -> Iterator[Parameter]:
    words = [word for word in statement.parts(" \t\n") if word.shape.strip("\\\n \t")]
    keyword = words[0].text if words[0].shape in _BASH_KEYWORDS else ""
    flags = "".join(word.text[1:] for word in words[1:] if word.shape[0] == "-") if keyword else ""
    assigned = [word for word in words[bool(keyword) :] if not keyword or word.shape[0] != "-"]
    matches = [(_BASH_WORD.fullmatch(word.shape), word) for word in assigned]
    if not keyword and not all(match for match, _ in matches):
        return  # `name=value command`: the value is the command's own
    is_fixed = keyword == "readonly" or "r" in flags
    for match, word in matches:
        if match:
            default = word.slice(*match.span("default"))
            kind = _bash_type(flags, default.shape)
            yield _parameter(match["name"], kind, default, "readonly" if is_fixed else "")


def _bash_type(flags: str, default: str) -> _Type:
    if "A" in flags:
        return _Type("other", "an associative array")
    if "i" in flags:
        return _Type("int")
    return _Type("list" if "a" in flags or default.startswith("(") else "str")


# ── R ────────────────────────────────────────────────────────────────────────────────────────────

_R_ASSIGNMENT = re.compile(
    r"(?P<name>[A-Za-z.][\w.]*)\s*(?:<<?-|=(?!=))\s*(?P<default>.*)", re.DOTALL
)
_R_VALUES: tuple[tuple[re.Pattern[str], ParameterType], ...] = (
    (re.compile(r"[+-]?\d+(?:[eE]\+?\d+)?L|(?:as\.)?integer\(.*", re.DOTALL), "int"),
    (re.compile(r"(?:as\.)?(?:numeric|double)\(.*", re.DOTALL), "float"),
    (re.compile(r"(?:as\.)?character\(.*|paste0?\(.*|NA_character_", re.DOTALL), "str"),
    (re.compile(r"(?:as\.)?logical\(.*", re.DOTALL), "bool"),
    (re.compile(r"list\(\s*(?:[\w.]+|_+)\s*=.*", re.DOTALL), "dict"),
    (re.compile(r"(?:c|list)\(.*", re.DOTALL), "list"),
)
_R_OTHER = re.compile(
    r"(?:as\.)?(?P<class>Date|POSIXct|POSIXlt|factor|complex|Sys\.Date|Sys\.time)\(.*", re.DOTALL
)


def _of_r(statement: Statement) -> Iterator[Parameter]:
    match = _R_ASSIGNMENT.fullmatch(statement.shape)
    if match:
        default = statement.slice(*match.span("default"))
        yield _parameter(match["name"], _r_type(default.shape), default)


def _r_type(shape: str) -> _Type:
    other = _R_OTHER.fullmatch(shape)
    if other:
        return _Type("other", other["class"])
    own = next((kind for pattern, kind in _R_VALUES if pattern.fullmatch(shape)), None)
    literal = _literal_type(shape)
    return _Type(own or ("any" if literal == "dict" else literal) or "any")  # `{` is a block


_READERS: Mapping[str, Callable[[Statement], Iterator[Parameter]]] = MappingProxyType(
    {
        "bash": _of_bash,
        "R": _of_r,
        "javascript": _of_javascript,
        "typescript": _of_javascript,
    }
)
