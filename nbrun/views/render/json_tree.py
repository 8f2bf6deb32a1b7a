"""A JSON value laid out as a tree, folded from the innermost level outwards until it fits."""

import json
from collections.abc import Iterator
from typing import Any

from rich.highlighter import JSONHighlighter
from rich.text import Text

from nbrun.views.text.sanitize import visible

_DEEPEST = 60  # levels that are laid out; JSON itself may be nested deeper than Python's stack
_LONGEST = 1_000  # characters of one line


def render_json(value: Any, most: int) -> Text:
    """`value` in at most `most` lines (0: no limit). Whole, if that is enough; else the deepest
    levels are folded to their sizes; what is still too long is cut, and the rest counted."""
    for depth in (*range(_DEEPEST, 3, -8), 3, 2, 1) if most else (_DEEPEST,):
        lines = _head(_laid_out(value, depth), most)
        if not most or len(lines) <= most:
            return _shown(lines, "")
    count = sum(1 for _ in _laid_out(value, 1))
    return _shown(lines[:most], f"… {count - most:,} more lines")


def _head(lines: Iterator[str], most: int) -> list[str]:
    """All lines, or one more than `most`."""
    if not most:
        return list(lines)
    return [line for line, _ in zip(lines, range(most + 1), strict=False)]


def _shown(lines: list[str], rest: str) -> Text:
    text = JSONHighlighter()(visible("\n".join(map(_cut, lines))))
    if rest:
        text.append("\n" + rest, "dim")
    return text


def _cut(line: str) -> str:
    return line if len(line) <= _LONGEST else line[:_LONGEST] + "…"


def _laid_out(
    value: Any, depth: int, indent: str = "", name: str = "", comma: str = ""
) -> Iterator[str]:
    """The lines of a value as JSON, what lies `depth` levels deep folded."""
    if not isinstance(value, dict | list) or not value:
        yield indent + name + json.dumps(value, ensure_ascii=False, default=repr) + comma
        return
    opens, closes = "{}" if isinstance(value, dict) else "[]"
    if not depth:
        size = f"{len(value):,} {'keys' if isinstance(value, dict) else 'items'}"
        yield f"{indent}{name}{opens}… {size}{closes}{comma}"
        return
    yield indent + name + opens
    last = len(value) - 1
    is_object = isinstance(value, dict)
    named = value.items() if isinstance(value, dict) else ((None, each) for each in value)
    for number, (key, each) in enumerate(named):
        label = f"{json.dumps(key, ensure_ascii=False)}: " if is_object else ""
        follows = "," if number < last else ""
        yield from _laid_out(each, depth - 1, indent + "  ", label, follows)
    yield indent + closes + comma
