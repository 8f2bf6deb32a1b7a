"""The origin of a process: its program, its login, its ancestors, and the kernel it belongs to."""

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from nbrun.core.events import KernelProcess
from nbrun.system import processes

_LOGIN_UNSET = 2**32 - 1  # (uid_t) -1: no login, or no audit system (pam_loginuid(8))


def program_of(pid: int) -> str:
    """Return the path of the program that a process runs, after its name if that is another.

    The name is what the process calls itself, such as `nbrun (/usr/bin/python3.11)`. Linux shows
    the path to the process's own user and to root alone. Return an empty text if the process is
    gone.
    """
    try:
        process = psutil.Process(pid)
        name = process.name()
    except (psutil.Error, OSError):
        return ""
    with suppress(psutil.Error, OSError):
        if path := process.exe():
            return path if Path(path).name.startswith(name) else f"{name} ({path})"
    return name


def login_uid(pid: int) -> int | None:
    """Return the uid that the user of a process logged in as. Neither `su` nor `sudo` changes it.

    None if it is not set, as for system services and in most containers, or where the system has
    no such thing.
    """
    try:
        uid = int(Path(f"/proc/{pid}/loginuid").read_text("ascii"))
    except (OSError, ValueError):
        return None
    return None if uid == _LOGIN_UNSET else uid


def ancestor_uids(pid: int, own: int) -> tuple[int, ...]:
    """Return the real uids of the ancestors of a process, nearest first, each once.

    The uid `own` and root's are left out: every process comes from root's.
    """
    with suppress(psutil.Error, OSError):
        uids = (_real_uid(each) for each in psutil.Process(pid).parents())
        return tuple(dict.fromkeys(uid for uid in uids if uid not in (None, 0, own)))
    return ()


def _real_uid(process: psutil.Process) -> int | None:
    with suppress(psutil.Error):
        return int(process.uids().real)
    return None


@dataclass(frozen=True)
class _KnownKernel:
    """A kernel, and when its process started; None if the process was gone already."""

    kernel: KernelProcess
    start_time: float | None

    def is_alive(self) -> bool:
        started = processes.find_start_time(self.kernel.pid)
        return started is not None and started == self.start_time

    def owns(self, process: psutil.Process) -> bool:
        # Only while the kernel lives do its pid, its group and its session name no other process.
        if self.is_alive():
            return process.pid == self.kernel.pid or processes.is_of(process, self.kernel)
        return processes.is_marked(process, self.kernel)


class KernelFamily:
    """The kernels of one run, with all processes that they started.

    A process counts if it has a kernel of the run among its ancestors, is in its process group or
    its session, or has its mark in the environment. A process that a cell started on purpose
    without all of these is not recognized. Any thread may call the methods.
    """

    def __init__(self, kernels: Iterable[KernelProcess] = ()) -> None:
        self._known: list[_KnownKernel] = []
        for kernel in kernels:
            started = processes.find_start_time(kernel.pid)
            is_alive = processes.is_kernel(kernel)
            self._known.append(_KnownKernel(kernel, started if is_alive else None))

    def add(self, kernel: KernelProcess) -> None:
        """Add a kernel that has just started."""
        self._known.append(_KnownKernel(kernel, processes.find_start_time(kernel.pid)))

    def includes(self, pid: int) -> bool:
        """Return True if the process belongs to the family.

        Raises:
            ProcessLookupError: there is no such process any more.
        """
        try:
            process = psutil.Process(pid)
            return any(each.owns(process) for each in list(self._known))
        except (psutil.NoSuchProcess, ProcessLookupError):
            raise ProcessLookupError(pid) from None
        except (psutil.Error, OSError):  # it may not be examined: it is another user's
            return False


def is_own_kernel(kernels: Iterable[KernelProcess]) -> bool:
    """Return True if this process was started by one of `kernels`."""
    family = KernelFamily(kernels)
    return family.includes(os.getpid())
