"""Sharing a run with a group: which folders and files its members can reach."""

import os
import stat
import tempfile
from pathlib import Path

import pytest

from nbrun.errors import UsageError
from nbrun.journal.run_directory import RunDirectory
from nbrun.system.files import set_reader_mode
from nbrun.system.group_access import blocking_folder, gid_of

OWN_GROUP = os.getgid()


@pytest.mark.parametrize(
    ("mode", "gid", "passable"),
    [
        (0o700, OWN_GROUP, False),
        (0o710, OWN_GROUP, True),
        (0o710, OWN_GROUP + 1, False),
        (0o701, OWN_GROUP + 1, True),
        (0o760, OWN_GROUP, False),
        (0o755, OWN_GROUP + 1, True),
    ],
)
def test_blocking_folder_follows_the_folder_modes(mode: int, gid: int, *, passable: bool) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as made:  # others can't enter pytest's own
        folder = Path(made)
        os.chown(folder, -1, OWN_GROUP)
        folder.chmod(mode)
        assert blocking_folder(folder, gid) is None
        assert blocking_folder(folder / "run", gid) == (None if passable else folder)


@pytest.mark.parametrize(("folder", "file"), [(0o710, 0o640), (0o700, 0o600), (0o755, 0o600)])
def test_file_is_readable_by_the_group_of_a_shared_folder(
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


def test_symbolic_link_is_not_shared(tmp_path: Path) -> None:
    tmp_path.chmod(0o710)
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    (tmp_path / "link").symlink_to(secret)
    with pytest.raises(OSError, match="symbolic links"):
        RunDirectory(tmp_path).allow_readers(tmp_path / "link")
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600


def test_unknown_group_is_an_error() -> None:
    with pytest.raises(UsageError, match="there is no such group"):
        gid_of("no-such-group")
