"""The supervisor's directory for one kernel: its connection file, sockets and process id.

Only this user can enter it. It is removed when the kernel has ended.
"""

import os
import re
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from nbrun.errors import KernelError
from nbrun.kernel import runtime_dir
from nbrun.system import processes
from nbrun.system.sudo import SudoError

_LONGEST_PARENT = 60  # bytes of a path, which leave room for a socket's name (104 on macOS)
_NAME = re.compile(r"nbrun-kernel-(\d+)-\w{8}")  # the number is the supervisor's process id
_FILE_NAMES = re.compile(r"kernel.*|output|role\..*")
_PLAIN_PATH = re.compile(r"[A-Za-z0-9_./ -]+")  # needs only quotes in a config file
_PID_FILE, _READY_FILE = "kernel.pid", "kernel.ready"


def make() -> Path:
    """Create a directory of mode 0700.

    Raises:
        KernelError: it can't be created.
    """
    try:
        return Path(tempfile.mkdtemp(prefix=f"nbrun-kernel-{os.getpid()}-", dir=_parent()))
    except OSError as error:
        raise KernelError(f"there is no folder for the kernel's sockets: {error}") from error


def record_pid(folder: Path, pid: int) -> None:
    """Record that `pid` is the kernel's process."""
    (folder / _PID_FILE).write_text(str(pid))


def mark_ready(folder: Path) -> None:
    """Record that the kernel was ready. From now on a resumed run may adopt it."""
    (folder / _READY_FILE).touch()


def _parent() -> Path:
    """Return the temporary directory, or /tmp if the temporary directory is not suitable.

    The path of a Unix socket has at most some 100 bytes, and a role's config file contains the
    path without any escapes.

    XDG_RUNTIME_DIR is never used: it is removed when the user logs out, and the kernel stays.
    """
    candidate = tempfile.gettempdir()
    fits = len(os.fsencode(candidate)) <= _LONGEST_PARENT and _PLAIN_PATH.fullmatch(candidate)
    if fits and os.access(candidate, os.W_OK):
        return Path(candidate)
    return Path("/tmp")  # noqa: S108  mkdtemp makes it 0700


def sweep() -> None:
    """Remove directories that killed supervisors left, except of kernels that a run may adopt."""
    for left in _parent().glob("nbrun-kernel-*"):
        with suppress(OSError):
            if _is_abandoned(left):
                shutil.rmtree(left, ignore_errors=True)


def _is_abandoned(folder: Path) -> bool:
    """Return True if the supervisor is gone and no run can need the directory.

    A directory of another user, or with files that nbrun does not create, is never abandoned.
    """
    name = _NAME.fullmatch(folder.name)
    if name is None or folder.is_symlink() or folder.stat().st_uid != os.getuid():
        return False
    is_ours = all(_FILE_NAMES.fullmatch(entry.name) for entry in folder.iterdir())
    return is_ours and not processes.exists(int(name[1])) and not _is_needed(folder)


def _is_needed(folder: Path) -> bool:
    """Return True if its kernel is alive, or can't be cleared.

    A kernel that was never ready belongs to no run, and is killed.
    """
    try:
        pid = int((folder / _PID_FILE).read_text())
    except (OSError, ValueError):
        pid = 0
    is_alive = pid > 0 and processes.exists(pid) and processes.has_argument(pid, folder.name)
    if is_alive and (folder / _READY_FILE).exists():
        return True
    if is_alive:
        processes.kill_group(pid)
    return not _clear_other_user(folder, pid)


def _clear_other_user(folder: Path, pid: int) -> bool:
    """Clear another user's runtime directory. Return False if sudo does not allow it now."""
    try:
        directory = runtime_dir.find(folder)
        if isinstance(directory, runtime_dir.OtherUserRuntimeDir):
            directory.clear(pid)
    except (SudoError, KernelError):
        return False
    return True
