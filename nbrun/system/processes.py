"""Processes that another process started: find them, check that they run, and signal them."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from nbrun.core.events import KernelProcess

# A variable of a kernel, which the processes that it starts inherit: the kernel's directory.
KERNEL_MARK = "NBRUN_KERNEL"
STATUS_UNKNOWN = 256  # an exit status that no process has: nobody saw how the process ended
_EXEC_TIMEOUT = 0.2  # seconds that execve(2) may take
_KILL_ROUNDS = 5
_TICK = 0.02  # seconds by which a start time may be rounded
_UNIX98_PTY = 136  # major device number of every /dev/pts (Linux, devices.txt)


@dataclass(frozen=True)
class Descendant:
    """A process that a kernel started, directly or through others.

    `start_time` is by the clock of `now`. With `pid`, it distinguishes the process from a later one
    of the same number. `command` has the words of its command line.
    """

    pid: int
    start_time: float
    command: tuple[str, ...]


def now() -> float:
    """Return the seconds of the clock of `start_time`. On Linux, nobody can set that clock."""
    boottime = getattr(time, "CLOCK_BOOTTIME", None)
    return time.time() if boottime is None else time.clock_gettime(boottime)


def start_time(pid: int) -> float:
    """Return when a process was started, to a hundredth of a second.

    Raises:
        ProcessLookupError: there is no such process.
    """
    try:
        ticks = int(_stat(pid)[19])  # proc_pid_stat(5): starttime, field 22
    except FileNotFoundError:  # no such process, or not Linux
        try:
            return float(psutil.Process(pid).create_time())
        except psutil.Error:
            raise ProcessLookupError(pid) from None
    return ticks / os.sysconf("SC_CLK_TCK")


def find_start_time(pid: int) -> float | None:
    """Return when a process was started; None if it is gone or may not be examined."""
    with suppress(ProcessLookupError, PermissionError):
        return start_time(pid)
    return None


def descendants(kernel: KernelProcess, since: float) -> list[Descendant]:
    """Return the processes that `kernel` started at `since` or later.

    They are below the kernel, in its process group or its session, or have its mark in their
    environment.

    Not found: a process that another user's program started on the kernel's behalf, and one that
    left all of these with an environment of its own before the first look.
    """
    return list(_started_since(since, lambda each: each.pid != kernel.pid and is_of(each, kernel)))


def marked_processes(kernel: KernelProcess) -> list[Descendant]:
    """Return the processes with the mark of `kernel`, whose own process may be gone.

    Only the mark counts: the kernel's process id may belong to another process by now.
    """
    return list(_started_since(0.0, lambda each: is_marked(each, kernel)))


def is_running(descendant: Descendant) -> bool:
    """Return True if the process, and not a later one of its number, is running."""
    return exists(descendant.pid) and find_start_time(descendant.pid) == descendant.start_time


def _started_since(since: float, wanted: Callable[[psutil.Process], bool]) -> Iterator[Descendant]:
    for pid in psutil.pids():
        with suppress(psutil.Error, OSError):  # it has ended meanwhile, or may not be examined
            started = start_time(pid)
            if started < since - _TICK:
                continue
            process = psutil.Process(pid)
            if process.status() != psutil.STATUS_ZOMBIE and wanted(process):
                yield Descendant(pid, started, tuple(process.cmdline() or [process.name()]))


def is_of(process: psutil.Process, kernel: KernelProcess) -> bool:
    """Return True if the running `kernel` started `process`, directly or through others."""
    number = kernel.pid
    if number in (os.getpgid(process.pid), os.getsid(process.pid)):
        return True
    return is_marked(process, kernel) or any(each.pid == number for each in process.parents())


def is_marked(process: psutil.Process, kernel: KernelProcess) -> bool:
    """Return True if the environment of `process` has the kernel's mark.

    False if this user may not read the environment.
    """
    with suppress(psutil.Error, OSError):
        return bool(process.environ().get(KERNEL_MARK) == str(Path(kernel.connection_file).parent))
    return False


def exists(pid: int) -> bool:
    """Return True if there is such a process, and it has not ended."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def is_suspended(pid: int) -> bool:
    """Return True if the process was stopped, by SIGSTOP or a debugger, and not continued."""
    try:
        return psutil.Process(pid).status() in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)
    except psutil.Error:
        return False


def state_of(pid: int) -> str:
    """Return the state of the process in psutil's words: `running`, `sleeping`, `disk-sleep`, …"""
    try:
        return str(psutil.Process(pid).status())
    except psutil.Error:
        return "unknown"


def cpu_of(pid: int) -> float | None:
    """Return the seconds of processor time of the process and the children it has waited for."""
    try:
        return float(sum(psutil.Process(pid).cpu_times()[:4]))
    except psutil.Error:
        return None


def is_kernel(process: KernelProcess) -> bool:
    """Return True if the kernel that was started as `process` is running.

    The arguments of its process must contain the name of its directory. A kernel of another user
    has a directory of its own, whose name contains that name.
    """
    folder = Path(process.connection_file).parent.name
    return exists(process.pid) and has_argument(process.pid, folder)


def has_argument(pid: int, text: str) -> bool:
    """Return True if an argument of the process contains `text`."""
    try:
        return any(text in argument for argument in _command_line(psutil.Process(pid)))
    except psutil.Error:
        return False


def _command_line(process: psutil.Process) -> list[str]:
    """Return the arguments of the process, after waiting for them if there are none yet.

    Linux shows none for a moment, while execve(2) replaces the program: the parent of a vfork(2)
    continues before that is over.
    """
    until = time.monotonic() + _EXEC_TIMEOUT
    while not (words := process.cmdline()) and time.monotonic() < until:
        time.sleep(0.001)
    return words


def terminal_of(pid: int) -> str | None:
    """Return the controlling terminal of a process, such as `/dev/pts/3`; None without one.

    psutil is only used where there is no /proc: its list of terminals lacks those opened since it
    was made.
    """
    try:
        return _terminal(int(_stat(pid)[4]))  # proc_pid_stat(5): tty_nr, field 7
    except FileNotFoundError:  # no such process, or not Linux
        return _psutils_terminal(pid)
    except (OSError, ValueError, IndexError):
        return None


def _stat(pid: int) -> list[str]:
    """Return the fields of proc_pid_stat(5) after the program's name, from field 3 on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _terminal(device: int) -> str | None:
    if device == 0:
        return None
    major, minor = os.major(device), os.minor(device)
    return f"/dev/pts/{minor}" if major == _UNIX98_PTY else f"terminal {major}:{minor}"


def _psutils_terminal(pid: int) -> str | None:
    try:
        return psutil.Process(pid).terminal()
    except psutil.Error:
        return None


def kill_group(pid: int) -> None:
    """Kill a process and its process group, if this user may."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(os.getpgid(pid), signal.SIGKILL)


def kill_family(pid: int, mark: tuple[str, str]) -> None:
    """Kill the process `pid`, which leads a session, and everything that it started.

    `mark` is a variable in its environment, with its value. The variable finds processes that left
    the session. Repeat until there is none: one may start another meanwhile.
    """
    for _ in range(_KILL_ROUNDS):
        kill_group(pid)
        found = [each for each in psutil.pids() if each != os.getpid() and _is_kin(each, pid, mark)]
        for each in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(each, signal.SIGKILL)
        if not found:
            return


def _is_kin(number: int, pid: int, mark: tuple[str, str]) -> bool:
    with suppress(psutil.Error, OSError):
        process = psutil.Process(number)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        name, value = mark
        return number == pid or os.getsid(number) == pid or process.environ().get(name) == value
    return False


class ProcessHandle:
    """A process that is not a child of this one, with what Jupyter uses of subprocess.Popen.

    `send` sends a signal to a process of another user. `exit_status` returns the status that the
    parent of the process saw, or None if nobody did.
    """

    stdin = stdout = stderr = None

    def __init__(
        self,
        pid: int,
        send: Callable[[int], object] | None = None,
        exit_status: Callable[[], int | None] = lambda: None,
    ) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._send = send or (lambda number: os.kill(pid, number))
        self._exit_status = exit_status
        self.is_foreign = send is not None

    def poll(self) -> int | None:
        if self.returncode is None and not exists(self.pid):
            status = self._exit_status()
            self.returncode = STATUS_UNKNOWN if status is None else status
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        deadline = None if timeout is None else time.monotonic() + timeout
        while (status := self.poll()) is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("kernel", timeout or 0.0)
            time.sleep(0.01)
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            self._send(number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)
