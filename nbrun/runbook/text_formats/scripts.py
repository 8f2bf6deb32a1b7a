"""The cells of scripts with `# %%` markers, as VS Code, Spyder and jupytext write them."""

import re
import tokenize
from collections.abc import Mapping
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

from nbrun.errors import RunbookError
from nbrun.runbook.text_formats import jupytext_adapter, options
from nbrun.runbook.text_formats.cell import TextCell

_BARE_MARKER = re.compile(r"%%(\s|$)")  # in text, whose comments are text


def cells(
    path: Path, lines: list[str], start: int, suffix: str, metadata: Mapping[str, Any]
) -> list[TextCell]:
    """Return the cells of `lines` from the index `start`. `metadata` is the header's.

    A comment that jupytext would run as a magic, such as `# !ls` or `# rm x`, is only accepted if
    the header says what it is.

    Raises:
        RunbookError: the script has no markers, or is read in two ways. The message names the line.
    """
    comment = jupytext_adapter.comment_of(suffix)
    marker = re.compile(rf"\s*{re.escape(comment)}\s*%%")
    for number, line in enumerate(lines, start=1):
        if marker.match(line):
            options.refuse_long_line(path, number, line)
    own = metadata.get("jupytext", {})
    name = _format(path, lines, suffix, own)

    def read(*, magics: bool) -> list[TextCell]:
        found = jupytext_adapter.script_cells(path, lines, start, suffix, magics=magics)
        return [_preamble(cell, comment) if n == 0 else cell for n, cell in enumerate(found)]

    stated = own.get("comment_magics")
    if isinstance(stated, bool) or name == "hydrogen":
        found = read(magics=stated is True)
    else:
        found = read(magics=False)
        _refuse_ambiguous(path, found, read(magics=True))
    _refuse_swallowed(path, found, marker)
    return found


def _format(path: Path, lines: list[str], suffix: str, own: Mapping[str, Any]) -> str:
    stated = own.get("text_representation", {})
    name = stated.get("format_name") if isinstance(stated, dict) else None
    if name is None:
        name = jupytext_adapter.script_format("\n".join(lines), suffix)
    if name not in ("percent", "hydrogen"):
        comment = jupytext_adapter.comment_of(suffix)
        raise RunbookError(
            f"{path}: not a script with cells: begin each cell with a line `{comment} %%`"
        )
    return str(name)


def _preamble(cell: TextCell, comment: str) -> TextCell:
    """Return comments above the first marker as text: a step of them would do nothing."""
    source = cell.source.split("\n")
    if (
        cell.kind != "code"
        or cell.options
        or not all(_is_comment(line, comment) for line in source)
    ):
        return cell
    text = "\n".join(line.removeprefix(comment).removeprefix(" ") for line in source)
    return replace(cell, kind="raw", source=text)


def _is_comment(line: str, comment: str) -> bool:
    return not line.strip() or line.startswith(comment)


def _refuse_ambiguous(path: Path, commented: list[TextCell], magic: list[TextCell]) -> None:
    """Raise RunbookError at the first comment that would be a command if magics are commented."""
    for cell, other in zip(commented, magic, strict=True):
        pairs = zip(cell.source.split("\n"), other.source.split("\n"), strict=True)
        for number, (line, command) in enumerate(pairs):
            if cell.kind == "code" and line != command:
                raise RunbookError(
                    f"{path}, line {cell.line + number}: is this a comment, or the command "
                    f"`{command.strip()[:40]}`? jupytext writes commands so. Say it in the header: "
                    "`jupytext: {comment_magics: false}` for a comment, true for a command"
                )


def _refuse_swallowed(path: Path, cells: list[TextCell], marker: re.Pattern[str]) -> None:
    """Raise RunbookError if a marker is within a cell, other than in a string of Python.

    jupytext looks for Python's triple quotes in all languages, and for blocks in Markdown that end
    in a later cell.
    """
    for cell in cells:
        for number, line in enumerate(cell.source.split("\n")):
            pattern = marker if cell.kind == "code" else _BARE_MARKER
            is_python = cell.kind == "code" and path.suffix == ".py"
            if pattern.match(line) and not (is_python and _in_string(cell.source, number + 1)):
                raise RunbookError(
                    f"{path}, line {cell.line + number}: this marker begins no cell, because of "
                    "three quotes or backticks above it: close them, or write them otherwise"
                )


def _in_string(source: str, line: int) -> bool:
    """Return True if `line`, which looks like a comment, is a part of a string of Python."""
    try:
        tokens = [*tokenize.generate_tokens(StringIO(source).readline)]
    except (tokenize.TokenError, SyntaxError):
        return False
    return not any(each.type == tokenize.COMMENT and each.start[0] == line for each in tokens)
