"""Supervisor processes: they accept or decline a request, or exit without one."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nbrun.errors import ExitCode, NbrunError
from nbrun.supervisor import spawn as spawning
from nbrun.supervisor.requests import ResumeRequest, StartRequest
from nbrun.supervisor.spawn import DeclinedError, SupervisorProcess, spawn
from nbrun.system import processes


def test_declined_request_raises_the_supervisors_message(tmp_path: Path) -> None:
    supervisor = spawn()
    supervisor.send(StartRequest(runbook=tmp_path / "nowhere.ipynb", attended=False))
    with pytest.raises(DeclinedError, match="no such file") as raised:
        supervisor.wait_until_started()
    assert raised.value.exit_code is ExitCode.USAGE
    assert supervisor.process.wait(30) == 2


def test_resume_of_a_directory_without_a_run_is_declined(tmp_path: Path) -> None:
    supervisor = spawn()
    supervisor.send(ResumeRequest(directory=tmp_path))
    with pytest.raises(DeclinedError, match="can't open the journal"):
        supervisor.wait_until_started()


def test_supervisor_exits_when_stdin_closes_without_a_request() -> None:
    supervisor = spawn()
    assert supervisor.process.stdin is not None
    supervisor.process.stdin.close()
    assert supervisor.process.wait(30) == 0


def test_supervisor_that_cannot_start_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spawning.sys, "executable", "/bin/false")
    supervisor = spawn()
    supervisor.send(StartRequest(runbook=Path("x"), attended=False))
    with pytest.raises(NbrunError, match="ended before the run began"):
        supervisor.wait_until_started()


INTERRUPTED = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it at first
from pathlib import Path
from nbrun.supervisor.spawn import spawn
from nbrun.supervisor.requests import StartRequest
supervisor = spawn()
supervisor.send(StartRequest(runbook=Path(sys.argv[1]), attended=True))
try:
    print(supervisor.process.pid, flush=True)
    supervisor.wait_until_started()
except KeyboardInterrupt:
    try:
        supervisor.terminate()
    except KeyboardInterrupt:
        print("terminated", supervisor.process.wait(30) != 0)
"""


def test_ctrl_c_before_the_run_begins_ends_the_supervisor(tmp_path: Path) -> None:
    never = tmp_path / "never.ipynb"
    os.mkfifo(never)  # opening it for reading blocks
    starter = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(never)], stdout=subprocess.PIPE, text=True
    )
    assert starter.stdout is not None
    pid = int(starter.stdout.readline())
    starter.send_signal(signal.SIGINT)
    assert starter.stdout.read() == "terminated True\n"
    assert starter.wait(30) == 0
    assert not processes.exists(pid)


IGNORES_FIRST_SIGTERM = """
import signal, sys
received = []
signal.signal(signal.SIGTERM, lambda *_: sys.exit(130) if received else received.append(1))
print("ready", file=sys.stderr, flush=True)
while True:
    signal.pause()
"""


def test_terminate_repeats_a_lost_sigterm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spawning, "_SIGTERM_INTERVAL", 0.05)
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        [sys.executable, "-c", IGNORES_FIRST_SIGTERM], stdin=pipe, stdout=pipe, stderr=pipe
    )
    assert process.stderr is not None
    process.stderr.readline()
    with pytest.raises(KeyboardInterrupt):
        SupervisorProcess(process).terminate()
    assert process.wait(30) == 130


def test_supervisor_has_its_own_session() -> None:
    supervisor = spawn()
    assert os.getsid(supervisor.process.pid) == supervisor.process.pid
    assert supervisor.process.stdin is not None
    supervisor.process.stdin.close()
    supervisor.process.wait(30)
