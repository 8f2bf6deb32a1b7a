"""The listening socket of a run: where it is created, and who may reach it."""

import os
import socket
import tempfile
import time
from pathlib import Path

import pytest

from nbrun.errors import NbrunError
from nbrun.supervisor.listener import Listener
from tests.support.build_events import begun
from tests.support.served_run import ServedRun, receive_through


def test_socket_is_open_to_its_user_alone(run: ServedRun) -> None:
    path = run.directory.socket.readlink()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert len(str(path)) < 100


def test_socket_is_created_again_when_its_directory_is_removed(
    run: ServedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nbrun.supervisor.server._SOCKET_CHECK_INTERVAL", 0.05)
    before = run.connect()
    removed = run.directory.socket.readlink()
    removed.unlink()
    removed.parent.rmdir()
    run.server.wake()
    after = run.connect("follow")  # waits for the new socket
    assert run.directory.socket.readlink() != removed
    before.detach()
    records = run.record(begun())
    assert receive_through(after, 1) == records


def test_new_listener_removes_dead_sockets_and_leaves_live_ones(
    run: ServedRun, tmp_path: Path
) -> None:
    live = run.directory.socket.readlink()
    dead = live.with_name("0123456789abcdef.sock")
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(dead))
    other = Listener(tmp_path / "other")
    assert not dead.exists()
    assert live.exists()
    other.close()


def test_symlinked_directory_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nbrun").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    listener = Listener(tmp_path / "socket")
    assert (tmp_path / "socket").readlink().parent != tmp_path / "nbrun"
    listener.close()


def _fail(**_options: object) -> str:
    raise PermissionError("/tmp: no directory can be created here")


def test_listener_without_a_usable_directory_raises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    directories = [blocked / "x", blocked]
    monkeypatch.setattr("nbrun.supervisor.listener._socket_directories", lambda: directories)
    monkeypatch.setattr(tempfile, "mkdtemp", _fail)
    with pytest.raises(NbrunError, match="can't create the run's socket"):
        Listener(tmp_path / "socket")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory to another user")
def test_directory_that_another_user_took_is_replaced_by_one_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    squatted = tmp_path / f"nbrun-{os.getuid()}"
    squatted.mkdir(mode=0o777)
    os.chown(squatted, 65534, 65534)
    abandoned = tmp_path / f"nbrun-socket-{os.getuid()}-0"
    abandoned.mkdir()
    os.utime(abandoned, (0, time.time() - 3600))
    listener = Listener(tmp_path / "socket")
    place = (tmp_path / "socket").readlink()
    assert place.parent.name.startswith(f"nbrun-socket-{os.getuid()}-")
    assert place.parent.stat().st_mode & 0o777 == 0o700
    assert not abandoned.exists()
    assert list(squatted.iterdir()) == []
    listener.close()
    assert not place.parent.exists()
