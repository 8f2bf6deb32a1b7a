"""Test P8 and P9: a run has one writer, and a folder that no other user can read."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nbrun.errors import JournalError
from nbrun.journal import run_directory
from nbrun.journal.reader import JournalReader, first_record, last_record
from nbrun.journal.run_directory import RunDirectory
from nbrun.journal.writer import Journal, is_locked
from tests.support.build_events import uneventful, write
from tests.support.fault_rig import Rig


@pytest.fixture(params=[0, 0o777, 0o022], ids=["umask 000", "umask 777", "umask 022"])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_run_folder_is_private_under_any_umask(tmp_path: Path, umask: int) -> None:
    """Created parent folders are private, too: whoever may write there could replace the run."""
    rig = Rig(tmp_path / "state" / "nbrun" / "runs")
    assert rig.perform() is None
    inside = [rig.directory.path, *rig.directory.path.iterdir()]
    assert {mode(path) for path in inside if path.is_dir()} == {0o700}
    files = {path.name: mode(path) for path in inside if path.is_file()}
    assert files == dict.fromkeys(("journal.jsonl", "supervisor.log", "restore.ipynb"), 0o600)
    for above in ("state", "state/nbrun", "state/nbrun/runs"):
        assert mode(tmp_path / above) == 0o700


def test_existing_folder_keeps_its_mode(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o775)
    run_directory.create(shared, run_directory.new_id(Path("restore.ipynb")))
    assert mode(shared) == 0o775


PLANTED = [
    pytest.param(lambda path: path.write_bytes(b"kept"), id="file"),
    pytest.param(lambda path: path.symlink_to(path.parent / "elsewhere"), id="dangling symlink"),
    pytest.param(os.mkfifo, id="FIFO"),
    pytest.param(lambda path: path.mkdir(), id="folder"),
    pytest.param(lambda path: os.mknod(path, 0o600 | stat.S_IFSOCK), id="socket"),
]


@pytest.mark.parametrize("plant", PLANTED)
def test_writer_refuses_planted_path(tmp_path: Path, plant: Callable[[Path], None]) -> None:
    directory = RunDirectory(tmp_path)
    plant(directory.journal)
    before = directory.journal.lstat()
    with pytest.raises(JournalError, match="can't create the journal"):
        Journal.create(directory.journal)
    assert directory.journal.lstat() == before
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("plant", PLANTED[1:])
def test_readers_refuse_planted_path(tmp_path: Path, plant: Callable[[Path], None]) -> None:
    """A symlink to an intact journal is refused, too: a record is in its own folder."""
    (tmp_path / "real").mkdir()
    write(tmp_path / "elsewhere", uneventful())
    plant(tmp_path / "journal.jsonl")
    with pytest.raises(JournalError, match="can't read the journal"):
        list(JournalReader(tmp_path / "journal.jsonl"))
    for look in (first_record, last_record, is_locked):
        with pytest.raises(OSError):
            look(tmp_path / "journal.jsonl")


def test_second_writer_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal.create(path)
    assert is_locked(path)
    with pytest.raises(JournalError, match="File exists"):
        Journal.create(path)
    journal.close()
    assert not is_locked(path)
