"""Processes that another process started: recognition, handles and terminals."""

import os
import signal
import subprocess
import sys

import pexpect
import psutil
import pytest

from nbrun.core.events import KernelProcess
from nbrun.system import processes
from nbrun.system.processes import ProcessHandle

WAITING_COMMAND = [sys.executable, "-c", "import sys; sys.stdin.read()", "/tmp/k/kernel.json"]


def test_process_is_recognized_by_its_arguments() -> None:
    with subprocess.Popen(WAITING_COMMAND, stdin=subprocess.PIPE) as process:
        here = KernelProcess(pid=process.pid, connection_file="/tmp/k/kernel.json")
        assert processes.is_kernel(here)
        assert not processes.is_kernel(
            KernelProcess(pid=process.pid, connection_file="/tmp/other/kernel.json")
        )
        process.kill()
        while processes.exists(process.pid):  # a zombie counts as ended
            pass
        assert not processes.is_kernel(here)


def test_arguments_are_awaited_during_exec(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = iter([[], [], ["python", "/tmp/k/kernel.json"]])
    monkeypatch.setattr(psutil.Process, "cmdline", lambda _process: next(shown))
    assert processes.has_argument(os.getpid(), "/tmp/k/kernel.json")


def test_process_handle_behaves_like_a_child() -> None:
    with subprocess.Popen(WAITING_COMMAND, stdin=subprocess.PIPE) as process:
        handle = ProcessHandle(process.pid)
        assert handle.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            handle.wait(timeout=0.05)
        handle.send_signal(signal.SIGKILL)
        assert handle.wait(timeout=30) == processes.STATUS_UNKNOWN
        handle.kill()  # no effect on an ended process


def test_process_handle_uses_the_given_functions() -> None:
    with subprocess.Popen(WAITING_COMMAND, stdin=subprocess.PIPE) as process:
        handle = ProcessHandle(process.pid, send=process.send_signal, exit_status=lambda: -9)
        handle.kill()
        assert handle.wait(timeout=30) == -9


def test_terminal_of_a_process_is_that_of_the_system() -> None:
    assert processes.terminal_of(2**22 + 1) is None
    child = pexpect.spawn(
        sys.executable, ["-c", "import os, sys; print(os.ttyname(0)); sys.stdin.read()"]
    )
    child.expect_exact("/dev/")
    assert processes.terminal_of(child.pid) == f"/dev/{child.readline().decode().strip()}"
    child.close(force=True)
