"""A record acts on nothing: what another user planted, or what came with a clone."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbrun.cli.commands.operate.cancel import cancel
from nbrun.core.events import KernelProcess, RemoteKernel
from nbrun.errors import ForeignRunError, NbrunError, NoSupervisorError
from nbrun.journal.reader import JournalReader
from nbrun.journal.start_marker import StartMarker
from nbrun.supervisor.listener import remove_stale_socket, supervisor_socket
from nbrun.supervisor.requests import ResumeRequest
from nbrun.supervisor.resume import open_run
from tests.support.build_events import kernel_died, run_finished
from tests.support.build_notebooks import code, notebook, write
from tests.support.fake_gateway import TOKEN, fake_gateway
from tests.support.planted_run import RUN, plan_of, plant
from tests.support.served_run import ServedRun
from tests.support.terminal import Desk


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder = tmp_path / "runs"
    folder.mkdir(mode=0o700)
    return folder


def try_to_cancel(runs: Path) -> str:
    """Cancel the planted run with and without `--foreign`, and return what nbrun says."""
    said = []
    for foreign in (False, True):
        try:
            cancel(RUN, runs, reason="", foreign=foreign)
        except NbrunError as error:
            said.append(str(error))
    return "\n".join(said)


def test_cancel_does_not_run_the_recorded_forwarding_command(runs: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    plant(runs, **plan_of(forward=("touch", str(ran))))
    said = try_to_cancel(runs)
    assert not ran.exists()
    assert "nbrun did not begin this run here" in said
    assert f"The record says to forward its lines to touch {ran}; your settings say nothing" in said


def test_cancel_does_not_run_the_sudo_program_beside_a_recorded_connection(
    runs: Path, tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    folder, ran = tmp_path / "clone", tmp_path / "ran"
    folder.mkdir()
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {ran}\n")
    program.chmod(0o755)
    note = {"user": "root", "python": str(program), "folder": "/tmp/clone"}
    (folder / "kernel.user").write_text(json.dumps(note))
    (folder / "kernel.json").write_text("{}")
    claimed = KernelProcess(pid=sleeper.pid, connection_file=str(folder / "kernel.json"))
    plant(runs, process=claimed)
    try_to_cancel(runs)
    assert not ran.exists()


def test_cancel_neither_removes_a_recorded_folder_nor_signals_a_recorded_process(
    runs: Path, tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    thesis = tmp_path / "clone" / "thesis.txt"
    thesis.parent.mkdir()
    thesis.write_text("years of work")
    claimed = KernelProcess(pid=sleeper.pid, connection_file=str(thesis.with_name("kernel.json")))
    plant(runs, process=claimed)
    said = try_to_cancel(runs)
    assert thesis.exists()
    assert sleeper.poll() is None
    assert "is not a kernel that nbrun started" in said


def test_cancel_leaves_the_target_of_a_socket_link(runs: Path, tmp_path: Path) -> None:
    directory, target = plant(runs), tmp_path / "target"
    target.write_text("precious")
    directory.socket.symlink_to(target)
    try_to_cancel(runs)
    assert target.exists()


def test_cancel_does_not_contact_a_socket_that_is_not_of_a_supervisor(
    runs: Path, tmp_path: Path
) -> None:
    directory = plant(runs)
    with tempfile.TemporaryDirectory(dir="/tmp") as folder, socket.socket(socket.AF_UNIX) as agent:
        agent.bind(f"{folder}/agent")
        agent.listen()
        agent.setblocking(False)
        directory.socket.symlink_to(f"{folder}/agent")
        try_to_cancel(runs)
        with pytest.raises(BlockingIOError):
            agent.accept()
        assert Path(folder, "agent").exists()


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process of the victim, whose arguments contain the name of the folder `clone`."""
    command = [sys.executable, "-c", "import sys; sys.stdin.read()", str(tmp_path / "clone")]
    made = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    yield made
    made.send_signal(signal.SIGKILL)
    made.wait()
    assert made.stdin is not None
    made.stdin.close()
    assert os.getpid() != made.pid


def test_socket_of_a_supervisor_is_contacted_by_its_link(run: ServedRun) -> None:
    assert supervisor_socket(run.directory.socket) == run.directory.socket.readlink()
    run.connect("follow").close()


@pytest.mark.parametrize("name", ["nbrun-0/0123456789abcdef.sock", "nbrun-0/x.sock", "x/y"])
def test_link_to_anything_but_an_own_socket_is_refused(tmp_path: Path, name: str) -> None:
    target, link = tmp_path / name, tmp_path / "socket"
    target.parent.mkdir(mode=0o700)
    target.write_text("precious")
    link.symlink_to(target)
    with pytest.raises(NoSupervisorError, match="not the socket of the run's supervisor"):
        supervisor_socket(link)
    remove_stale_socket(link)
    assert target.exists()
    assert not link.is_symlink()


def test_clone_is_resumed_only_with_foreign_and_by_own_settings(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    key, ran = tmp_path / "key", tmp_path / "ran"
    forged = plan_of(forward=("touch", str(ran)), sign=str(key), group="root")
    directory = plant(runs, **forged, runbook=str(tmp_path / "r.ipynb"), cwd=str(tmp_path))
    with pytest.raises(ForeignRunError, match="nbrun did not begin this run here") as refused:
        open_run(directory, ResumeRequest(directory=directory.path))
    assert f"The record says to sign it with {key}; your settings say nothing" in str(refused.value)
    (tmp_path / "config" / "nbrun").mkdir(parents=True)
    (tmp_path / "config" / "nbrun" / "nbrun.toml").write_text("[journal]\nforward = 'syslog'\n")
    opened = open_run(directory, ResumeRequest(directory=directory.path, foreign=True))
    opened.writer.close()
    policy = opened.plan.policy
    assert (policy.forward, policy.sign, policy.group) == (("syslog",), "", "")


@pytest.mark.parametrize("is_lost", [False, True])
def test_planted_gateway_gets_no_token_and_no_kernel_of_mine_is_ended(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_lost: bool
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("JUPYTER_GATEWAY_AUTH_TOKEN", TOKEN)
    book = write(tmp_path, notebook(code()))
    with fake_gateway() as server:
        mine = RemoteKernel(gateway=server.url, id="mine")
        lost = [kernel_died(may_run=True)] if is_lost else []
        plant(runs, *lost, runbook=str(book), cwd="", gateway=server.url, remote=mine)
        told = try_to_cancel(runs)
        assert f"its record says that the kernel is on {server.url}" in told
        (tmp_path / "config" / "nbrun").mkdir(parents=True)
        settings = f"[gateway]\nurl = '{server.url}'\ntoken = '@env:JUPYTER_GATEWAY_AUTH_TOKEN'\n"
        (tmp_path / "config" / "nbrun" / "nbrun.toml").write_text(settings)
        assert f"its record names the kernel mine on {server.url}" in try_to_cancel(runs)
        assert server.requests == []


def test_run_that_this_account_began_keeps_its_settings(runs: Path) -> None:
    directory = plant(runs, **plan_of(forward=("true",)))
    StartMarker(RUN).receive(list(JournalReader(directory.journal)))
    opened = open_run(directory, ResumeRequest(directory=directory.path))
    opened.writer.close()
    assert opened.plan.policy.forward == ("true",)


@pytest.mark.sweep
def test_unsent_lines_of_a_clone_are_not_forwarded_as_this_accounts(
    desk: Desk,
) -> None:
    desk.runs.mkdir(mode=0o700)
    clone = plant(desk.runs, run_finished())
    clone.unforwarded.touch(mode=0o600)
    desk.book(code("1"))
    sent = desk.folder / "sent"
    command = ["sh", "-c", f"echo $NBRUN_RUN >> {sent}; cat > /dev/null"]
    desk.configure(f"[journal]\nforward = {json.dumps(command)}\n")
    done = desk.unattended()
    assert done.returncode == 0, done.stdout + done.stderr
    (own,) = {path.name for path in desk.all_runs()} - {RUN}
    assert set(sent.read_text().split()) == {own}
