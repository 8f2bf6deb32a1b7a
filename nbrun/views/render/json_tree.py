"""A JSON value as an indented tree, with its deepest levels folded until the tree is short."""

import json
from collections.abc import Iterator
from typing import Any

from rich.highlighter import JSONHighlighter
from rich.text import Text

from nbrun.views.render.nbformat_text import truncate
from nbrun.views.text.sanitize import visible

_MAX_DEPTH = 60  # levels that are expanded; JSON can be nested deeper than Python's stack
_MAX_LINE = 1_000  # characters


def render_json(value: Any, max_lines: int) -> Text:
    """Return `value` as JSON in at most `max_lines` lines and one that counts the rest.

    If the whole tree is too long, the deepest levels are replaced by their sizes. If that is not
    enough, the tree is cut. With `max_lines` 0 there is no limit.
    """
    for depth in (*range(_MAX_DEPTH, 3, -8), 3, 2, 1) if max_lines else (_MAX_DEPTH,):
        lines = _first_lines(_tree_lines(value, depth), max_lines)
        if not max_lines or len(lines) <= max_lines:
            return _highlight(lines, "")
    count = sum(1 for _ in _tree_lines(value, 1))
    return _highlight(lines[:max_lines], f"… {count - max_lines:,} more lines")


def _first_lines(lines: Iterator[str], max_lines: int) -> list[str]:
    """Return all lines, or the first `max_lines` and one more."""
    if not max_lines:
        return list(lines)
    return [line for line, _ in zip(lines, range(max_lines + 1), strict=False)]


def _highlight(lines: list[str], rest: str) -> Text:
    shown = "\n".join(truncate(line, _MAX_LINE) for line in lines)
    text = JSONHighlighter()(visible(shown))
    if rest:
        text.append("\n" + rest, "dim")
    return text


def _tree_lines(
    value: Any, depth: int, indent: str = "", name: str = "", comma: str = ""
) -> Iterator[str]:
    """Yield the lines of a value as JSON, with everything below `depth` levels folded."""
    if not isinstance(value, dict | list) or not value:
        yield indent + name + json.dumps(value, ensure_ascii=False, default=repr) + comma
        return
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    if not depth:
        size = f"{len(value):,} {'keys' if isinstance(value, dict) else 'items'}"
        yield f"{indent}{name}{opening}… {size}{closing}{comma}"
        return
    yield indent + name + opening
    last = len(value) - 1
    items = value.items() if isinstance(value, dict) else ((None, each) for each in value)
    for number, (key, each) in enumerate(items):
        label = f"{json.dumps(key, ensure_ascii=False)}: " if isinstance(value, dict) else ""
        yield from _tree_lines(each, depth - 1, indent + "  ", label, "," if number < last else "")
    yield indent + closing + comma
