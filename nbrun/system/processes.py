"""Processes that another process started: whether they are there still, and a hold on one."""

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

MARK = "NBRUN_KERNEL"  # in the environment of a kernel, and so of what it starts: its folder
_EXEC = 0.2  # seconds that a process may be on its way into its program
UNSEEN = 256  # no process ends with this status: nobody saw how it ended
_UNIX98_PTY = 136  # the device number of every /dev/pts (Linux, devices.txt)


@dataclass(frozen=True)
class Relative:
    """A process that a kernel started, itself or through others. `began`: by the clock of `now`,
    which with `pid` tells it from a later process; `command`: the words of its command line."""

    pid: int
    began: float
    command: tuple[str, ...]


def now() -> float:
    """Seconds by the clock that `began` tells in: on Linux one that nobody sets."""
    boottime = getattr(time, "CLOCK_BOOTTIME", None)
    return time.time() if boottime is None else time.clock_gettime(boottime)


def began(pid: int) -> float:
    """When a process began, to a hundredth of a second. ProcessLookupError when there is none."""
    try:
        ticks = int(_stat(pid)[19])  # proc_pid_stat(5): starttime, the 22nd of all
    except FileNotFoundError:  # no such process, or no Linux
        try:
            return float(psutil.Process(pid).create_time())
        except psutil.Error:
            raise ProcessLookupError(pid) from None
    return ticks / os.sysconf("SC_CLK_TCK")


def relatives(kernel: KernelProcess, since: float) -> list[Relative]:
    """The processes begun at `since` or later that `kernel` started: those below it, in its group
    or its session, and those that left all of these but have its mark in their environment.

    Not found: one that another user's program started for it, or that left with an environment of
    its own before anybody looked.
    """
    return list(_young(since, lambda each: each.pid != kernel.pid and _is_of(each, kernel)))


def marked(kernel: KernelProcess) -> list[Relative]:
    """Those that have the mark of a kernel that may be gone, and its number another's."""
    return list(_young(0.0, lambda each: _is_marked(each, kernel)))


def is_there(relative: Relative) -> bool:
    """Whether it is running still."""
    try:
        return exists(relative.pid) and began(relative.pid) == relative.began
    except (ProcessLookupError, PermissionError):
        return False


def _young(since: float, wanted: Callable[[psutil.Process], bool]) -> Iterator[Relative]:
    for pid in psutil.pids():
        with suppress(psutil.Error, OSError):
            started = began(pid)
            if started < since - _TICK:
                continue
            process = psutil.Process(pid)
            if process.status() != psutil.STATUS_ZOMBIE and wanted(process):
                yield Relative(pid, started, tuple(process.cmdline() or [process.name()]))


_TICK = 0.02  # seconds: what a process's beginning may be rounded by


def _is_of(process: psutil.Process, kernel: KernelProcess) -> bool:
    number = kernel.pid
    if number in (os.getpgid(process.pid), os.getsid(process.pid)):
        return True
    return _is_marked(process, kernel) or any(each.pid == number for each in process.parents())


def _is_marked(process: psutil.Process, kernel: KernelProcess) -> bool:
    """An environment that may not be read says nothing."""
    with suppress(psutil.Error, OSError):
        return bool(process.environ().get(MARK) == str(Path(kernel.connection_file).parent))
    return False


def exists(pid: int) -> bool:
    """Whether there is such a process, and it has not ended."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def is_suspended(pid: int) -> bool:
    """Whether something has stopped the process (SIGSTOP, a debugger): it is there and does
    nothing, until it gets SIGCONT."""
    try:
        return psutil.Process(pid).status() in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)
    except psutil.Error:
        return False


def state_of(pid: int) -> str:
    """What the system says of it, in psutil's words: `running`, `sleeping`, `disk-sleep`, …"""
    try:
        return str(psutil.Process(pid).status())
    except psutil.Error:
        return "unknown"


def cpu_of(pid: int) -> float | None:
    """The seconds of processor time that it and those that it has waited for have used."""
    try:
        return float(sum(psutil.Process(pid).cpu_times()[:4]))
    except psutil.Error:
        return None


def is_kernel(process: KernelProcess) -> bool:
    """Whether the kernel that was started as `process` is running still. Another user's has a
    connection file of its own, in a folder that has the other's name in its own."""
    folder = Path(process.connection_file).parent.name
    return exists(process.pid) and mentions(process.pid, folder)


def mentions(pid: int, word: str) -> bool:
    """Whether `word` is a part of the process's command line, which tells it from a later process
    with the same number."""
    try:
        return any(word in argument for argument in _command_line(psutil.Process(pid)))
    except psutil.Error:
        return False


def _command_line(process: psutil.Process) -> list[str]:
    """What it was called with. Linux shows nothing for a moment, while execve(2) puts the new
    program in the old one's place: the parent of a vfork(2) goes on before that is over."""
    until = time.monotonic() + _EXEC
    while not (words := process.cmdline()) and time.monotonic() < until:
        time.sleep(0.001)
    return words


def terminal_of(pid: int) -> str | None:
    """The terminal that controls a process, such as `/dev/pts/3`; None without one.

    psutil keeps a list of terminals, which lacks those opened since.
    """
    try:
        return _terminal(int(_stat(pid)[4]))  # proc_pid_stat(5): tty_nr, the seventh of all
    except FileNotFoundError:  # no such process, or no Linux
        return _psutils_terminal(pid)
    except (OSError, ValueError, IndexError):
        return None


def _stat(pid: int) -> list[str]:
    """The fields of proc_pid_stat(5) behind the program's name, from the third on."""
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
    """End a process and those in its group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(os.getpgid(pid), signal.SIGKILL)


class Adopted:
    """A process that is not this one's child, with what Jupyter uses of subprocess.Popen.

    `send` sends it a signal where this user may not; `ended` gives the status that its parent saw
    it end with, None when nobody did.
    """

    stdin = stdout = stderr = None

    def __init__(
        self,
        pid: int,
        send: Callable[[int], object] | None = None,
        ended: Callable[[], int | None] = lambda: None,
    ) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._send = send or (lambda number: os.kill(pid, number))
        self._ended = ended
        self.is_foreign = send is not None

    def poll(self) -> int | None:
        if self.returncode is None and not exists(self.pid):
            status = self._ended()
            self.returncode = UNSEEN if status is None else status
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
