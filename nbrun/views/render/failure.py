"""What broke a step: the error in a line, and the source around the line that it came up in."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from nbrun.views.render.source import highlight
from nbrun.views.render.traceback import ErrorLocation, error_location
from nbrun.views.text import phrases
from nbrun.views.text.sanitize import plain

_AROUND = 2  # lines of the source before the one that failed, and after it


@dataclass(frozen=True)
class CellError:
    """The error as it is told, and where in the cell it came up, where that is known."""

    error: str
    where: ErrorLocation | None


def parse_error(output: dict[str, Any]) -> CellError:
    """What an nbformat output of the type `error` says."""
    lines = output.get("traceback")
    texts = [line for line in lines if isinstance(line, str)] if isinstance(lines, list) else []
    error = phrases.error_line(str(output.get("ename", "")), str(output.get("evalue", "")))
    return CellError(error, error_location(texts))


def render_error(
    cause: CellError, source: str, language: str, *, boxes: bool = True
) -> Iterator[RenderableType]:
    """The error, and the lines of `source` around it, the failing one marked. `boxes`: drawn with
    lines and arrows. What is not in `source` as it was sent (a magic changes it) is quoted."""
    marker, edge = ("→", "│") if boxes else (">", "|")
    yield Text(f"  {plain(cause.error)}", "red")
    where = cause.where
    if where is None:
        return
    lines = highlight(source, language).split("\n")
    known = 0 < where.line <= len(lines) and where.code in lines[where.line - 1].plain
    if not known:
        yield Text(plain(f"  {marker} line {where.line}: {where.code}").rstrip(" :"), "red")
        return
    first = max(1, where.line - _AROUND)
    last = min(len(lines), where.line + _AROUND)
    for number in range(first, last + 1):
        failed = number == where.line
        gutter = f"  {marker if failed else ' '} {number:>{len(str(last))}} {edge} "
        line = Text(gutter, "bold red" if failed else "dim", no_wrap=True, overflow="ignore")
        yield line.append_text(lines[number - 1])
