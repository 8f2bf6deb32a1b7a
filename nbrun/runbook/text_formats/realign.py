"""Recognize the steps of a run in a text runbook that was edited since.

An id from a heading and a position names another step once a step was put before it. Taken by its
id alone, a step that has been run would run again, and a new one would count as run. So a step is
recognized by the id that the file gives it, then by its source, and only then by its place.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import msgspec

from nbrun.core.model import Check, Step
from nbrun.errors import RunbookError
from nbrun.runbook.text_formats.suffixes import is_text

_ALIKE = 0.6  # of 1: an edit of a step, not another one, as `difflib` counts


def realigned(
    path: Path, recorded: Sequence[Step], run: Collection[str], new: Sequence[Step]
) -> tuple[Step, ...]:
    """Return the steps `new` of the file `path` with the ids of the `recorded` ones that they are.

    `run` has the ids of the recorded steps that were run or skipped. A new step gets an id that no
    recorded step has. Steps of notebooks stay as they are: their ids are in the file.

    Raises:
        RunbookError: nbrun can't tell which of `new` is a step that was run.
    """
    _refuse_moved_includes(path, recorded, run, new)
    taken = {each for step in (*recorded, *new) for each in _ids(step)}
    found = [*new]
    for file in dict.fromkeys(map(_file, new)):
        if is_text(Path(file[1]) if file[1] else path):
            places = [n for n, step in enumerate(new) if _file(step) == file]
            old = [step for step in recorded if _file(step) == file]
            part = _realigned_part(path, old, run, [new[n] for n in places], taken)
            for number, step in zip(places, part, strict=True):
                found[number] = step
    return tuple(found)


def _file(step: Step) -> tuple[str, str]:
    """Return the cell that includes a step, and its file; both are empty for the run's own."""
    return (step.included.cell, step.included.path) if step.included else ("", "")


def _refuse_moved_includes(
    path: Path, recorded: Sequence[Step], run: Collection[str], new: Sequence[Step]
) -> None:
    """Raise RunbookError if an include of which a step was run has the place of another one now."""
    now = {_file(step) for step in new}
    before = {_file(step) for step in recorded}
    for step in recorded:
        cell, file = _file(step)
        if step.id not in run or not file or (cell, file) in now or not is_text(path):
            continue
        if any(each[0] == cell or (each[1] == file and each not in before) for each in now):
            raise RunbookError(
                f"{path}: step {step.number} ({step.title}) of {file} has been run, and the file "
                f'that includes it has changed: add id="{cell}" to the region that includes {file}'
            )


def _realigned_part(
    path: Path,
    recorded: Sequence[Step],
    run: Collection[str],
    new: Sequence[Step],
    taken: set[str],
) -> tuple[Step, ...]:
    """Realign the steps of one file. `taken` has all ids, also those of other files."""
    pairs = _Pairs(recorded, new)
    pairs.by_given_id()
    pairs.by_source()
    for old in [*pairs.old]:
        if recorded[old].id in run:
            _settle(path, pairs, old)
    pairs.by_id()
    used = {each for other in recorded for each in _ids(other)}
    known = [pairs.found.get(number) for number in range(len(new))]
    return tuple(
        _identified(step, None if old is None else recorded[old], used, taken)
        for step, old in zip(new, known, strict=True)
    )


class _Pairs:
    """Pairs of a recorded and a new step that are the same, by their indexes.

    Attributes:
        found: for a new step, the recorded one.
        old: the recorded steps that are not found yet.
        left: the new steps that are not found yet.
    """

    def __init__(self, recorded: Sequence[Step], new: Sequence[Step]) -> None:
        self.recorded, self.new = recorded, new
        self.found: dict[int, int] = {}
        self.old = [*range(len(recorded))]
        self.left = [*range(len(new))]

    def by_given_id(self) -> None:
        """Pair the steps that the file gives an id, and the one with the given parameters."""
        for number in [*self.left]:
            step = self.new[number]
            if {"id", "name"} & step.metadata.keys() or "injected-parameters" in step.tags:
                self._pair_by(lambda each: each.id, number)

    def by_source(self) -> None:
        """Pair steps with the same source: of the same id, in the same order, or the only ones."""
        for number in [*self.left]:
            self._pair_by(lambda each: (each.id, each.source), number)
        old, left = [*self.old], [*self.left]
        sources = [self.recorded[n].source for n in old], [self.new[n].source for n in left]
        for block in SequenceMatcher(None, *sources, autojunk=False).get_matching_blocks():
            for offset in range(block.size):
                self.pair(left[block.b + offset], old[block.a + offset])
        counts = Counter(self.new[n].source for n in self.left)
        for number in [n for n in self.left if counts[self.new[n].source] == 1]:
            self._pair_by(lambda each: each.source, number)

    def by_id(self) -> None:
        """Pair the steps that are left by their ids."""
        for number in [*self.left]:
            self._pair_by(lambda each: each.id, number)

    def _pair_by(self, key: Any, number: int) -> None:
        wanted = key(self.new[number])
        old = next((n for n in self.old if key(self.recorded[n]) == wanted), None)
        if old is not None:
            self.pair(number, old)

    def pair(self, number: int, old: int) -> None:
        """Take the new step `number` for the recorded step `old`."""
        self.found[number] = old
        self.left.remove(number)
        self.old.remove(old)


def _settle(path: Path, pairs: _Pairs, old: int) -> None:
    """Find the step that was run in the file, if it was edited, or else take it for removed."""
    step = pairs.recorded[old]
    alike = [n for n in pairs.left if _ratio(step, pairs.new[n]) >= _ALIKE]
    near = [n for n in pairs.left if _section(pairs.new[n].id) == _section(step.id)]
    same = next((n for n in near if pairs.new[n].id == step.id), None)
    if same is not None and (alike == [same] or (not alike and near == [same])):
        pairs.pair(same, old)
    elif alike or same is not None:
        raise RunbookError(
            f"{path}: step {step.number} ({step.title}) has been run, and the file has changed so "
            f'that it may be another one now: add id="{step.id}" to its block'
        )


def _section(id_: str) -> str:
    """Return an id without its position, as `cell_ids` made it."""
    return re.sub(r"_\d+$", "", id_)


def _ratio(step: Step, other: Step) -> float:
    matcher = SequenceMatcher(None, step.source, other.source, autojunk=False)
    return matcher.ratio() if matcher.quick_ratio() >= _ALIKE else 0.0


def _ids(step: Step) -> Iterator[str]:
    """Yield the ids of a step, its check and its undo."""
    yield step.id
    for part in (step.check, step.undo):
        if part is not None:
            yield part.id


def _identified(step: Step, old: Step | None, used: set[str], taken: set[str]) -> Step:
    """Return `step` with the ids of the recorded step `old` that it is.

    A new step, check or undo gets an id of its own: those in `used` are recorded ones. The ids of
    checks and undos depend on their places as well.
    """

    def id_of(part: Check | Step, known: Check | Step | None) -> str:
        return _free(part.id, used, taken) if known is None else known.id

    return msgspec.structs.replace(
        step,
        id=id_of(step, old),
        check=step.check
        and msgspec.structs.replace(step.check, id=id_of(step.check, old and old.check)),
        undo=step.undo
        and msgspec.structs.replace(step.undo, id=id_of(step.undo, old and old.undo)),
    )


def _free(id_: str, used: set[str], taken: set[str]) -> str:
    number, made = 1, id_
    while made in used or (made != id_ and made in taken):
        number += 1
        made = f"{id_[:58]}_{number}"
    taken.add(made)
    return made
