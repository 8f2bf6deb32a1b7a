"""A folder of runs shows that a run is missing, was put there, or is another than it was."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nbrun.audit import ssh_signatures
from nbrun.audit.index_check import IndexStanding, IndexVerification, verify_indexes
from nbrun.audit.run_indexer import RunIndexer
from nbrun.audit.verify import Trust, verify
from nbrun.cli.commands.records import verify as command
from nbrun.cli.commands.records.verify import VerifyOptions
from nbrun.core import events as ev
from nbrun.errors import DamagedJournalError, JournalError, UsageError
from nbrun.journal import run_directory, runs_index
from nbrun.journal.run_directory import RunDirectory
from nbrun.views.export import notebook
from tests.audit.test_verify import Kept, whole
from tests.support.build_events import index_failed, run_resumed
from tests.support.ssh_keys import allow, make_key, needs_ssh_keygen

NAMES = [f"20261123-09300{number}-restore-ab12" for number in range(4)]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to act as other users")


class Runs:
    """A folder of runs, all entered into the index as a supervisor does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(mode=0o711)
        self.failures: list[ev.Event] = []

    def run(self, name: str, upto: int | None = None, *, enter: bool = True, **fields: Any) -> Kept:
        started = {"run": name, "index": self.head()} | fields
        kept = Kept(self.folder, name).write(whole(**started)[:upto])
        if enter:
            RunIndexer(kept.directory, self.failures.append).receive(kept.records())
        return kept

    def head(self) -> str:
        try:
            return runs_index.head(self.folder)
        except JournalError:  # as `prepare` does
            return ""

    def path(self, name: str) -> Path:
        return self.folder / name

    @property
    def index(self) -> Path:
        return runs_index.path_in(self.folder, os.geteuid())

    def check(self, **trust: Any) -> list[IndexVerification]:
        found = run_directory.runs_at(self.folder)
        results = [verify(each, Trust(**trust), notebook.digest) for each in found]
        return verify_indexes(self.folder, found, results)

    def faults(self) -> str:
        (found,) = self.check()
        assert found.standing is IndexStanding.BROKEN, found
        return "\n".join(found.faults)


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    """Return a folder with three ended runs."""
    made = Runs(tmp_path / "runs")
    for name in NAMES[:3]:
        made.run(name)
    return made


def test_intact_folder_is_whole(runs: Runs) -> None:
    runs.run(NAMES[3], upto=4)
    assert runs.check() == [IndexVerification(runs.index.name, IndexStanding.WHOLE, runs=4)]
    assert runs.failures == []


@pytest.mark.parametrize("name", NAMES[:3])
def test_removed_run_is_named(runs: Runs, name: str) -> None:
    shutil.rmtree(runs.path(name))
    assert f"the run {name} is missing" in runs.faults()


def test_all_runs_removed_are_named(runs: Runs, capsys: Any) -> None:
    for name in NAMES[:3]:
        shutil.rmtree(runs.path(name))
    assert command.show(VerifyOptions(runs=[str(runs.folder)])) == 7
    assert capsys.readouterr().out.count("is missing") == 3


def test_renamed_run_is_missing_under_its_name(runs: Runs) -> None:
    runs.path(NAMES[1]).rename(runs.path("evidence"))
    assert f"the run {NAMES[1]} is missing" in runs.faults()


def test_run_put_there_is_named(runs: Runs) -> None:
    """A record whose chain is right, of a run that nbrun never entered."""
    runs.run(NAMES[3], enter=False)
    assert f"{NAMES[3]} is not listed, though nbrun lists a run" in runs.faults()


def test_run_written_again_is_named(runs: Runs) -> None:
    shutil.rmtree(runs.path(NAMES[1]))
    runs.run(NAMES[1], enter=False, reason="a better one")
    faults = runs.faults()
    assert f"{NAMES[1]}: its first line is not the one that the index has" in faults
    assert f"{NAMES[1]}: its record has 6 lines; the index has its end at line 6" in faults


def test_record_cut_after_its_end_is_named(runs: Runs) -> None:
    kept = Kept.__new__(Kept)
    kept.directory = RunDirectory(runs.path(NAMES[2]))
    kept.rewrite(kept.lines[:3])
    assert "its record has 3 lines; the index has its end at line 6" in runs.faults()


@pytest.mark.parametrize("left", [0, 2, 4])
def test_index_cut_with_its_runs_contradicts_later_run(runs: Runs, left: int) -> None:
    """Cut the index, and begin it again: a run that stays names where the index stood."""
    lines = runs.index.read_bytes().splitlines(keepends=True)
    runs.index.write_bytes(b"".join(lines[:left]))
    for name in NAMES[left // 2 : 2]:
        shutil.rmtree(runs.path(name))
    runs.run(NAMES[3])
    faults = runs.faults()
    assert (
        "lines were cut or written again" in faults
        or "second run.started" in faults
        or (f"{NAMES[2]} is not listed" in faults or left == 5)
    )


def test_index_written_again_contradicts_runs(runs: Runs) -> None:
    """The forger leaves out one run, and computes all hashes again."""
    shutil.rmtree(runs.path(NAMES[0]))
    runs.index.unlink()
    for name in NAMES[1:3]:
        kept = Kept.__new__(Kept)
        kept.directory = RunDirectory(runs.path(name))
        RunIndexer(kept.directory, runs.failures.append).receive(kept.records())
    assert f"{NAMES[1]} began when the index ended with" in runs.faults()


def test_removed_index_is_missing_and_said_to_be_removed(runs: Runs, capsys: Any) -> None:
    runs.index.unlink()
    (found,) = runs.check()
    assert found.standing is IndexStanding.MISSING
    assert "3 of the runs here began with an index: it was removed" in found.notes[1]
    folder = str(runs.folder)
    assert command.show(VerifyOptions(runs=[folder])) == 0
    assert command.show(VerifyOptions(runs=[folder], require_index=True)) == 7
    with pytest.raises(UsageError, match="a single run has no index"):
        command.show(VerifyOptions(runs=[str(runs.path(NAMES[0]))], require_index=True))


def test_damaged_index_is_broken(runs: Runs) -> None:
    data = runs.index.read_bytes()
    runs.index.write_bytes(data.replace(b'"lines":6', b'"lines":7', 1))
    assert "line 3: it does not follow from the line before" in runs.faults()


def test_run_listed_twice_is_named(runs: Runs) -> None:
    kept = Kept.__new__(Kept)
    kept.directory = RunDirectory(runs.path(NAMES[0]))
    RunIndexer(kept.directory, runs.failures.append).receive(kept.records()[-1:])
    assert f"line 7: {NAMES[0]} is listed twice as run.ended" in runs.faults()


@needs_ssh_keygen
def test_seal_of_run_covers_index_before_it(tmp_path: Path) -> None:
    key = make_key(tmp_path / "keys")
    signers = allow(tmp_path / "signers", ("ops", key))
    made = Runs(tmp_path / "runs")
    for name in NAMES[:2]:
        made.run(name, sign_key=ssh_signatures.fingerprint(key)).seal(key)
    (found,) = made.check(allowed_signers=signers)
    assert found.notes == (f"the seal of {NAMES[1]} covers 2 lines of it",)


# ── Crashes and failures, which are no attacks ───────────────────────────────────────────────


def test_run_killed_before_its_entry_is_noted(runs: Runs) -> None:
    runs.run(NAMES[3], upto=1, enter=False)
    (found,) = runs.check()
    assert found.standing is IndexStanding.WHOLE
    assert "nbrun ended before it ran anything" in found.notes[0]


def test_run_killed_before_entry_of_its_end_is_noted(runs: Runs) -> None:
    kept = runs.run(NAMES[3], enter=False)
    RunIndexer(kept.directory, runs.failures.append).receive(kept.records()[:-1])
    (found,) = runs.check()
    assert found.standing is IndexStanding.WHOLE
    assert "the index has no end of it" in found.notes[0]


def test_resumed_run_is_entered_if_its_start_is_missing(runs: Runs) -> None:
    kept = runs.run(NAMES[3], upto=4, enter=False)
    indexer = RunIndexer(kept.directory, runs.failures.append)
    for _ in range(2):  # the second finds it
        indexer.receive([kept.records()[0].__class__(  # a record of the resume
            seq=4, at="", mono=4.0, event=run_resumed(), prev="", hash="")])  # fmt: skip
    assert [line.run for line in runs_index.read(runs.index).lines].count(NAMES[3]) == 1
    assert runs.check()[0].standing is IndexStanding.WHOLE


def test_run_that_could_not_be_entered_says_so(runs: Runs) -> None:
    kept = runs.run(NAMES[3], upto=5, enter=False)
    events = [each.event for each in kept.records()]
    shutil.rmtree(kept.directory.path)
    Kept(runs.folder, NAMES[3]).write([events[0], index_failed("no space"), *events[1:]])
    (found,) = runs.check()
    assert (found.standing, found.notes[0]) == (
        IndexStanding.WHOLE,
        f"{NAMES[3]} is not listed: no space",
    )


def test_runs_older_than_the_index_are_noted(runs: Runs) -> None:
    runs.run(NAMES[3], enter=False, index="")
    (found,) = runs.check()
    assert found.standing is IndexStanding.WHOLE
    assert found.notes == (f"{NAMES[3]} was made without an index",)


def test_torn_index_is_noted(runs: Runs) -> None:
    runs.index.write_bytes(runs.index.read_bytes()[:-7])
    (found,) = runs.check()
    assert found.standing is IndexStanding.WHOLE
    assert "its last line is torn" in found.notes[0]


# ── Planted files and other users ────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "plant",
    [
        lambda path, other: path.symlink_to(other),
        lambda path, other: os.link(other, path),
        lambda path, other: os.mkfifo(path),
        lambda path, other: path.mkdir(),
    ],
    ids=["a link", "a second name", "a FIFO", "a folder"],
)
def test_planted_index_is_not_written(tmp_path: Path, plant: Callable[[Path, Path], None]) -> None:
    made = Runs(tmp_path / "runs")
    other = tmp_path / "victim"
    other.write_bytes(b"")
    plant(made.index, other)
    made.run(NAMES[0])
    assert len(made.failures) == 2
    assert isinstance(made.failures[0], ev.IndexFailed)
    assert other.read_bytes() == b""


@needs_root
def test_index_that_belongs_to_colleague_is_refused(runs: Runs) -> None:
    """A colleague plants the index of another user, or writes it again."""
    before = runs.index.read_bytes()
    planted = runs_index.path_in(runs.folder, 1)
    planted.write_bytes(before)
    os.chown(planted, 65534, 65534)
    by_name = {found.index: found for found in runs.check()}
    assert by_name[planted.name].standing is IndexStanding.BROKEN
    assert "belongs to uid 65534" in by_name[planted.name].faults[0]
    assert by_name[runs.index.name].standing is IndexStanding.WHOLE
    os.chown(runs.index, 65534, 65534)
    runs.run(NAMES[3])
    assert runs.failures
    assert runs.index.read_bytes() == before


@needs_root
def test_colleague_cannot_list_run_of_another(runs: Runs) -> None:
    """The index of uid 1 lists a run of uid 2, who has an index of their own."""
    for uid in (1, 2):
        shutil.copy(runs.index, runs_index.path_in(runs.folder, uid))
        os.chown(runs_index.path_in(runs.folder, uid), uid, uid)
    runs.index.unlink()
    for name in NAMES[:3]:
        os.chown(runs.path(name), 2, 2)
    by_name = {found.index: found for found in runs.check()}
    assert by_name["index-2.jsonl"].standing is IndexStanding.WHOLE
    assert f"it lists {NAMES[0]}, whose folder belongs to uid 2" in by_name["index-1.jsonl"].faults


def test_index_that_is_a_hole_is_not_read_into_memory(tmp_path: Path) -> None:
    index = tmp_path / "index-4711.jsonl"
    with index.open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(DamagedJournalError, match="line 1: not as nbrun writes it"):
        runs_index.read(index)
