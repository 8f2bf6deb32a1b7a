"""Compare a folder of runs with its indexes: find runs that are missing, not listed or changed."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from nbrun.audit.found_run import FoundRun
from nbrun.audit.verify import Standing, Verification
from nbrun.errors import DamagedJournalError
from nbrun.journal import runs_index
from nbrun.journal.codec import GENESIS
from nbrun.journal.run_directory import RunDirectory
from nbrun.journal.runs_index import IndexLine

_NAME = re.compile(r"index-(\d{1,10})\.jsonl", re.ASCII)


class IndexStanding(StrEnum):
    """The result for one index."""

    WHOLE = "WHOLE"  # no line is missing, and the runs in the folder are those that it lists
    BROKEN = "BROKEN"  # a run or a line is missing, or is not what the index says
    MISSING = "MISSING"  # there is none, or this user can't read it: a missing run leaves no trace


@dataclass(frozen=True)
class IndexVerification:
    """The result for the index of one user: the file's name, and how many runs it lists."""

    index: str
    standing: IndexStanding
    runs: int = 0
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def verify_indexes(
    folder: Path, directories: Sequence[RunDirectory], results: Sequence[Verification]
) -> list[IndexVerification]:
    """Compare the runs of `folder`, whose verification had these `results`, with the indexes there.

    The indexes are read last: they have every run that was verified.
    """
    runs = [FoundRun(*pair) for pair in zip(directories, results, strict=True)]
    names = sorted(os.listdir(folder))  # noqa: PTH208  names are all that is needed
    checks = {
        int(match[1]): _IndexCheck(folder / match[0], int(match[1]))
        for match in map(_NAME.fullmatch, names)
        if match is not None
    }
    for check in checks.values():
        check.compare_listed({*names}, {run.id: run for run in runs}, {*checks})
    without: dict[int, list[FoundRun]] = {}
    for run in runs:
        responsible = _responsible(run, checks)
        if responsible is None:
            without.setdefault(run.owner, []).append(run)
        else:
            responsible.compare_found(run)
    missing = (_missing_index(owner, found) for owner, found in without.items())
    return [*(check.result() for check in checks.values()), *missing]


def _responsible(run: FoundRun, checks: dict[int, "_IndexCheck"]) -> "_IndexCheck | None":
    """Return the index of the run's owner; else one that lists the run, whose owner a copy lost."""
    own = checks.get(run.owner)
    return own or next((check for check in checks.values() if check.lists(run.id)), None)


def _missing_index(owner: int, runs: Sequence[FoundRun]) -> IndexVerification:
    name = runs_index.path_in(Path(), owner).name
    notes = ["there is no such file: nothing shows that a run is missing"]
    listed = sum(bool(run.index_head) for run in runs)
    if listed:
        notes.append(
            f"{listed} of the runs here began with an index: it was removed, or these are copies"
        )
    return IndexVerification(name, IndexStanding.MISSING, notes=tuple(notes))


class _IndexCheck:
    """The index of one user, and what was found wrong with it or with the runs that it lists."""

    def __init__(self, path: Path, uid: int) -> None:
        self._path = path
        self._uid = uid
        self._faults: list[str] = []
        self._notes: list[str] = []
        self._readable = False
        self._positions = {GENESIS: 0}  # by hash: how many lines there were
        self._started: dict[str, IndexLine] = {}
        self._ended: dict[str, IndexLine] = {}
        self._sealed = (0, "")  # how many lines the seal of a run covers, and that run
        self._read()

    def lists(self, run: str) -> bool:
        return run in self._started or run in self._ended

    def result(self) -> IndexVerification:
        if self._sealed[0]:
            self._notes.append(
                f"the seal of {self._sealed[1]} covers {self._sealed[0]} lines of it"
            )
        standing = IndexStanding.WHOLE if self._readable else IndexStanding.MISSING
        return IndexVerification(
            self._path.name,
            IndexStanding.BROKEN if self._faults else standing,
            runs=len({*self._started, *self._ended}),
            faults=tuple(self._faults),
            notes=tuple(self._notes),
        )

    # ── the index ────────────────────────────────────────────────────────────────────────────

    def _read(self) -> None:
        try:
            owner = self._path.lstat().st_uid
            if owner not in (self._uid, 0, os.geteuid()):
                self._faults.append(
                    f"it belongs to uid {owner}, who can write in it what they like, and not to "
                    f"uid {self._uid}"
                )
                return
            index = runs_index.read(self._path)
        except DamagedJournalError as error:
            self._faults.append(str(error).removeprefix(f"{self._path.name}, "))
            return
        except OSError as error:
            self._notes.append(f"it can't be read: {error.strerror or error}")
            return
        self._readable = True
        if index.torn:
            self._notes.append(f"its last line is torn ({index.torn} bytes), as a crash leaves it")
        for position, line in enumerate(index.lines, 1):
            self._positions[index.heads[position - 1]] = position
            self._take(line)

    def _take(self, line: IndexLine) -> None:
        of_kind = self._started if line.event == "run.started" else self._ended
        if line.run in of_kind:
            self._faults.append(f"line {line.seq + 1}: {line.run} is listed twice as {line.event}")
        elif line.event == "run.started" and line.run in self._ended:
            self._faults.append(
                f"line {line.seq + 1}: {line.run} is listed as started after its end"
            )
        else:
            of_kind[line.run] = line

    # ── the runs that it lists ───────────────────────────────────────────────────────────────

    def compare_listed(self, names: set[str], runs: dict[str, FoundRun], owners: set[int]) -> None:
        """Compare every listed run with its folder. `names`: of everything in the folder of runs.

        `owners`: the users who have an index.
        """
        for id_ in dict.fromkeys((*self._started, *self._ended)):
            found = runs.get(id_)
            if id_ not in names:
                self._faults.append(self._missing_run(id_))
            elif found is not None:
                self._compare_run(found, owners)

    def _missing_run(self, id_: str) -> str:
        ended = self._ended.get(id_)
        began = f", begun {self._started[id_].at}" if id_ in self._started else ""
        end = f"ended {ended.at} with the head {ended.head}" if ended else "has no end in the index"
        return f"the run {id_} is missing{began}; it {end}"

    def _compare_run(self, run: FoundRun, owners: set[int]) -> None:
        if run.owner != self._uid and run.owner in owners - {0, os.geteuid()}:
            self._faults.append(f"it lists {run.id}, whose folder belongs to uid {run.owner}")
            return
        started, ended = self._started.get(run.id), self._ended.get(run.id)
        if started is not None and (run.first is None or run.first.hash != started.head):
            self._faults.append(f"{run.id}: its first line is not the one that the index has")
        if run.result.standing is Standing.BROKEN:
            return
        if ended is not None and not run.has_head(ended.head):
            self._faults.append(
                f"{run.id}: its record has {run.result.lines} lines; the index has its end at line "
                f"{ended.lines}, with the head {ended.head}"
            )
        elif ended is None and run.result.standing is not Standing.OPEN:
            self._notes.append(
                f"{run.id} has ended, and the index has no end of it: nbrun was killed just then, "
                "could not write it, or did not write that end"
            )

    # ── the runs that the folder has ─────────────────────────────────────────────────────────

    def compare_found(self, run: FoundRun) -> None:
        """Compare a run in the folder, of the user whose index this is."""
        if not self._readable or run.is_copy or run.result.standing is Standing.BROKEN:
            return
        if not self.lists(run.id):
            is_fault, what = run.why_not_listed()
            (self._faults if is_fault else self._notes).append(what)
        if run.index_head:
            self._compare_position(run)

    def _compare_position(self, run: FoundRun) -> None:
        """Check that the index has the line after which the run began, and before the run's own."""
        position = self._positions.get(run.index_head)
        started = self._started.get(run.id)
        if position is None:
            self._faults.append(
                f"{run.id} began when the index ended with {run.index_head}, which it does not "
                "have: lines were cut or written again"
            )
        elif started is not None and started.seq < position:
            self._faults.append(f"{run.id} is listed before it began")
        elif run.result.standing is Standing.SEALED:
            self._sealed = max(self._sealed, (position, run.id))
