"""Attacks of a cell that plays its own run's operator."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbrun.core import decisions
from nbrun.core import events as ev
from nbrun.core.events import KernelProcess
from nbrun.engine.engine import SubmittedDecision
from nbrun.supervisor import admission
from nbrun.system.peer_credentials import Peer
from tests.support.build_events import begun, kernel_started
from tests.support.build_notebooks import code
from tests.support.kernel_process import as_recorded, start_kernel_process
from tests.support.served_run import TIMEOUT, ServedRun, receive_until
from tests.support.terminal import Desk

# Answers the gate of its own run as a follower, and then as the operator. It waits until the run
# stands at the gate, and prints what the supervisor replied to each.
ATTACK = """
import socket, sys, time
from pathlib import Path
run, = (path for path in Path(sys.argv[1]).iterdir() if path.is_dir())
while '"reason":"confirm"' not in (run / "journal.jsonl").read_text(): time.sleep(0.05)
for purpose in ("follow", "take_over"):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30)
        connection.connect(str((run / "socket").readlink()))
        try:
            connection.sendall(b'{"purpose":"%s"}\\n' % purpose.encode())
            connection.sendall(b'{"decision":"run","typed":"prod"}\\n')
        except OSError: pass
        print(purpose, connection.recv(4096).decode(), flush=True)
"""
CELL = """
import os, subprocess, sys
subprocess.Popen([sys.executable, '-c', {attack!r}, os.environ['NBRUN_RUNS_DIR']],
                 stdout=open('told', 'w'), start_new_session={away})
"""


@pytest.mark.sweep
@pytest.mark.parametrize("away", [False, True])
def test_cell_can_not_answer_the_gate_of_its_own_run(desk: Desk, away: bool) -> None:
    contract = {"confirm": "Drop?", "type": "prod", "impact": "destructive"}
    desk.book(
        code(CELL.format(attack=ATTACK, away=away), id="attack"),
        code("print('dropped')", id="drop", metadata={"nbrun": contract}),
    )
    terminal = desk.start()
    told = desk.folder / "told"
    terminal.until(lambda: told.exists() and "take_over" in told.read_text())
    replies = [line for line in told.read_text().splitlines() if line]
    assert len(replies) == 2
    assert all(admission.OF_KERNEL in reply for reply in replies)
    terminal.until(lambda: "a cell can't decide about its own run" in terminal.words())
    terminal.prompted("step 2>")
    refused = desk.events(ev.ConnectionRefused)
    assert [event.times for event in refused] == [1, 2]
    assert all("python" in event.operator.program for event in refused)
    assert refused[0].operator.pid not in (0, desk.kernel(), terminal.pid)
    assert desk.decisions() == []
    assert desk.printed("drop") == ""
    assert desk.command("cancel", "last").returncode == 0
    assert terminal.wait() == 5
    (attached,), (decided,) = desk.events(ev.OperatorAttached), desk.events(ev.Decided)
    assert attached.operator.pid == terminal.pid
    assert decided.decision == "cancel"
    assert decided.operator.pid not in (0, terminal.pid)
    assert "python" in decided.operator.program


@pytest.mark.sweep
def test_cell_can_not_cancel_its_own_run_by_command(desk: Desk) -> None:
    """The program inherits the kernel's mark, also when its parents are gone."""
    script = f"{sys.executable} -m nbrun cancel last >told 2>&1; echo ended >>told"
    told = desk.folder / "told"
    desk.book(
        code(
            f"import subprocess\nsubprocess.run(['setsid', '-f', 'sh', '-c', {script!r}])",
            id="cancel",
        ),
        code(
            "import os, time\n"
            "while not os.path.exists('told') or 'ended' not in open('told').read():\n"
            "    time.sleep(0.05)",
            id="wait",
        ),
    )
    ended = desk.unattended()
    assert ended.returncode == 0, ended.stdout
    assert admission.OF_KERNEL in " ".join(told.read_text().split())
    assert len(desk.events(ev.ConnectionRefused)) == 1


# ── The kinds of processes ───────────────────────────────────────────────────────────────────

CONNECT = """
import socket, sys
connection = socket.socket(socket.AF_UNIX)
connection.settimeout(30)
connection.connect(sys.argv[1])
try: connection.sendall(b'{"purpose":"operate"}\\n')
except OSError: pass
print(connection.recv(4096).decode(), end="")
"""


class Shell:
    """A process in a kernel's place: a shell that runs clients of the run."""

    def __init__(self, run: ServedRun, folder: Path) -> None:
        (folder / "client.py").write_text(CONNECT)
        self._client = f"{sys.executable} {folder}/client.py {run.directory.socket.readlink()}"
        self.process = start_kernel_process(["/bin/sh"], folder)
        self.known = as_recorded(self.process, folder)

    def types(self, command: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(command.format(client=self._client) + "\n")
        self.process.stdin.flush()

    def reply(self) -> str:
        """Return what the client printed."""
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def shell(run: ServedRun, tmp_path: Path) -> Iterator[Shell]:
    made = Shell(run, tmp_path)
    run.record([begun()[0], kernel_started(process=made.known)])
    yield made
    made.close()


@pytest.mark.parametrize(
    "command",
    ["{client}", "env -i {client}", "setsid env -i {client}", "setsid -f {client}"],
    ids=["child", "child without environment", "child in own session", "orphan in own session"],
)
def test_process_of_kernel_is_refused_however_it_detaches(
    run: ServedRun, shell: Shell, command: str
) -> None:
    shell.types(command)
    assert admission.OF_KERNEL in shell.reply()
    refused = run.next_in_inbox()
    assert isinstance(refused, ev.ConnectionRefused)
    assert refused.operator.uid == os.getuid()


def test_process_of_ended_kernel_is_refused_by_its_mark(run: ServedRun, shell: Shell) -> None:
    waits = f"while kill -0 {shell.known.pid} 2>/dev/null; do sleep 0.01; done"
    shell.types(f"setsid -f sh -c '{waits}; exec {{client}}'\nexit")
    shell.process.wait(TIMEOUT)
    assert admission.OF_KERNEL in shell.reply()
    assert isinstance(run.next_in_inbox(), ev.ConnectionRefused)


def test_pid_of_an_ended_kernel_may_be_the_operators_by_now(run: ServedRun) -> None:
    ended = KernelProcess(pid=os.getpid(), connection_file="/tmp/nbrun-kernel-gone/kernel.json")
    run.server._admission = admission.Admission([ended], is_shared=False)
    assert run.connect().operator.pid == os.getpid()


def test_process_that_passed_its_connection_on_and_ended_is_refused() -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    rules = admission.Admission(is_shared=False)
    assert rules.process_refusal(Peer(pid=ended.pid, uid=os.getuid())) == admission.ENDED


def test_operator_is_not_kept_out_by_a_cell_that_keeps_connecting(
    run: ServedRun, shell: Shell
) -> None:
    shell.types("for each in $(seq 40); do {client}; done")
    for _ in range(40):
        assert admission.OF_KERNEL in shell.reply()
    assert run.connect().operator.uid == os.getuid()
    recorded = [run.next_in_inbox() for _ in range(7)]
    assert [each.times for each in recorded[:-1]] == [1, 2, 4, 8, 16, 32]  # type: ignore[attr-defined]
    assert isinstance(recorded[-1], ev.OperatorAttached)


# ── Decisions from a console that does not operate ───────────────────────────────────────────


@pytest.mark.parametrize(
    "decision",
    [
        decisions.Run(typed="prod"),
        decisions.Answer(text="yes"),
        decisions.Skip(),
        decisions.Insert(source="1"),
        decisions.AddNote(text="ok"),
        decisions.Interrupt(),
        decisions.KillKernel(),
    ],
)
def test_only_the_operating_console_decides(run: ServedRun, decision: decisions.Decision) -> None:
    run.record(begun())
    for times in (1, 2):
        follower = run.connect("follow")
        follower.send(decision)
        receive_until(follower, lambda: follower.refused)  # noqa: B023  called at once
        assert "only the console that operates the run" in follower.refused
        refused = run.next_in_inbox()
        assert isinstance(refused, ev.DecisionRefused)
        assert (refused.times, refused.operator) == (times, follower.operator)
    third = run.connect("follow")
    third.send(decision)
    receive_until(third, lambda: third.refused)
    assert run.inbox.empty(), "the third is not recorded"


def test_owner_may_cancel_without_operating(run: ServedRun) -> None:
    run.record(begun())
    follower = run.connect("follow")
    for _ in range(10):
        follower.send(decisions.Cancel(reason="enough"))
    receive_until(follower, lambda: run.inbox.qsize() == 10)
    assert run.next_in_inbox() == SubmittedDecision(
        decisions.Cancel(reason="enough"), follower.operator
    )
