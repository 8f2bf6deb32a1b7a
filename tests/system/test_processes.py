"""Processes that another process started."""

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

WAITS = [sys.executable, "-c", "import sys; sys.stdin.read()", "/tmp/k/kernel.json"]


def test_a_process_is_told_from_a_later_one_with_its_number() -> None:
    with subprocess.Popen(WAITS, stdin=subprocess.PIPE) as process:
        here = KernelProcess(pid=process.pid, connection_file="/tmp/k/kernel.json")
        assert processes.is_kernel(here)
        assert not processes.is_kernel(
            KernelProcess(pid=process.pid, connection_file="/tmp/other/kernel.json")
        )
        process.kill()
        while processes.exists(process.pid):  # a zombie has ended, though nobody has asked
            pass
        assert not processes.is_kernel(here)


def test_a_process_on_its_way_into_its_program_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = iter([[], [], ["python", "/tmp/k/kernel.json"]])
    monkeypatch.setattr(psutil.Process, "cmdline", lambda _process: next(shown))
    assert processes.has_argument(os.getpid(), "/tmp/k/kernel.json")


def test_an_adopted_process_is_held_as_a_child_would_be() -> None:
    with subprocess.Popen(WAITS, stdin=subprocess.PIPE) as process:
        adopted = ProcessHandle(process.pid)
        assert adopted.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            adopted.wait(timeout=0.05)
        adopted.send_signal(signal.SIGKILL)
        assert adopted.wait(timeout=30) == processes.STATUS_UNKNOWN
        adopted.kill()  # of one that is gone: nothing


def test_another_users_process_is_sent_signals_by_who_may_and_its_parent_saw_how_it_ended() -> None:
    with subprocess.Popen(WAITS, stdin=subprocess.PIPE) as process:
        adopted = ProcessHandle(process.pid, send=process.send_signal, exit_status=lambda: -9)
        adopted.kill()
        assert adopted.wait(timeout=30) == -9


def test_the_terminal_of_a_process_is_the_systems_word() -> None:
    assert processes.terminal_of(2**22 + 1) is None
    child = pexpect.spawn(
        sys.executable, ["-c", "import os, sys; print(os.ttyname(0)); sys.stdin.read()"]
    )
    child.expect_exact("/dev/")
    assert processes.terminal_of(child.pid) == f"/dev/{child.readline().decode().strip()}"
    child.close(force=True)
