"""Name the folders that hold records of the same run."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from nbrun.audit.verify import Verification
from nbrun.journal.run_directory import RunDirectory


def name_duplicates(
    directories: Sequence[RunDirectory], results: Sequence[Verification]
) -> list[Verification]:
    """Return the results, each with a note for every other folder that has a record of its run."""
    paths = [directory.path.resolve() for directory in directories]
    same_run: dict[str, dict[Path, Verification]] = defaultdict(dict)
    for path, result in zip(paths, results, strict=True):
        same_run[result.run][path] = result
    return [
        replace(result, notes=(*result.notes, *_notes(path, result, same_run[result.run])))
        for path, result in zip(paths, results, strict=True)
    ]


def _notes(path: Path, result: Verification, same_run: dict[Path, Verification]) -> Iterator[str]:
    for other, found in same_run.items():
        if other == path:
            continue
        where = other.name if other.parent == path.parent else str(other)
        if found.head == result.head:
            yield f"{where} holds the same record"
        else:
            yield f"{where} holds ANOTHER record of this run: {found.lines} lines"
