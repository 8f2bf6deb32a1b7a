"""Processes that another process started: whether they are there still, and a hold on one."""

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil

from nbrun.events import KernelProcess

_EXEC = 0.2  # seconds that a process may be on its way into its program
_UNIX98_PTY = 136  # the device number of every /dev/pts (Linux, devices.txt)


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


def is_kernel(process: KernelProcess) -> bool:
    """Whether the kernel that was started as `process` is running still."""
    return exists(process.pid) and mentions(process.pid, process.connection_file)


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
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return _terminal(int(fields[4]))  # proc_pid_stat(5): tty_nr, the seventh of all
    except FileNotFoundError:  # no such process, or no Linux
        return _psutils_terminal(pid)
    except (OSError, ValueError, IndexError):
        return None


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
    """A process that is not this one's child, with what Jupyter uses of subprocess.Popen. How it
    ended nobody can tell."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None and not exists(self.pid):
            self.returncode = 0
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
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)
