"""Which runs this account's nbrun began on this machine, and which it may act on."""

import os
import shutil
from pathlib import Path

import pytest

from nbrun.errors import ForeignRunError, JournalError, NbrunError
from nbrun.journal import own_runs
from nbrun.journal.reader import JournalReader
from nbrun.journal.run_directory import RunDirectory, find
from nbrun.system import state_folder
from tests.support.build_events import run_finished
from tests.support.planted_run import RUN, plant


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDirectory:
    """A run that this account began, as far as its first line."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    directory = plant(tmp_path)
    own_runs.BegunNote(RUN).receive(list(JournalReader(directory.journal)))
    return directory


def test_begun_run_is_known_until_it_ends(begun: RunDirectory) -> None:
    note = state_folder.state_path("begun", RUN)
    assert own_runs.has_begun(begun)
    assert note.stat().st_mode & 0o777 == 0o600
    assert note.parent.stat().st_mode & 0o777 == 0o700
    (record,) = [each for each in JournalReader(begun.journal) if each.seq == 0]
    ended = type(record)(**{**_fields(record), "event": run_finished()})
    own_runs.BegunNote(RUN).receive([ended])
    assert not own_runs.has_begun(begun)


def _fields(record: object) -> dict[str, object]:
    return {name: getattr(record, name) for name in record.__struct_fields__}  # type: ignore[attr-defined]


def test_copy_with_another_beginning_is_not_known(begun: RunDirectory, tmp_path: Path) -> None:
    (tmp_path / "clone").mkdir()
    assert not own_runs.has_begun(plant(tmp_path / "clone", reason="mine"))


def test_note_that_others_may_have_written_is_not_believed(begun: RunDirectory) -> None:
    note = state_folder.state_path("begun", RUN)
    note.chmod(0o666)
    with pytest.raises(NbrunError, match="is not used: others can write"):
        own_runs.has_begun(begun)
    note.unlink()
    note.symlink_to("/dev/zero")
    with pytest.raises(NbrunError, match=r"is not used: .* is neither a file nor a folder"):
        own_runs.has_begun(begun)


def test_own_run_may_be_acted_on(begun: RunDirectory) -> None:
    own_runs.require_own(begun)
    own_runs.require_said(begun, foreign=False)
    begun.path.chmod(0o710)  # shared with a group, which may read
    begun.journal.chmod(0o640)
    own_runs.require_own(begun)
    assert own_runs.owner_of(begun) == ""


@pytest.mark.parametrize("which", ["path", "journal"])
def test_run_that_others_can_write_is_refused(begun: RunDirectory, which: str) -> None:
    getattr(begun, which).chmod(0o770)
    with pytest.raises(ForeignRunError, match=r"others can write .*: chmod go-w"):
        own_runs.require_own(begun)
    with pytest.raises(ForeignRunError, match="others can write"):
        own_runs.require_own(begun, foreign=True)
    assert own_runs.owner_of(begun) == "anybody: others can write it"


def test_link_to_a_run_is_not_the_run(begun: RunDirectory, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / RUN).symlink_to(begun.path)
    with pytest.raises(ForeignRunError, match="neither a file nor a folder"):
        own_runs.require_own(RunDirectory(tmp_path / "shared" / RUN))
    assert find(tmp_path, str(tmp_path / "shared" / RUN)).path == begun.path


def test_run_without_journal_is_refused(begun: RunDirectory) -> None:
    begun.journal.unlink()
    with pytest.raises(JournalError, match="there is none"):
        own_runs.require_own(begun)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_last_is_the_newest_run_of_ones_own(begun: RunDirectory, tmp_path: Path) -> None:
    newer = plant(tmp_path, run="20991123-093000-restore-zz99")
    assert find(tmp_path, "last") == newer
    for path in (newer.path, newer.journal):
        shutil.chown(path, 65534)
    assert find(tmp_path, "last") == begun
    assert own_runs.owner_of(newer) == "nobody"
    with pytest.raises(ForeignRunError, match="as root: --foreign"):
        own_runs.require_own(newer)
    own_runs.require_own(newer, foreign=True)
    shutil.chown(begun.path, 65534)
    with pytest.raises(Exception, match=r"no run in .* is your own"):
        find(tmp_path, "last")
