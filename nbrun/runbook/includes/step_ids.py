"""The steps of an included runbook under ids that are unique in the including one.

An id is that of the include cell and that of the included cell, so that it stays the same when
another cell is added. It must be one of nbformat's: the output notebook has it.
"""

import hashlib
from dataclasses import replace

import msgspec

from nbrun.core.model import Inclusion, Narration, Step
from nbrun.runbook.loader import Runbook

_LONGEST = 64  # characters of a cell's id in nbformat
_KEPT = 40  # characters of the include cell's id before a digest


def with_unique_ids(book: Runbook, include: str, name: str, taken: set[str]) -> Runbook:
    """Return `book` with the ids of all its cells below that of the cell `include`.

    `name`: of the included file, which the titles get. `taken`: ids that exist already; the new
    ones are added to it.
    """

    made_of: dict[str, str] = {}

    def unique(inner: str) -> str:
        if inner in made_of:  # an include cell is told of before its steps, and named by them
            return made_of[inner]
        made = f"{include}-{inner}"
        if len(made) > _LONGEST or made in taken:
            digest = hashlib.sha256(f"{include}\n{inner}".encode()).hexdigest()
            made = f"{include[:_KEPT]}-{digest[:16]}"
        taken.add(made)
        made_of[inner] = made
        return made

    def narrated(cells: tuple[Narration, ...]) -> tuple[Narration, ...]:
        return tuple(msgspec.structs.replace(each, id=unique(each.id)) for each in cells)

    def renamed(step: Step) -> Step:
        check = step.check and msgspec.structs.replace(step.check, id=unique(step.check.id))
        undo = step.undo and msgspec.structs.replace(step.undo, id=unique(step.undo.id))
        return msgspec.structs.replace(
            step,
            id=unique(step.id),
            title=step.title if step.included else f"{step.title} ({name})",
            narration=narrated(step.narration),
            check=check,
            undo=undo,
            included=Inclusion(
                cell=unique(step.included.cell) if step.included else include,
                path=step.included.path if step.included else name,
            ),
        )

    return replace(
        book,
        steps=tuple(map(renamed, book.steps)),
        epilogue=narrated(book.epilogue),
        includes=tuple(
            msgspec.structs.replace(each, cell=unique(each.cell)) for each in book.includes
        ),
    )
