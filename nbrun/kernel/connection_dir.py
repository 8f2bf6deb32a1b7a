"""The supervisor's directory for one kernel: its connection file, sockets and process id.

Only this user can enter it. It is removed when the kernel has ended.
"""

import os
import re
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from nbrun.core.events import KernelProcess
from nbrun.errors import KernelError, UnprovenKernelError
from nbrun.kernel import runtime_dir
from nbrun.kernel.jupyter_adapter import KernelspecFinder, python_for
from nbrun.system import processes, provenance
from nbrun.system.files import open_regular
from nbrun.system.ownership import owner_fault
from nbrun.system.sudo import SudoError

_LONGEST_PARENT = 60  # bytes of a path, which leave room for a socket's name (104 on macOS)
_NAME = re.compile(r"nbrun-kernel-(\d+)-\w{8}")  # the number is the supervisor's process id
_FILE_NAMES = re.compile(r"kernel.*|output|role\..*")
_PLAIN_PATH = re.compile(r"[A-Za-z0-9_./ -]+")  # needs only quotes in a config file
_PID_FILE, _STARTED_FILE, _READY_FILE = "kernel.pid", "kernel.started", "kernel.ready"
_LONGEST_NOTE = 1000  # bytes


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
    """Record that `pid` is the kernel's process, so that no later process is taken for it."""
    (folder / _STARTED_FILE).write_text(_started(pid))
    (folder / _PID_FILE).write_text(str(pid))  # alone: another version of nbrun sweeps by it


def _started(pid: int) -> str:
    """Return when the process was started, and in which boot; empty if that can't be seen."""
    try:
        return f"{processes.start_time(pid)} {provenance.boot_id()}"
    except OSError:  # it has ended, or /proc hides it
        return ""


def own_kernel(process: KernelProcess) -> Path:
    """Return the directory of a kernel that a record names, if nbrun made both for this user.

    A record can name anything. The directory must have the name, the place, the owner and the mode
    that `make` gives it, and must say that it started this very process.

    Raises:
        UnprovenKernelError: there is such a process, and it may be anything.
        KernelError: the process is gone.
    """
    if not processes.is_kernel(process):
        raise KernelError("its process is gone")
    path = Path(process.connection_file)
    fault = _fault(path.parent)
    pid, started = _recorded(path.parent)
    if not fault and not (pid == process.pid and started and started == _started(pid)):
        fault = f"{path.parent} does not say that this process is its kernel"
    if fault:
        raise UnprovenKernelError(
            f"the process {process.pid}, which the record names, is not a kernel that nbrun "
            f"started here: {fault}"
        )
    return path.parent


def _fault(folder: Path) -> str:
    """Return why `folder` is not a directory that `make` made, or an empty text if it is one."""
    if _NAME.fullmatch(folder.name) is None:
        return f"{folder} is not named as nbrun names it"
    if folder.parent.resolve() not in {_parent().resolve(), Path("/tmp").resolve()}:  # noqa: S108
        return (
            f"{folder} is not in the folder for temporary files, {_parent()}. If the run was "
            f"started with another one, set TMPDIR={folder.parent}"
        )
    fault = owner_fault(folder)
    if not fault and folder.lstat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):  # Jupyter adds 1000
        fault = f"others can enter {folder}"
    return fault


def _recorded(folder: Path) -> tuple[int, str]:
    """Return the process id that the directory names, and when that process was started."""
    try:
        pid = int(_note(folder / _PID_FILE))
    except ValueError:
        return 0, ""
    return pid, _note(folder / _STARTED_FILE)


def _note(path: Path) -> str:
    """Return the text of a file of the directory; empty if there is none that can be read."""
    try:
        with open_regular(path) as file:
            return file.read(_LONGEST_NOTE).decode("ascii")
    except (OSError, UnicodeDecodeError):
        return ""


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
    pid, started = _recorded(folder)
    # Without a time, another version of nbrun made the directory: its kernel is left alone.
    is_alive = pid > 0 and started in ("", _started(pid))
    is_alive = is_alive and processes.has_argument(pid, folder.name)
    if is_alive and (not started or (folder / _READY_FILE).exists()):
        return True
    if is_alive:
        processes.kill_group(pid)
    return not _clear_other_user(folder, pid)


def _is_kernel_python(_user: str, python: str) -> bool:
    """Return True if an installed kernel uses this program: nothing else is run by sudo."""
    return python in {python_for(name) for name in KernelspecFinder().find_kernel_specs()}


def _clear_other_user(folder: Path, pid: int) -> bool:
    """Clear another user's runtime directory. Return False if sudo does not allow it now."""
    try:
        directory = runtime_dir.find(folder, _is_kernel_python)
        if isinstance(directory, runtime_dir.OtherUserRuntimeDir):
            directory.clear(pid)
    except (SudoError, KernelError):
        return False
    return True
