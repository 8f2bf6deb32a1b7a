"""Text values of nbformat outputs: multi-line strings joined, long ones truncated."""

from typing import Any


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
