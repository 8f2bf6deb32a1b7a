"""A run is handed over between real accounts of the machine."""

import os
import subprocess
from collections.abc import Iterator

import pytest

from nbrun.core import events as ev
from tests.support.build_notebooks import code
from tests.support.shared_desk import SharedDesk
from tests.support.terminal import Terminal

ROLE = '[roles.dba]\nunix_user = "{user}"\n'
WHO = "import getpass; print('as', getpass.getuser())"


@pytest.fixture
def third(shared_desk: SharedDesk) -> Iterator[str]:
    """Return a third account, in the group of the operator."""
    name, group = f"nbh{os.getpid()}", shared_desk.users.operator
    subprocess.run(["useradd", "--create-home", "-G", group, name], check=True)
    yield name
    subprocess.run(["userdel", "--remove", name], check=True, capture_output=True)


def waiting_run(desk: SharedDesk, *options: str) -> Terminal:
    """Start a run that waits at its second step. By the role, its cells act as another user."""
    if "--role" in options:
        desk.configure(ROLE.format(user=desk.users.user))
    desk.book(code("x = 1", id="a", tags=["setup"]), code(WHO, id="b", metadata={"tags": []}))
    desk.give_to_operator()
    group = desk.users.operator
    terminal = desk.start("--operators", group, "--runs-dir", str(desk.runs), "--step", *options)
    terminal.answer("step 1>", "r")
    terminal.prompted("step 2>")
    return terminal


@pytest.mark.sweep
def test_run_is_handed_over_and_the_old_operator_only_watches(
    shared_desk: SharedDesk, third: str
) -> None:
    desk, owner = shared_desk, shared_desk.users.operator
    first = waiting_run(desk, "--role", "dba")
    run = str(desk.run)
    offered = desk.run_as(owner, "handover", run, "--to", third, "--reason", "my shift ends")
    assert offered.returncode == 0, offered.stderr
    brief = " ".join(offered.stdout.split())
    assert "open 2 " in brief
    assert "waits step 2 · step by step, since 20" in brief
    desk.nbrun = desk.command_of(third)
    desk.variables["HOME"] = str(desk.home_of(third))
    second = desk.open("attach", run)
    second.answer("accept this run, and operate it? [y/N]", "y")
    second.prompted("step 2>")
    first.until("has taken this run over")
    assert first.wait() == 8
    back = desk.run_as(owner, "handover", run, "--to", owner)
    assert back.returncode == 2
    assert "you may only follow this run" in back.stderr
    second.type("r")
    assert second.wait() == 0
    assert desk.printed("b") == f"as {desk.users.user}\n"
    (accepted,) = desk.events(ev.HandoverAccepted)
    assert accepted.operator.name == third
    assert [each.operator.name for each in desk.events(ev.Decided)] == [owner, third]


@pytest.mark.sweep
def test_run_whose_cells_act_as_its_owner_is_handed_over_once_approved(
    shared_desk: SharedDesk, third: str
) -> None:
    desk, owner, approver = shared_desk, shared_desk.users.operator, shared_desk.users.user
    first = waiting_run(desk)
    run = str(desk.run)
    offered = desk.run_as(owner, "handover", run, "--to", third, "--reason", "my shift ends")
    assert offered.returncode == 0, offered.stderr
    allows = f"will operate this run, and act as {owner} through its kernel"
    assert allows in " ".join(offered.stdout.split())
    assert f"nbrun approve {desk.run.name}" in offered.stdout
    first.until("step 2, waiting>")
    status = desk.run_as(owner, "status", run)
    assert allows in " ".join(status.stdout.split())
    by_receiver = desk.run_as(third, "approve", run, "--yes")
    assert by_receiver.returncode == 2
    assert f"this run is to be handed to {third}" in by_receiver.stderr
    desk.nbrun = desk.command_of(third)
    desk.variables["HOME"] = str(desk.home_of(third))
    early = desk.open("attach", run)
    assert early.wait() == 2
    assert "it is not offered to you: see nbrun watch" in early.words()
    given = desk.run_as(approver, "approve", run, "--yes")
    assert given.returncode == 0, given.stderr
    assert allows in " ".join(given.stdout.split())
    assert f"handover to {third}: approved" in " ".join(given.stdout.split())
    first.until(f"offered the run to {third}, as approved")
    second = desk.open("attach", run)
    second.answer("accept this run, and operate it? [y/N]", "y")
    second.answer("step 2>", "r")
    assert second.wait() == 0
    assert desk.printed("b") == f"as {owner}\n"
    told = desk.run_as(owner, "log", run)
    assert allows in " ".join(told.stdout.split())
    assert [each.operator.name for each in desk.events(ev.ApprovalGranted)] == [approver]
