"""Fenced blocks of the Markdown formats: which are code, in which language, with which options."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbrun.errors import RunbookError
from nbrun.runbook.text_formats import jupytext_adapter, languages, options
from nbrun.runbook.text_formats.cell import Kind, TextCell

_INFO = re.compile(r"(?P<language>[^\s{=]+)\s*(?P<rest>.*)", re.DOTALL)
_BRACES = re.compile(r"\{(?P<inner>.*)\}\s*", re.DOTALL)
_OPTION_COMMENT = re.compile(r"(?:#|//|--|%)\|(?P<text> ?.*)")  # Quarto's, at the top of a block


@dataclass(frozen=True)
class Fence:
    """A fenced block at the top level of a Markdown file.

    Attributes:
        line: the line of its opening, from 1.
        info: the text after the opening's backticks.
        lines: what it contains.
    """

    path: Path
    line: int
    info: str
    lines: tuple[str, ...]

    def cell(self, kind: Kind, language: str, found: dict[str, Any], skipped: int = 0) -> TextCell:
        """Return the block as a cell, without its first `skipped` lines."""
        source = "\n".join(self.lines[skipped:])
        return TextCell(kind, source, self.line + 1 + skipped, language, found, self.line)


# Returns a block as a cell; None if it is a part of the text.
Dialect = Callable[[Fence], TextCell | None]


def markdown(fence: Fence) -> TextCell | None:
    """Read a block of jupytext's Markdown: ```` ```bash name="x" ````."""
    match = _INFO.fullmatch(fence.info)
    if match is None or not languages.is_code(match["language"]):
        return None
    found = options.of_block(fence.path, fence.line, match["rest"])
    return None if options.is_ignored(found) else fence.cell("code", match["language"], found)


def r_markdown(fence: Fence) -> TextCell | None:
    """Read a chunk of R Markdown: ```` ```{r name, eval=FALSE} ````."""
    match = _BRACES.fullmatch(fence.info)
    if match is None or not re.match(r"[A-Za-z]", match["inner"]):
        return None
    options.refuse_long_line(fence.path, fence.line, fence.info)
    try:
        language, found = jupytext_adapter.chunk_options(match["inner"])
    except ValueError:
        raise jupytext_adapter.unreadable_options(fence.path, fence.line, fence.info) from None
    return fence.cell("code", language, found)


def quarto(fence: Fence) -> TextCell | None:
    """Read a block of Quarto: ```` ```{python} ````, and below it lines such as `#| label: x`."""
    match = _BRACES.fullmatch(fence.info)
    language = re.match(r"[A-Za-z]\w*", match["inner"]) if match else None
    if match is None or language is None:
        return None
    yaml = []
    for line in fence.lines:
        comment = _OPTION_COMMENT.fullmatch(line)
        if comment is None:
            break
        yaml.append(comment["text"])
    found = options.of_block(fence.path, fence.line, match["inner"][language.end() :])
    found |= options.from_yaml(fence.path, fence.line + 1, yaml)
    if "label" in found:
        found.setdefault("name", found.pop("label"))
    return fence.cell("code", language[0], found, len(yaml))


def myst(fence: Fence) -> TextCell | None:
    """Read a `{code-cell}` or `{raw-cell}` of MyST, with its options as YAML below it."""
    match = re.fullmatch(r"\{(code|raw)-cell\}\s*(\S*)\s*", fence.info)
    if match is None:
        return None
    first = fence.lines[0] if fence.lines else ""
    if first.startswith("---"):
        end = _closing_line(fence)
        yaml, skipped = list(fence.lines[1:end]), end + 1
    else:
        yaml = [line.lstrip()[1:] for line in _leading(fence.lines)]
        skipped = len(yaml)
    found = options.from_yaml(fence.path, fence.line + 1 + first.startswith("---"), yaml)
    skipped += len(fence.lines) > skipped and not fence.lines[skipped].strip()
    return fence.cell("code" if match[1] == "code" else "raw", match[2], found, skipped)


def _leading(lines: tuple[str, ...]) -> list[str]:
    """Return the first lines of a cell of MyST, those with an option such as `:tags: [x]`."""
    number = next(
        (n for n, line in enumerate(lines) if not line.lstrip().startswith(":")), len(lines)
    )
    return [*lines[:number]]


def _closing_line(fence: Fence) -> int:
    for number, line in enumerate(fence.lines[1:], start=1):
        if line.startswith("---"):
            return number
    raise RunbookError(
        f"{fence.path}, line {fence.line + 1}: the options do not end: close them with ---"
    )
