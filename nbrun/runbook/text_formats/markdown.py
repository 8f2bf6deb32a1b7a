"""The cells of Markdown files. CommonMark says what is a block, and where it ends.

So a block within a comment, a longer block, a list or a quote is not a cell.
"""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbrun.errors import RunbookError
from nbrun.runbook.text_formats import jupytext_adapter
from nbrun.runbook.text_formats.blocks import Dialect, Fence, myst
from nbrun.runbook.text_formats.cell import Kind, Remark, TextCell

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_REGION = re.compile(r"<!--\s*#(?P<name>region|markdown|md|raw)\b(?P<options>.*)-->\s*")
_END = re.compile(r"<!--\s*#end(?P<name>region|markdown|md|raw)\s*-->\s*")
_SHELL_OR_PYTHON = re.compile(r"\{?(?:code-cell\}\s*)?(bash|sh|shell|zsh|python3?|py|r)\b", re.I)


@dataclass
class _Walk:
    """The cells found in a file so far, and the construct that is open at the current token.

    Attributes:
        start: the index of the first line that belongs to no cell yet.
        region: the name of the open region; empty outside of one.
        options: those of the Markdown that `start` begins.
    """

    path: Path
    lines: list[str]
    start: int
    region: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    cells: list[TextCell] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)

    def flush(self, end: int, kind: Kind = "markdown") -> None:
        """Make a cell of the lines before the index `end` that belong to none."""
        text = [n for n in range(self.start, end) if self.lines[n].strip()]
        if text:
            source = "\n".join(self.lines[text[0] : text[-1] + 1])
            self.cells.append(TextCell(kind, source, text[0] + 1, "", self.options))
        self.options = {}


def cells(
    path: Path, lines: list[str], start: int, dialect: Dialect
) -> tuple[list[TextCell], list[Remark]]:
    """Return the cells of `lines` from the index `start`, and what their author should know.

    Raises:
        RunbookError: a block or a region does not end, or options can't be read. The message names
            the line.
    """
    walk = _Walk(path, lines, start)
    # The blank lines in place of the header keep the numbers of the lines.
    text = "\n" * start + "\n".join(lines[start:]) + "\n"
    for token in _parser(is_myst=dialect is myst).parse(text):
        if token.type == "fence":
            _fence(walk, token, dialect)
        elif token.type == "html_block" and token.level == 0:
            _html(walk, token)
        elif token.type == "myst_block_break" and token.level == 0:
            _block_break(walk, token)
    if walk.region:
        raise RunbookError(
            f"{path}, line {walk.start}: the region does not end: add <!-- #end{walk.region} -->"
        )
    walk.flush(len(lines))
    return walk.cells, walk.remarks


def _parser(*, is_myst: bool) -> "MarkdownIt":
    from markdown_it import MarkdownIt

    parser = jupytext_adapter.myst_parser() if is_myst else MarkdownIt("commonmark")
    # No block depends on inline markup, or on definitions of links, which take quadratic time.
    return parser.disable(["inline", "reference"])


def first_lines(token: "Token") -> tuple[int, int]:
    """Return the indexes of the first line of `token` and of the line after it."""
    if token.map is None:  # only inline and closing tokens have none
        raise ValueError(f"a token of the type {token.type} has no place")
    return token.map[0], token.map[1]


def _fence(walk: _Walk, token: "Token", dialect: Dialect) -> None:
    first, end = first_lines(token)
    if token.level == 0:
        _refuse_unclosed(walk, token, first, end)
    if walk.region:
        return
    if token.level:
        if _SHELL_OR_PYTHON.match(token.info.strip()):
            message = "a block within a list or a quote is text and does not run: move it out"
            walk.remarks.append(Remark(first + 1, message))
        return
    content = token.content.removesuffix("\n")
    inside = tuple(content.split("\n")) if token.content else ()
    cell = dialect(Fence(walk.path, first + 1, token.info.strip(), inside))
    if cell is not None:
        walk.flush(first)
        walk.cells.append(cell)
        walk.start = end


def _refuse_unclosed(walk: _Walk, token: "Token", first: int, end: int) -> None:
    """Raise RunbookError if a block lasts to the end of the file because nothing closes it."""
    last = walk.lines[end - 1] if end - 1 < len(walk.lines) else ""
    mark = token.markup
    closing = last.strip(" \t")
    closed = end - 1 > first and len(closing) >= len(mark) and set(closing) == {mark[0]}
    if not closed:
        raise RunbookError(
            f"{walk.path}, line {first + 1}: the block does not end: close it with {mark}"
        )


def _html(walk: _Walk, token: "Token") -> None:
    """Open or close a region, if the HTML block `token` is a marker of one."""
    first, end = first_lines(token)
    for number in range(first, min(end, len(walk.lines))):
        opening, closing = (
            _REGION.fullmatch(walk.lines[number].strip()),
            _END.fullmatch(walk.lines[number].strip()),
        )
        if (opening or closing) and number != first:
            raise RunbookError(
                f"{walk.path}, line {number + 1}: this marker is within other HTML: "
                "put a blank line before it"
            )
        if opening and not walk.region:
            _open_region(walk, number, opening)
        elif closing and closing["name"] == walk.region:
            walk.flush(number, "raw" if walk.region == "raw" else "markdown")
            walk.region, walk.start = "", number + 1


def _open_region(walk: _Walk, number: int, opening: re.Match[str]) -> None:
    walk.flush(number)
    found = jupytext_adapter.region_options(opening["options"])
    if found is None:
        raise jupytext_adapter.unreadable_options(walk.path, number + 1, opening["options"].strip())
    title, walk.options = found
    if title:
        walk.options.setdefault("title", title)
    walk.region, walk.start = opening["name"], number + 1


def _block_break(walk: _Walk, token: "Token") -> None:
    """Begin a new Markdown cell at a `+++` of MyST, with the options that follow it."""
    first, end = first_lines(token)
    walk.flush(first)
    text = token.content.strip()
    try:
        found = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise jupytext_adapter.unreadable_options(walk.path, first + 1, text)
    walk.options, walk.start = found, end
