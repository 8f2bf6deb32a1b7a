"""The folder of one kernel's connection file and sockets: made for this user alone, and removed."""

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

_ROOM = 60  # bytes of a folder's name that leave room for a socket's below it (104 on macOS)
_NAME = re.compile(r"nbrun-kernel-(\d+)-\w{8}")
_FILES = re.compile(r"kernel.*|output|role\..*")
_PLAIN = re.compile(r"[A-Za-z0-9_./ -]+")  # what needs no more than quotes in a config file
_PID, _READY = "kernel.pid", "kernel.ready"


def make() -> Path:
    """A new one, mode 0700.

    Raises:
        KernelError: there is no place for one.
    """
    try:
        return Path(tempfile.mkdtemp(prefix=f"nbrun-kernel-{os.getpid()}-", dir=_parent()))
    except OSError as error:
        raise KernelError(f"there is no folder for the kernel's sockets: {error}") from error


def note_process(folder: Path, pid: int) -> None:
    """Which process it is the folder of."""
    (folder / _PID).write_text(str(pid))


def note_ready(folder: Path) -> None:
    """From here on the kernel may outlive its supervisor, and be found again."""
    (folder / _READY).touch()


def _parent() -> Path:
    """The temporary folder, else /tmp: the name of a Unix socket has room for some 100 bytes, and
    what a role's files say of their place has to be read as it is.

    Not XDG_RUNTIME_DIR, which goes away with its user's last login: the kernel stays.
    """
    candidate = tempfile.gettempdir()
    fits = len(os.fsencode(candidate)) <= _ROOM and _PLAIN.fullmatch(candidate)
    if fits and os.access(candidate, os.W_OK):
        return Path(candidate)
    return Path("/tmp")  # noqa: S108  mkdtemp makes it 0700


def sweep() -> None:
    """Remove what processes that are dead have left of theirs: one that was killed can't."""
    for left in _parent().glob("nbrun-kernel-*"):
        with suppress(OSError):
            if _is_abandoned(left):
                shutil.rmtree(left, ignore_errors=True)


def _is_abandoned(folder: Path) -> bool:
    """Made by this module for this user's process that is gone, holding nothing else, and of no
    kernel that a run could be resumed with."""
    named = _NAME.fullmatch(folder.name)
    if named is None or folder.is_symlink() or folder.stat().st_uid != os.getuid():
        return False
    ours = all(_FILES.fullmatch(entry.name) for entry in folder.iterdir())
    return ours and not processes.exists(int(named[1])) and not _is_of_use(folder)


def _is_of_use(folder: Path) -> bool:
    """Whether its kernel is running. One that was never ready belongs to no run, and is ended."""
    try:
        pid = int((folder / _PID).read_text())
    except (OSError, ValueError):
        pid = 0
    runs = pid > 0 and processes.exists(pid) and processes.mentions(pid, folder.name)
    if runs and (folder / _READY).exists():
        return True
    if runs:
        processes.kill_group(pid)
    return not _is_cleared(folder, pid)


def _is_cleared(folder: Path, pid: int) -> bool:
    """Whether nothing is left of it with another user; this user may not be allowed to see to it
    any more."""
    try:
        lodged = runtime_dir.of(folder)
        if isinstance(lodged, runtime_dir.Away):
            lodged.clear(pid)
    except (SudoError, KernelError):
        return False
    return True
