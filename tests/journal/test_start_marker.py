"""Markers of the runs that this account's nbrun began on this machine."""

from pathlib import Path

import pytest

from nbrun.errors import NbrunError
from nbrun.journal.reader import JournalReader
from nbrun.journal.run_directory import RunDirectory
from nbrun.journal.start_marker import StartMarker, began_here
from nbrun.system import state_folder
from tests.support.build_events import run_finished
from tests.support.planted_run import RUN, plant


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDirectory:
    """A run that this account began, as far as its first line."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    directory = plant(tmp_path)
    StartMarker(RUN).receive(list(JournalReader(directory.journal)))
    return directory


def test_run_is_marked_until_it_ends(begun: RunDirectory) -> None:
    marker = state_folder.state_path("begun", RUN)
    assert began_here(begun)
    assert marker.stat().st_mode & 0o777 == 0o600
    assert marker.parent.stat().st_mode & 0o777 == 0o700
    (record,) = [each for each in JournalReader(begun.journal) if each.seq == 0]
    ended = type(record)(**{**_fields(record), "event": run_finished()})
    StartMarker(RUN).receive([ended])
    assert not began_here(begun)


def _fields(record: object) -> dict[str, object]:
    return {name: getattr(record, name) for name in record.__struct_fields__}  # type: ignore[attr-defined]


def test_copy_with_another_beginning_did_not_begin_here(
    begun: RunDirectory, tmp_path: Path
) -> None:
    (tmp_path / "clone").mkdir()
    assert not began_here(plant(tmp_path / "clone", reason="mine"))


def test_marker_that_others_may_have_written_is_not_believed(begun: RunDirectory) -> None:
    marker = state_folder.state_path("begun", RUN)
    marker.chmod(0o666)
    with pytest.raises(NbrunError, match="is not used: others can write"):
        began_here(begun)
    marker.unlink()
    marker.symlink_to("/dev/zero")
    with pytest.raises(NbrunError, match=r"is not used: .* is neither a file nor a folder"):
        began_here(begun)
