"""The socket of one run's supervisor: where it lies, who may reach it, and that it stays there."""

import errno
import hashlib
import os
import socket
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from nbrun.errors import NbrunError

_BACKLOG = 16


class Listener:
    """A listening Unix socket in a folder that only this user, and the members of the group `gid`
    if there is one, may enter. `link`, a symbolic link, always leads to it: its own path would be
    too long for a socket's (some 100 bytes)."""

    def __init__(self, link: Path, gid: int | None = None) -> None:
        """Raises NbrunError when no socket can be made."""
        self._link = link
        self.gid = gid
        self._name = f"{hashlib.sha256(os.fsencode(link)).hexdigest()[:16]}.sock"
        self._open(_folders() if gid is None else _shared_folders(gid))

    def is_lost(self) -> bool:
        """Whether its name is gone: XDG_RUNTIME_DIR is removed with its user's last login."""
        try:
            return self._path.lstat().st_ino != self._inode
        except OSError:
            return True

    def move(self) -> None:
        """Listen again, where no logout removes it. Raises NbrunError."""
        self.socket.close()
        self._open(_folders()[1:] if self.gid is None else _shared_folders(self.gid))

    def close(self) -> None:
        """Leave neither socket nor link."""
        self.socket.close()
        for name in (self._path, self._link):
            with suppress(OSError):
                name.unlink()

    def _open(self, folders: list[Path]) -> None:
        self.socket, self._path = _bound(folders, self._name, self.gid)
        self._inode = self._path.lstat().st_ino
        fresh = self._link.with_name(f".{self._link.name}")
        try:
            fresh.unlink(missing_ok=True)
            fresh.symlink_to(self._path)
            fresh.replace(self._link)
        except OSError as error:
            raise NbrunError(f"{self._link}: can't be made: {error.strerror}") from error


def _folders() -> list[Path]:
    """Where a socket may lie, the best place first."""
    temporary = Path(tempfile.gettempdir(), f"nbrun-{os.getuid()}")
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return [*([Path(runtime, "nbrun")] if runtime else []), temporary, _LAST]


_LAST = Path("/tmp", f"nbrun-{os.getuid()}")  # noqa: S108  its owner and mode are looked at


def _shared_folders(gid: int) -> list[Path]:
    """XDG_RUNTIME_DIR is its user's alone."""
    name = f"nbrun-{os.getuid()}-{gid}"
    return [Path(tempfile.gettempdir(), name), Path("/tmp", name)]  # noqa: S108  looked at as well


def _bound(folders: list[Path], name: str, gid: int | None) -> tuple[socket.socket, Path]:
    troubles = []
    for folder in folders:
        try:
            _make_private(folder, gid)
            _sweep(folder)
            return _bind(folder / name, gid)
        except OSError as error:
            troubles.append(f"{folder}: {error.strerror or error}")
    raise NbrunError(f"there is no place for the run's socket: {'; '.join(troubles)}")


def _make_private(folder: Path, gid: int | None) -> None:
    """Raises OSError when it is not this user's alone. A group may pass through."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise OSError("it is not a folder of this user's")
    if gid is not None:
        os.chown(folder, -1, gid)
    folder.chmod(0o700 if gid is None else 0o710)


def _sweep(folder: Path) -> None:
    """Sockets of supervisors that were killed can't be removed by them."""
    for path in folder.glob("*.sock"):
        with suppress(OSError), socket.socket(socket.AF_UNIX) as knock:
            knock.setblocking(False)
            if knock.connect_ex(str(path)) == errno.ECONNREFUSED:
                path.unlink()


def remove_stale_socket(link: Path) -> None:
    """Remove what a killed supervisor has left: its socket, and `link` that leads to it."""
    with suppress(OSError):
        link.readlink().unlink(missing_ok=True)
    with suppress(OSError):
        link.unlink()


def _bind(path: Path, gid: int | None) -> tuple[socket.socket, Path]:
    """It gets its name when it listens: one with that name that refuses is a dead one's."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    coming = path.with_suffix(".new")
    try:
        coming.unlink(missing_ok=True)
        made.bind(str(coming))
        if gid is not None:
            os.chown(coming, -1, gid)
        coming.chmod(0o600 if gid is None else 0o660)
        made.listen(_BACKLOG)
        made.setblocking(False)
        coming.replace(path)  # a dead one's, if there is one: the journal's lock lets only one be
    except BaseException:
        made.close()
        raise
    return made, path
