"""Whom a run is shared with, and what of it they can read."""

import os
import stat
import tempfile
from pathlib import Path

import pytest

from nbrun.errors import UsageError
from nbrun.journal.run_directory import RunDirectory
from nbrun.system.files import set_reader_mode
from nbrun.system.group_access import blocking_folder, gid_of

MINE = os.getgid()


@pytest.mark.parametrize(
    ("mode", "gid", "through"),
    [
        (0o700, MINE, False),
        (0o710, MINE, True),
        (0o710, MINE + 1, False),
        (0o701, MINE + 1, True),
        (0o760, MINE, False),
        (0o755, MINE + 1, True),
    ],
)
def test_a_group_gets_through_a_folder_as_its_mode_says(
    mode: int, gid: int, *, through: bool
) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as made:  # pytest's own lets nobody through
        folder = Path(made)
        os.chown(folder, -1, MINE)
        folder.chmod(mode)
        assert blocking_folder(folder, gid) is None
        assert blocking_folder(folder / "run", gid) == (None if through else folder)


@pytest.mark.parametrize(("folder", "file"), [(0o710, 0o640), (0o700, 0o600), (0o755, 0o600)])
def test_a_file_is_for_the_group_where_the_runs_folder_is_shared(
    tmp_path: Path, folder: int, file: int
) -> None:
    path = tmp_path / "seals.jsonl"
    path.touch()
    tmp_path.chmod(folder)
    fd = os.open(path, os.O_RDONLY)
    set_reader_mode(fd, tmp_path)
    os.close(fd)
    assert stat.S_IMODE(path.stat().st_mode) == file
    assert path.stat().st_gid == tmp_path.stat().st_gid


def test_a_link_in_the_folder_leads_nobody_to_another_file(tmp_path: Path) -> None:
    tmp_path.chmod(0o710)
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    (tmp_path / "link").symlink_to(secret)
    with pytest.raises(OSError, match="symbolic links"):
        RunDirectory(tmp_path).allow_readers(tmp_path / "link")
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600


def test_a_group_that_there_is_not_can_not_be_shared_with() -> None:
    with pytest.raises(UsageError, match="there is no such group"):
        gid_of("no-such-group")
