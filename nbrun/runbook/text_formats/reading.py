"""Read a text runbook as a notebook.

The way: bytes, lines, header, cells, the kernel's language, ids.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbrun.errors import RunbookError
from nbrun.runbook.text_formats import (
    blocks,
    cell_ids,
    header,
    jupytext_adapter,
    languages,
    markdown,
    options,
    scripts,
)
from nbrun.runbook.text_formats import lines as text_lines
from nbrun.runbook.text_formats.cell import Remark, TextCell
from nbrun.runbook.text_formats.suffixes import SCRIPTS

_MYST_SUFFIXES = (".myst", ".mystnb", ".mnb")
_MYST_CELL = re.compile(r"(`{3,}|~{3,})\{code-cell\}")


@dataclass(frozen=True)
class TextNotebook:
    """A text runbook as a notebook of nbformat 4.5.

    Attributes:
        lines: for each cell, the line of the file at which its source begins.
        language: that of the kernel; empty if only the header's kernel knows.
        remarks: what the file's author should know.
    """

    document: dict[str, Any]
    lines: tuple[int, ...]
    language: str
    remarks: tuple[Remark, ...]


def read(path: Path, data: bytes) -> TextNotebook:
    """Read `data`, the bytes of the text runbook at `path`.

    Raises:
        RunbookError: it can't be read, or jupytext is missing. The message names the line.
    """
    jupytext_adapter.require(path)
    lines = text_lines.decode(path, data)
    suffix = path.suffix.lower()
    comment = jupytext_adapter.comment_of(suffix) if suffix in SCRIPTS else ""
    found = header.read(path, lines, comment)
    remarks: list[Remark] = []
    if suffix in SCRIPTS:
        cells = scripts.cells(path, lines, found.end, suffix, found.metadata)
        language = languages.canonical(SCRIPTS[suffix])
    else:
        dialect = _dialect(path, suffix, lines, found.metadata)
        cells, remarks = markdown.cells(path, lines, found.end, dialect)
        language = languages.of_runbook(path, found.metadata, cells)
        cells = [
            languages.in_kernel(path, cell, language) if cell.kind == "code" else cell
            for cell in cells
        ]
    metadata = _with_language(found.metadata, language)
    return TextNotebook(
        _document(path, cells, metadata),
        tuple(cell.line for cell in cells),
        language,
        tuple(remarks),
    )


def _dialect(path: Path, suffix: str, lines: list[str], metadata: dict[str, Any]) -> blocks.Dialect:
    if suffix == ".rmd":
        return blocks.r_markdown
    if suffix == ".qmd":
        return blocks.quarto
    stated = metadata.get("jupytext", {}).get("text_representation", {})
    name = stated.get("format_name") if isinstance(stated, dict) else None
    if name not in (None, "markdown", "myst"):
        raise RunbookError(
            f"{path}: is in the format {name!r}: convert it with jupytext to markdown"
        )
    if suffix in _MYST_SUFFIXES or name == "myst":
        return blocks.myst
    has_cell = name is None and any(_MYST_CELL.match(line) for line in lines)
    return blocks.myst if has_cell else blocks.markdown


def _with_language(metadata: dict[str, Any], language: str) -> dict[str, Any]:
    """Return `metadata` with the language, as a notebook has it, if the header says none."""
    spec = metadata.get("kernelspec", {})
    if not language or "language_info" in metadata or "language" in spec:
        return metadata
    return {**metadata, "language_info": {"name": language}}


def _document(path: Path, cells: list[TextCell], metadata: dict[str, Any]) -> dict[str, Any]:
    ids = cell_ids.of_cells(path, cells)
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": metadata,
        "cells": [_cell(path, cell, id_) for cell, id_ in zip(cells, ids, strict=True)],
    }


def _cell(path: Path, cell: TextCell, id_: str) -> dict[str, Any]:
    made = {
        "id": id_,
        "cell_type": cell.kind,
        "metadata": options.metadata(path, cell.line, cell.options),
        "source": cell.source,
    }
    return made | ({"outputs": [], "execution_count": None} if cell.kind == "code" else {})
