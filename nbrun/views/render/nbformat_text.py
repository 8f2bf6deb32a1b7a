"""Values of nbformat outputs: multi-line strings joined, long ones truncated, valid mime data."""

import json
import re
from typing import Any

# Python's own form, and IPython's: `<Foo object at 0x7f…>` and `<Foo at 0x7f…>`.
_DEFAULT_REPR = re.compile(r"<[\w.]+(?: object| at 0x[0-9a-f]+| object at 0x[0-9a-f]+)>\s*")
_ANY_JSON = re.compile(r"application/(.*\+)?json")


def join(value: Any, separator: str = "") -> str:
    """Return a "multiline_string" of nbformat, which is a string or a list of its parts.

    Raises:
        TypeError: `value` is neither a string nor a list of strings.
    """
    if isinstance(value, list):
        return separator.join(value)
    if not isinstance(value, str):
        raise TypeError(f"text expected, not {type(value).__name__}")
    return value


def truncate(text: str, max_characters: int) -> str:
    """Return `text`, with the characters after `max_characters` replaced by an ellipsis."""
    return text if len(text) <= max_characters else text[:max_characters] + "…"


def valid_data(data: dict[str, Any]) -> dict[str, Any]:
    """Return mime data as nbformat allows it: text, and any value under a JSON mime type."""
    return {
        mime: value if _is_text(value) or _ANY_JSON.fullmatch(mime) else json.dumps(value)
        for mime, value in data.items()
    }


def without_bare_repr(data: dict[str, Any]) -> dict[str, Any]:
    """Leave out text that names nothing but a class, unless the bundle has nothing else."""
    bare = "text/plain" in data and _DEFAULT_REPR.fullmatch(join(data["text/plain"]))
    return {mime: data[mime] for mime in data if not bare or mime != "text/plain"} or data


def _is_text(value: Any) -> bool:
    if isinstance(value, str):
        return True
    return isinstance(value, list) and all(isinstance(part, str) for part in value)
