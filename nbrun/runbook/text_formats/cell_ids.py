"""Stable ids of the cells of a text runbook: from their names, or from headings and positions.

An id from headings does not depend on what a cell contains, and not on what is in other sections.
`realign` recognizes the steps of a run when the positions within a section changed.
"""

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from nbrun.errors import RunbookError
from nbrun.runbook.text_formats import options
from nbrun.runbook.text_formats.cell import TextCell

_LENGTH = 64  # characters, as nbformat's schema allows
_MANUAL = "manual"
_ATTACHED = ("check", "undo")  # tags of cells that are no steps of their own


@dataclass
class _Section:
    """The headings above the current cell, by level. A title at the top of the file is not one."""

    above: dict[int, str] = field(default_factory=dict)
    has_title: bool = False
    is_first: bool = True

    def enter(self, level: int, text: str) -> None:
        if self.is_first and level == 1:
            self.has_title = True
        else:
            self.above = {at: name for at, name in self.above.items() if at < level}
            self.above[level] = text
        self.is_first = False

    @property
    def name(self) -> str:
        # Two underscores can't come from a heading, so that no two sections have the same name.
        return "__".join(_slug(text) for _level, text in sorted(self.above.items()))


def of_cells(path: Path, cells: Sequence[TextCell]) -> list[str]:
    """Return the id of each cell: unique, and valid in a notebook.

    Raises:
        RunbookError: two cells have the same name.
    """
    given = [options.explicit_id(path, cell.line, cell.options) for cell in cells]
    ids = [_valid(name) for name in given]
    _refuse_repeated(path, cells, given, ids)
    section, counts, taken = _Section(), Counter[str](), set(ids)
    for number, cell in enumerate(cells):
        if cell.kind == "markdown":
            for level, text in _headings(cell.source):
                section.enter(level, text)
        base = _base(section.name, cell)
        counts[base] += 1  # a name given to one cell must not change the ids of others
        if not ids[number]:
            ids[number] = _free(base, counts[base], taken)
            taken.add(ids[number])
    return ids


def _base(section: str, cell: TextCell) -> str:
    tags = cell.options.get("tags", ())
    tags = tags if isinstance(tags, list) else ()
    own = cell.options.get("nbrun")
    if isinstance(own, dict) and "include" in own:
        kind = "include"  # the ids of the included steps begin with it: text must not change it
    elif cell.kind != "code" and _MANUAL not in tags:
        kind = "text"
    elif not cell.source.strip():
        kind = "blank"
    else:
        kind = next((tag for tag in _ATTACHED if tag in tags), "")
    return "_".join(filter(None, (section, kind))) or "step"


def _free(base: str, position: int, taken: set[str]) -> str:
    while (made := _valid(base if position == 1 else f"{base}_{position}")) in taken:
        position += 1
    return made


def _valid(name: str) -> str:
    """Return `name` with the characters and the length that an id may have."""
    made = re.sub(r"[^\w-]+", "-", name, flags=re.ASCII).strip("-")
    if name and (not made or len(made) > _LENGTH):
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        made = f"{made[: _LENGTH - 9]}-{digest}".strip("-")
    return made


def _slug(heading: str) -> str:
    plain = unicodedata.normalize("NFKD", heading).encode("ascii", "ignore").decode().lower()
    made = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    return made or hashlib.sha256(heading.encode()).hexdigest()[:8]


def _refuse_repeated(
    path: Path, cells: Sequence[TextCell], given: list[str], ids: list[str]
) -> None:
    first: dict[str, int] = {}
    for number, made in enumerate(ids):
        if made in first:
            other = cells[first[made]].line
            raise RunbookError(
                f"{path}, line {cells[number].line}: the name {given[number]!r} is also that of "
                f"the cell at line {other}: choose another"
            )
        if made:
            first[made] = number


def _headings(source: str) -> Iterator[tuple[int, str]]:
    """Yield the level and the text of each heading in Markdown."""
    from markdown_it import MarkdownIt

    tokens = MarkdownIt("commonmark").disable(["inline", "reference"]).parse(source)
    for opening, content in pairwise(tokens):
        if opening.type == "heading_open" and opening.level == 0:
            yield int(opening.tag[1:]), content.content
