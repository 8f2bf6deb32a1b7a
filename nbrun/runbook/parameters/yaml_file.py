"""Read a parameters file: YAML, or JSON, which is a part of YAML.

The events of YAML's parser are read, not the objects of a loader: `007`, `no` and `1.10` stay text
until the parameter's type is known. Tags, anchors and aliases are refused, because they can build
objects of any class and of any size.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nbrun.errors import ParameterError
from nbrun.runbook.parameters.types import RawValue

_MAX_DEPTH = 50
_CORE: tuple[tuple[re.Pattern[str], Any], ...] = (
    (re.compile(r"null|Null|NULL|~|"), None),
    (re.compile(r"true|True|TRUE"), True),
    (re.compile(r"false|False|FALSE"), False),
)
_INT = re.compile(r"-?(0|[1-9][0-9]{0,600})")
_FLOAT = re.compile(r"[+-]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][+-]?[0-9]+)?|[+-]?[0-9]+[eE][+-]?[0-9]+")


def read_file(path: Path) -> dict[str, RawValue]:
    """Return the values of the file's mapping, by name.

    Raises:
        ParameterError: the file can't be read as one mapping. The message names file and line.
    """
    found = read_mapping(path, _text(path))
    if found is None:
        raise ParameterError(
            f"{path}: has no values: write lines such as `name: value`, or {{}} if none is meant"
        )
    return found


def read_mapping(path: Path, text: str) -> dict[str, RawValue] | None:
    """Return the values of the mapping `text`, by name; None if it is empty. `path` is its file.

    Raises:
        ParameterError: as `read_file` does.
    """
    events = _events(path, text)
    first = next(events, None)
    if first is None or _is_null(first):
        return None
    if _kind(first) != "MappingStart":
        raise ParameterError(f"{path}: not a mapping: write lines such as `name: value`")
    found = _mapping(path, events)
    if next(events, None) is not None:
        raise ParameterError(f"{path}: more than one YAML document: keep one")
    return found


def _is_null(event: Any) -> bool:
    return _kind(event) == "Scalar" and event.style is None and _core(event.value) is None


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ParameterError(f"{path}: not UTF-8 at byte {error.start}: save it as UTF-8") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ParameterError(f"{path}: can't be read ({why}): check the path") from None


def _events(path: Path, text: str) -> Iterator[Any]:
    """Yield the YAML events that carry content."""
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
        raise ParameterError(f"{where}: not YAML ({why}): correct it") from None
    except RecursionError:
        raise ParameterError(f"{path}: nested too deep: flatten it") from None


def _kind(event: Any) -> str:
    return type(event).__name__.removesuffix("Event")


def _refuse_constructions(path: Path, event: Any) -> None:
    if getattr(event, "tag", None):
        raise ParameterError(f"{_at(path, event)}: the tag {event.tag} is refused: remove it")
    if getattr(event, "anchor", None):
        raise ParameterError(
            f"{_at(path, event)}: anchors and aliases are refused: write the value out"
        )


def _at(path: Path, event: Any) -> str:
    return f"{path}:{event.start_mark.line + 1}"


def _mapping(path: Path, events: Iterator[Any], depth: int = 1) -> dict[str, RawValue]:
    """Read a mapping to its end. `events` has just yielded its start."""
    found: dict[str, RawValue] = {}
    for event in events:
        if _kind(event) == "MappingEnd":
            break
        key = _key(path, event)
        if key in found:
            raise ParameterError(f"{_at(path, event)}: duplicate key {key!r}: keep one")
        found[key] = _value(path, next(events), events, depth)
    return found


def _key(path: Path, event: Any) -> str:
    if _kind(event) != "Scalar":
        raise ParameterError(f"{_at(path, event)}: mapping keys must be strings: write one name")
    key = _joined(event.value)
    if event.style is None and not isinstance(_core(key), str):
        raise ParameterError(
            f"{_at(path, event)}: mapping keys must be strings: quote the key {key}"
        )
    return key


def _value(path: Path, event: Any, events: Iterator[Any], depth: int) -> RawValue:
    where = _at(path, event)
    if depth > _MAX_DEPTH:
        raise ParameterError(f"{where}: nested more than {_MAX_DEPTH} levels deep: flatten it")
    if _kind(event) == "Scalar":
        text, is_quoted = _joined(event.value), event.style is not None
        return RawValue(text if is_quoted else _core(text), text, where)
    if _kind(event) == "MappingStart":
        mapping = _mapping(path, events, depth + 1)
        return RawValue({key: item.value for key, item in mapping.items()}, None, where)
    return RawValue(list(_items(path, events, depth + 1)), None, where)


def _items(path: Path, events: Iterator[Any], depth: int) -> Iterator[Any]:
    for event in events:
        if _kind(event) == "SequenceEnd":
            return
        yield _value(path, event, events, depth).value


def _joined(text: str) -> str:
    """Join surrogate pairs. JSON writes a character beyond U+FFFF as two escapes, PyYAML as two
    characters."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def _core(text: str) -> Any:
    """Return the value of a plain scalar by YAML 1.2's core schema."""
    for pattern, value in _CORE:
        if pattern.fullmatch(text):
            return value
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
