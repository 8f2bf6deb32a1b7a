"""A supervisor in a process of its own: it takes an order, declines it, or ends without one."""

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


def test_what_is_wrong_with_an_order_comes_back_as_it_was_said(tmp_path: Path) -> None:
    spawned = spawn()
    spawned.send(StartRequest(runbook=tmp_path / "nowhere.ipynb", attended=False))
    with pytest.raises(DeclinedError, match="no such file") as raised:
        spawned.wait_until_started()
    assert raised.value.exit_code is ExitCode.USAGE
    assert spawned.process.wait(30) == 2


def test_a_run_that_is_none_is_not_resumed(tmp_path: Path) -> None:
    spawned = spawn()
    spawned.send(ResumeRequest(directory=tmp_path))
    with pytest.raises(DeclinedError, match="can't open the journal"):
        spawned.wait_until_started()


def test_one_that_is_given_no_order_ends_by_itself() -> None:
    spawned = spawn()
    assert spawned.process.stdin is not None
    spawned.process.stdin.close()
    assert spawned.process.wait(30) == 0


def test_one_that_can_not_even_begin_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spawning.sys, "executable", "/bin/false")
    spawned = spawn()
    spawned.send(StartRequest(runbook=Path("x"), attended=False))
    with pytest.raises(NbrunError, match="ended before the run began"):
        spawned.wait_until_started()


INTERRUPTED = """
import sys
from pathlib import Path
from nbrun.supervisor.spawn import spawn
from nbrun.supervisor.requests import StartRequest
spawned = spawn()
spawned.send(StartRequest(runbook=Path(sys.argv[1]), attended=True))
try:
    print(spawned.process.pid, flush=True)
    spawned.wait_until_started()
except KeyboardInterrupt:
    try:
        spawned.terminate()
    except KeyboardInterrupt:
        print("given up", spawned.process.wait(30) != 0)
"""


def test_ctrl_c_before_the_run_begins_leaves_no_supervisor_to_run_it(tmp_path: Path) -> None:
    never = tmp_path / "never.ipynb"
    os.mkfifo(never)  # whoever reads it waits
    asked = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(never)], stdout=subprocess.PIPE, text=True
    )
    assert asked.stdout is not None
    pid = int(asked.stdout.readline())
    asked.send_signal(signal.SIGINT)
    assert asked.stdout.read() == "given up True\n"
    assert asked.wait(30) == 0
    assert not processes.exists(pid)


DEAF_ONCE = """
import signal, sys
heard = []
signal.signal(signal.SIGTERM, lambda *_: sys.exit(130) if heard else heard.append(1))
print("ready", file=sys.stderr, flush=True)
while True:
    signal.pause()
"""


def test_a_signal_that_was_lost_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spawning, "_SIGTERM_INTERVAL", 0.05)
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        [sys.executable, "-c", DEAF_ONCE], stdin=pipe, stdout=pipe, stderr=pipe
    )
    assert process.stderr is not None
    process.stderr.readline()
    with pytest.raises(KeyboardInterrupt):
        SupervisorProcess(process).terminate()
    assert process.wait(30) == 130


def test_it_is_in_a_session_of_its_own() -> None:
    spawned = spawn()
    assert os.getsid(spawned.process.pid) == spawned.process.pid
    assert spawned.process.stdin is not None
    spawned.process.stdin.close()
    spawned.process.wait(30)
