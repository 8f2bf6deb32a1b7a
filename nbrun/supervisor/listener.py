"""The listening socket of one run: its location, its permissions, and its cleanup."""

import errno
import hashlib
import os
import re
import socket
import stat
import tempfile
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

from nbrun.errors import NbrunError, NoSupervisorError
from nbrun.system.ownership import owner_fault

_BACKLOG = 16
_SOCKET_NAME = re.compile(r"[0-9a-f]{16}\.sock")
_SOCKET_DIRECTORY = re.compile(r"nbrun(-\w+){0,3}")


class Listener:
    """A listening Unix socket in a directory that only this user, and the group `gid`, may enter.

    `link` is a symbolic link in the run's directory that leads to the socket. The socket can't be
    in the run's directory itself: the path of a socket is limited to about 100 bytes.
    """

    def __init__(self, link: Path, gid: int | None = None) -> None:
        """Create the socket and the link.

        Raises:
            NbrunError: the socket can't be created in any of its possible directories.
        """
        self._link = link
        self.gid = gid
        self._name = f"{hashlib.sha256(os.fsencode(link)).hexdigest()[:16]}.sock"
        self._open(_socket_directories() if gid is None else _group_socket_directories(gid))

    def is_removed(self) -> bool:
        """Return True if the socket's file is gone.

        XDG_RUNTIME_DIR is removed with the last login of its user.
        """
        try:
            return self._path.lstat().st_ino != self._inode
        except OSError:
            return True

    def relocate(self) -> None:
        """Create the socket again, in a directory that outlives logins.

        Raises:
            NbrunError: the socket can't be created.
        """
        self.socket.close()
        if self.gid is None:
            self._open(_socket_directories()[1:])
        else:
            self._open(_group_socket_directories(self.gid))

    def close(self) -> None:
        """Close the socket, and remove its file, the link, and a directory of its own."""
        self.socket.close()
        for name in (self._path, self._link):
            with suppress(OSError):
                name.unlink()
        if self._path.parent.name.startswith(_OWN_PREFIX):
            with suppress(OSError):
                self._path.parent.rmdir()

    def _open(self, directories: list[Path]) -> None:
        self.socket, self._path = _bind_in_first_usable(directories, self._name, self.gid)
        self._inode = self._path.lstat().st_ino
        # A link is made beside the old one and renamed, so that the name always exists.
        new_link = self._link.with_name(f".{self._link.name}")
        try:
            new_link.unlink(missing_ok=True)
            new_link.symlink_to(self._path)
            new_link.replace(self._link)
        except OSError as error:
            raise NbrunError(f"{self._link}: can't create the link: {error.strerror}") from error


def supervisor_socket(link: Path) -> Path:
    """Return the socket that `link`, in a run's folder, leads to.

    A link can lead anywhere: to the socket of an agent, or to a file that somebody else needs. The
    socket and its directory must belong to the run's owner, or to root, who alone may write the
    directory, and must be named as `Listener` names them.

    Raises:
        OSError: there is no link, or it leads nowhere.
        NoSupervisorError: the link does not lead to the socket of a supervisor.
    """
    path = link.readlink()
    uid = 0 if path.lstat().st_uid == 0 else link.parent.lstat().st_uid
    if not path.is_absolute() or not _SOCKET_NAME.fullmatch(path.name):
        fault = "it is not named as nbrun names a socket"
    elif not _SOCKET_DIRECTORY.fullmatch(path.parent.name):
        fault = "its folder is not named as nbrun names it"
    else:
        fault = owner_fault(path.parent, uid) or _socket_fault(path, uid)
    if fault:
        raise NoSupervisorError(
            f"{link}: leads to {path}, which is not the socket of the run's supervisor: {fault}"
        )
    return path


def _socket_fault(path: Path, uid: int) -> str:
    found = path.lstat()
    if not stat.S_ISSOCK(found.st_mode):
        return "it is not a socket"
    return "" if found.st_uid == uid else "it belongs to another user than the run"


def remove_stale_socket(link: Path) -> None:
    """Remove the socket of a killed supervisor, and the `link` to it."""
    with suppress(OSError, NoSupervisorError):
        supervisor_socket(link).unlink()
    with suppress(OSError):
        link.unlink()


# Another user can create a directory of a known name before this user does. Then the socket gets a
# directory of its own, whose name nobody can guess. The link in the run's folder leads there.
_OWN_PREFIX = f"nbrun-socket-{os.getuid()}-"
_ABANDONED_AFTER = 60.0  # seconds that a supervisor may take to put its socket into its directory


def _socket_directories() -> list[Path]:
    """Return where the socket may be created, the best directory first."""
    temporary = Path(tempfile.gettempdir(), f"nbrun-{os.getuid()}")
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return [*([Path(runtime, "nbrun")] if runtime else []), temporary]


def _group_socket_directories(gid: int) -> list[Path]:
    """Return where a shared socket may be created. XDG_RUNTIME_DIR is closed to other users."""
    return [Path(tempfile.gettempdir(), f"nbrun-{os.getuid()}-{gid}")]


def _bind_in_first_usable(
    directories: list[Path], name: str, gid: int | None
) -> tuple[socket.socket, Path]:
    problems = []
    parents = dict.fromkeys((Path(tempfile.gettempdir()), Path("/tmp")))  # noqa: S108  a new name
    own = (partial(_create_own, parent) for parent in parents)
    for directory in (*(partial(Path, each) for each in directories), *own):
        try:
            return _bind_in(directory(), name, gid)
        except OSError as error:
            problems.append(str(error))
    raise NbrunError(f"can't create the run's socket: {'; '.join(problems)}")


def _bind_in(directory: Path, name: str, gid: int | None) -> tuple[socket.socket, Path]:
    _ensure_private(directory, gid)
    _remove_dead_sockets(directory)
    return _bind(directory / name, gid)


def _create_own(parent: Path) -> Path:
    """Create a directory for one socket, and remove those of killed supervisors."""
    for path in parent.glob(f"{_OWN_PREFIX}*"):
        with suppress(OSError):
            found = path.lstat()
            if found.st_uid == os.getuid() and time.time() - found.st_mtime > _ABANDONED_AFTER:
                _remove_dead_sockets(path)
                path.rmdir()  # fails if a supervisor uses it
    return Path(tempfile.mkdtemp(prefix=_OWN_PREFIX, dir=parent))


def _ensure_private(directory: Path, gid: int | None) -> None:
    """Create `directory` if needed, open to this user alone. The group `gid` may pass through.

    Raises:
        OSError: the path is not a directory of this user.
    """
    with suppress(FileExistsError):
        directory.mkdir(mode=0o700)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise OSError(f"{directory}: not a directory that belongs to this user")
    if gid is not None:
        os.chown(directory, -1, gid)
    directory.chmod(0o700 if gid is None else 0o710)


def _remove_dead_sockets(directory: Path) -> None:
    """Remove the sockets of killed supervisors: nobody accepts connections on them."""
    for path in directory.glob("*.sock"):
        with suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            probe.setblocking(False)
            if probe.connect_ex(str(path)) == errno.ECONNREFUSED:
                path.unlink()


def _bind(path: Path, gid: int | None) -> tuple[socket.socket, Path]:
    """Create a listening socket at `path`.

    The socket is bound under another name, and renamed once it listens. So a socket named `*.sock`
    that refuses a connection is dead, and `_remove_dead_sockets` of another run may remove it.
    """
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    new_path = path.with_suffix(".new")
    try:
        new_path.unlink(missing_ok=True)
        bound.bind(str(new_path))
        if gid is not None:
            os.chown(new_path, -1, gid)
        new_path.chmod(0o600 if gid is None else 0o660)
        bound.listen(_BACKLOG)
        bound.setblocking(False)
        # This may replace a dead socket. The journal's lock allows only one supervisor a run.
        new_path.replace(path)
    except BaseException:
        bound.close()
        raise
    return bound, path
