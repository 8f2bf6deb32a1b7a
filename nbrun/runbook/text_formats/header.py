"""The YAML header of a text runbook: its kernel, and its own settings."""

import re
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from nbrun.errors import ParameterError, RunbookError
from nbrun.runbook.parameters import yaml_file

# Metadata that may stand at the top level, as in MyST, or under `jupyter`, as in other formats
_KEYS = ("kernelspec", "language_info", "jupytext", "nbrun")
_FENCE = re.compile(r"---\s*")
_CODING = re.compile(r"[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")  # PEP 263


@dataclass(frozen=True)
class Header:
    """A header's metadata, in the form of a notebook's.

    `end` is the number of lines before the first cell.
    """

    metadata: dict[str, Any]
    end: int


def read(path: Path, lines: list[str], comment: str) -> Header:
    """Read the header of `lines`. `comment` begins each of its lines in a script.

    Raises:
        RunbookError: the header does not end, or is not YAML of the expected form.
    """
    start = _without_preamble(path, lines) if comment else 0
    bare = [
        _uncomment(line, comment)
        for line in takewhile(lambda line: line.startswith(comment), lines[start:])
    ]
    hidden = not comment and bare[0].strip() == "<!--"  # jupytext's `hide_notebook_metadata`
    first = next((n for n, line in enumerate(bare[hidden:], hidden) if line.strip()), len(bare))
    if first == len(bare) or not _FENCE.fullmatch(bare[first]) or (first and not hidden):
        return Header({}, start)
    end = next(
        (n for n, line in enumerate(bare[first + 1 :], first + 1) if _FENCE.fullmatch(line)), None
    )
    if end is None:
        raise RunbookError(
            f"{path}, line {start + first + 1}: the header does not end: close it with ---"
        )
    # The blank lines before it keep the line numbers of YAML's errors those of the file.
    text = "\n" * (start + first + 1) + "\n".join(bare[first + 1 : end])
    metadata = _metadata(path, start + first + 1, text)
    return Header(metadata, start + (_end_of_comment(path, bare, end) if hidden else end) + 1)


def _without_preamble(path: Path, lines: list[str]) -> int:
    """Return the number of lines that a script begins with for other programs."""
    start = int(lines[0].startswith("#!"))
    coding = _CODING.match(lines[start]) if len(lines) > start else None
    if coding and coding[1].lower() not in ("utf-8", "utf8"):
        raise RunbookError(f"{path}, line {start + 1}: is in {coding[1]}: save it as UTF-8")
    return start + bool(coding)


def _uncomment(line: str, comment: str) -> str:
    return line.removeprefix(comment).removeprefix(" ") if comment else line


def _end_of_comment(path: Path, lines: list[str], end: int) -> int:
    for number, line in enumerate(lines[end:], end):
        if "-->" in line:
            return number
    raise RunbookError(
        f"{path}, line {end + 1}: the comment around the header does not end: add -->"
    )


def _metadata(path: Path, line: int, text: str) -> dict[str, Any]:
    try:
        found = yaml_file.read_mapping(path, text) or {}
    except ParameterError as error:
        raise RunbookError(f"{error}") from None
    header = {key: raw.value for key, raw in found.items()}
    metadata = {key: header[key] for key in _KEYS if key in header}
    jupyter = header.get("jupyter", {})
    if isinstance(jupyter, str):  # Quarto's short form
        jupyter = {"kernelspec": {"name": jupyter}}
    if not isinstance(jupyter, dict):
        raise RunbookError(f"{path}, line {line}: `jupyter` in the header must be a mapping")
    metadata |= jupyter
    for key in _KEYS:
        if not isinstance(metadata.get(key, {}), dict):
            raise RunbookError(f"{path}, line {line}: `{key}` in the header must be a mapping")
    return metadata
