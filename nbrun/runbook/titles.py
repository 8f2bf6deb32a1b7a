"""Titles of steps: from metadata, a tag, a heading, or the source."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from nbrun.core.model import Narration
from nbrun.runbook import contract

_TITLE_LENGTH = 60
_HEADING_LENGTH = 200  # characters: the patterns below are slow on a hostile line
_HEADING = re.compile(r" {0,3}#{1,6}\s+")  # CommonMark's ATX heading
_FENCE = re.compile(r" {0,3}(```|~~~)")
_INLINE = (
    (re.compile(r"!?\[([^\]]*)\]\([^)]*\)"), r"\1"),
    (re.compile(r"(`+|\*\*|__|~~)(.+?)\1"), r"\2"),
    (re.compile(r"(?<!\w)([*_])(\S(?:.*?\S)?)\1(?!\w)"), r"\2"),
    (re.compile(r"</?[a-zA-Z][^>]*>"), ""),
)

# The heading before these cells is the notebook's title, so they get a title by their tag.
_TITLES = {"parameters": "Parameters", "injected-parameters": "Parameters given"}

_COMMENT = re.compile(r"\s*(?:#(?!!)|//)[#/\s]*+(?:%%|@title\b)?\s*(?P<text>\S.*)")
# Comments for programs: encodings, type checkers, linters, editors.
_DIRECTIVE = re.compile(r"(-\*-|type:|noqa\b|pylint:|mypy:|flake8:|fmt:|ruff:|isort:|@\w|vim?:)")
# An import alone, or a magic: lines that say how a step is run, not what it does.
_POOR = re.compile(r"\s*(?:(?:import|from|using)\s[^;]*;?\s*$|(?:library|require)\(|%|#!)")
_OPEN_IMPORT = re.compile(r"\s*from\s[^#]*\([^)]*$")


def step_title(cell: Any, narration: tuple[Narration, ...], above: str) -> str:
    """Return the title of a step.

    It is the first that exists: `title` in the metadata, a title by the tag, the last heading in
    the Markdown before the step, and the first line of the source. If that line is an import or a
    magic, it is the first comment in the source, `above` (the last heading before earlier steps),
    the first line that is neither, or that line after all.
    """
    own = cell["metadata"].get("nbrun", {}).get("title")
    if isinstance(own, str) and own.strip():
        return own.strip()
    for tag in cell["metadata"].get("tags", ()):
        if tag in _TITLES:
            return _TITLES[tag]
    if contract.is_manual(cell):
        own_heading = next(_headings(cell["source"]), None)
        if own_heading:
            return own_heading
    return last_heading(narration) or _source_title(cell["source"].strip(), above)


def last_heading(narration: Iterable[Narration]) -> str:
    """Return the last heading in Markdown cells; empty if there is none."""
    texts = (part.source for part in narration if part.kind == "markdown")
    return next(reversed([heading for text in texts for heading in _headings(text)]), "")


def _source_title(source: str, above: str) -> str:
    lines = [line for line in source.splitlines() if line.strip()]
    first = _comment(lines[0]) or lines[0]
    if _POOR.match(lines[0]) or _is_directive(lines[0]):
        comment = next(filter(None, map(_comment, lines)), "")
        telling = next(_telling_lines(lines), "")
        first = comment or (above and f"{above}, continued") or telling or lines[0]
    first = first.strip()
    return first if len(first) <= _TITLE_LENGTH else first[: _TITLE_LENGTH - 1].rstrip() + "…"


def _comment(line: str) -> str:
    """Return the text of a comment that is for people; empty for any other line."""
    found = _COMMENT.match(line)
    return found["text"] if found and not _is_directive(line) else ""


def _is_directive(line: str) -> bool:
    found = _COMMENT.match(line)
    return bool(found and _DIRECTIVE.match(found["text"]))


def _telling_lines(lines: list[str]) -> Iterator[str]:
    """Yield the lines that are no imports, magics or comments for programs."""
    in_import = False
    for line in lines:
        if in_import:
            in_import = ")" not in line
        elif _OPEN_IMPORT.match(line):
            in_import = True
        elif not _POOR.match(line) and not _is_directive(line):
            yield line


def _headings(markdown: str) -> Iterator[str]:
    """Yield the texts of the headings in order, without inline markup."""
    fenced = False
    for line in markdown.splitlines():
        if _FENCE.match(line):
            fenced = not fenced
        match = None if fenced else _HEADING.match(line)
        text = _without_markup(line[match.end() :][:_HEADING_LENGTH]) if match else ""
        if text:
            yield text


def _without_markup(text: str) -> str:
    text = re.sub(r"(^|\s)#+\s*$", "", text)
    for pattern, replacement in _INLINE:
        text = pattern.sub(replacement, text)
    return text.strip()
