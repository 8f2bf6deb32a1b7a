"""The error of a failed step: its message, and the source lines around the one that failed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from nbrun.views.render.source import highlight
from nbrun.views.render.traceback import ErrorLocation, error_location, source_line
from nbrun.views.text import phrases
from nbrun.views.text.sanitize import plain

_CONTEXT_LINES = 2  # source lines before the one that failed, and after it


@dataclass(frozen=True)
class CellError:
    """An error's message, and its location in the cell if the traceback has one."""

    message: str
    location: ErrorLocation | None


def parse_error(output: dict[str, Any], source: str = "") -> CellError:
    """Read an nbformat output of type `error`. `source` is the cell's."""
    lines = output.get("traceback")
    texts = [line for line in lines if isinstance(line, str)] if isinstance(lines, list) else []
    ename, evalue = str(output.get("ename", "")), str(output.get("evalue", ""))
    return CellError(phrases.error_line(ename, evalue, source), error_location(texts))


def render_error(
    error: CellError, source: str, language: str, *, boxes: bool = True
) -> Iterator[RenderableType]:
    """Yield the message, and the lines of `source` around the one that failed, which is marked.

    A failed line that is not in `source` is quoted instead. `boxes`: draw with arrows and lines of
    Unicode.
    """
    marker, edge = ("→", "│") if boxes else (">", "|")
    yield Text(f"  {plain(error.message)}", "red")
    location = error.location
    if location is None:
        return
    lines = highlight(source, language).split("\n")
    number = source_line(location, source)
    if not number:
        quoted = f"  {marker} line {location.line}: {location.code}"
        yield Text(plain(quoted).rstrip(" :"), "red")
        return
    first = max(1, number - _CONTEXT_LINES)
    last = min(len(lines), number + _CONTEXT_LINES)
    for each in range(first, last + 1):
        failed = each == number
        gutter = f"  {marker if failed else ' '} {each:>{len(str(last))}} {edge} "
        line = Text(gutter, "bold red" if failed else "dim", no_wrap=True, overflow="ignore")
        yield line.append_text(lines[each - 1])
