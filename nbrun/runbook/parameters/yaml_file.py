"""A file of parameters: YAML, or JSON as a part of it, that keeps each value's text.

YAML's events are read, not a loader's objects: `007`, `no` and `1.10` stay what was written until
the parameter's type is known. Tags, anchors and aliases, which can build anything and any amount
of it, are refused.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nbrun.errors import ParameterError
from nbrun.runbook.parameters.types import Given

_MAX_DEPTH = 50
_CORE: tuple[tuple[re.Pattern[str], Any], ...] = (
    (re.compile(r"null|Null|NULL|~|"), None),
    (re.compile(r"true|True|TRUE"), True),
    (re.compile(r"false|False|FALSE"), False),
)
_INT = re.compile(r"-?(0|[1-9][0-9]{0,600})")
_FLOAT = re.compile(r"[+-]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][+-]?[0-9]+)?|[+-]?[0-9]+[eE][+-]?[0-9]+")


def read_file(path: Path) -> dict[str, Given]:
    """The top mapping of the file. ParameterError names the file and the line."""
    events = _events(path, _text(path))
    first = next(events, None)
    if _kind(first) != "MappingStart":
        raise ParameterError(f"{path}: has no mapping at its top; write lines as `name: value`")
    found = _mapping(path, events)
    if next(events, None) is not None:
        raise ParameterError(f"{path}: holds more than one document; keep one")
    return found


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ParameterError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ParameterError(f"{path}: can't be read ({why}); check the path") from None


def _events(path: Path, text: str) -> Iterator[Any]:
    """The YAML events that carry content."""
    import yaml

    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            _refuse_constructions(path, event)
            if not _kind(event).startswith(("Stream", "Document")):
                yield event
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        why = getattr(error, "problem", None) or " ".join(str(error).split())
        raise ParameterError(f"{where}: not YAML ({why}); correct it") from None
    except RecursionError:
        raise ParameterError(f"{path}: is nested too deep; flatten it") from None


def _kind(event: Any) -> str:
    return type(event).__name__.removesuffix("Event")


def _refuse_constructions(path: Path, event: Any) -> None:
    if getattr(event, "tag", None):
        raise ParameterError(f"{_at(path, event)}: the tag {event.tag} is refused; remove it")
    if getattr(event, "anchor", None):
        raise ParameterError(
            f"{_at(path, event)}: anchors and aliases are refused; write the value out"
        )


def _at(path: Path, event: Any) -> str:
    return f"{path}:{event.start_mark.line + 1}"


def _mapping(path: Path, events: Iterator[Any], depth: int = 1) -> dict[str, Given]:
    """The mapping whose start was just taken from `events`, to its end."""
    found: dict[str, Given] = {}
    for event in events:
        if _kind(event) == "MappingEnd":
            break
        key = _key(path, event)
        if key in found:
            raise ParameterError(f"{_at(path, event)}: the key {key!r} is given twice; keep one")
        found[key] = _value(path, next(events), events, depth)
    return found


def _key(path: Path, event: Any) -> str:
    if _kind(event) != "Scalar":
        raise ParameterError(f"{_at(path, event)}: a key is no text; write it as one name")
    key = _joined(event.value)
    if event.style is None and not isinstance(_core(key), str):
        raise ParameterError(f"{_at(path, event)}: the key {key} is no text; quote it")
    return key


def _value(path: Path, event: Any, events: Iterator[Any], depth: int) -> Given:
    where = _at(path, event)
    if depth > _MAX_DEPTH:
        raise ParameterError(f"{where}: nested more than {_MAX_DEPTH} deep; flatten it")
    if _kind(event) == "Scalar":
        text, quoted = _joined(event.value), event.style is not None
        return Given(text if quoted else _core(text), text, where)
    if _kind(event) == "MappingStart":
        mapping = _mapping(path, events, depth + 1)
        return Given({key: item.value for key, item in mapping.items()}, None, where)
    return Given(list(_items(path, events, depth + 1)), None, where)


def _items(path: Path, events: Iterator[Any], depth: int) -> Iterator[Any]:
    for event in events:
        if _kind(event) == "SequenceEnd":
            return
        yield _value(path, event, events, depth).value


def _joined(text: str) -> str:
    """JSON writes characters beyond U+FFFF as two escapes, which PyYAML leaves apart."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def _core(text: str) -> Any:
    for pattern, value in _CORE:
        if pattern.fullmatch(text):
            return value
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
