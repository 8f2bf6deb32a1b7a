"""Approvals by a second user of the machine, through the run's socket."""

import grp
import importlib
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from nbrun.cli.commands.operate import approve as command
from nbrun.cli.main import app, main
from nbrun.core import decisions
from nbrun.core import events as ev
from nbrun.errors import NbrunError
from nbrun.journal import run_directory
from nbrun.journal.writer import is_locked
from nbrun.supervisor.client import SocketClient
from tests.support.build_notebooks import code
from tests.support.terminal import Desk

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root can be a second user")
NOBODY = pwd.getpwnam("nobody")
GROUP = grp.getgrgid(NOBODY.pw_gid).gr_name


@pytest.fixture
def desk() -> Iterator[Desk]:
    """A desk in a folder that other users can traverse, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="nbrun-shared-"))
    folder.chmod(0o711)
    made = Desk(folder)
    made.runs.mkdir(mode=0o711)
    made.runs.chmod(0o711)
    yield made
    made.close()
    shutil.rmtree(folder)


_AT_USE = (
    "nbrun.views.render.markdown",
    "pygments.lexers.diff",
    "pygments.lexers.python",
    "rich.syntax",
)


def printed_for_nobody(act: Callable[[], Any]) -> str:
    """Return what `act` prints in a process of the second user."""
    return as_nobody(act, shown=True)


def as_nobody(act: Callable[[], Any], *, shown: bool = False) -> str:
    """Return what `act` raises or returns in a process of the second user.

    With `shown`, the result begins with what `act` prints. The second user may not be able to
    read the checkout: modules are imported before the switch.
    """
    for name in _AT_USE:
        importlib.import_module(name)
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if shown:
                sys.stdout = os.fdopen(os.dup(write_end), "w")
            os.setgroups([])
            os.setgid(NOBODY.pw_gid)
            os.setuid(NOBODY.pw_uid)
            told = repr(act())
        except NbrunError as error:
            told = str(error)
        except BaseException as error:  # noqa: BLE001
            told = f"unexpected {error!r}: {traceback.format_exc()}"
        sys.stdout.flush()
        os.write(write_end, told.encode())
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as file:
        told = file.read()
    os.waitpid(child, 0)
    return told


def book(desk: Desk, **approve: Any) -> None:
    contract = {"approve": approve or True}
    desk.book(
        code("db = 'blue'", id="p", tags=["parameters"]),
        code("print('dropped', db)", id="drop", metadata={"nbrun": contract}),
    )


def approve_as_nobody(desk: Desk, reason: str = "seen") -> str:
    run = str(desk.run)
    return as_nobody(lambda: command.approve(run, desk.runs, reason=reason, yes=True))


def test_step_runs_after_a_group_member_approves(desk: Desk) -> None:
    book(desk, group=GROUP)
    terminal = desk.start("-p", "db=green", "--group", GROUP)
    terminal.prompted("step 3>")
    assert f"needs the approval of another person, of the group {GROUP}" in terminal.words()
    terminal.type("r")
    terminal.until("step 3 waits for an approval: see nbrun approve")
    run = str(desk.run)
    told = as_nobody(lambda: command.reject(run, desk.runs, reason="not yet"))
    assert told == "<ExitCode.COMPLETED: 0>"
    terminal.until("rejected by nobody")
    terminal.prompted("step 3>")
    assert approve_as_nobody(desk) == "<ExitCode.COMPLETED: 0>"
    assert terminal.wait() == 0
    assert desk.printed("drop") == "dropped green\n"
    (granted,) = desk.events(ev.ApprovalGranted)
    assert (granted.operator.uid, granted.operator.name) == (NOBODY.pw_uid, "nobody")
    assert (granted.step, granted.group, granted.reason) == ("drop", GROUP, "seen")
    assert [event.reason for event in desk.events(ev.ApprovalRejected)] == ["not yet"]
    assert not desk.finish().off_script


@pytest.mark.sweep
def test_edit_of_a_step_needs_its_own_approval(desk: Desk) -> None:
    """The approver sees the edited source."""
    book(desk)
    terminal = desk.start("--group", GROUP)
    desk.editor_does("s/dropped/renamed/")
    terminal.answer("step 2>", "e")
    terminal.answer("run this? [y/N]", "y")
    terminal.until("the decision waits until another person approves it")
    terminal.answer("go back):", "too broad")
    terminal.prompted("step 2, waiting>")
    assert "it needs the approval of another person: nbrun approve" in terminal.words()
    terminal.type("s")
    terminal.until("edit waits for an approval: withdraw it first")
    terminal.answer("step 2, waiting>", "w")
    terminal.answer("step 2>", "e")
    terminal.answer("run this? [y/N]", "y")
    terminal.answer("go back):", "too broad")
    terminal.prompted("step 2, waiting>")
    run = str(desk.run)
    shown = printed_for_nobody(lambda: command.approve(run, desk.runs, reason="", yes=True))
    told = {" ".join(line.split()) for line in shown.splitlines()}
    assert {"decision edit", "why too broad", "+print('renamed', db)"} <= told, shown
    assert terminal.wait() == 3
    assert desk.printed("drop") == "renamed blue\n"
    assert desk.decisions() == [("withdraw", ""), ("edit", "too broad")]
    assert desk.deviations() == [("edited", "drop")]
    proposed, granted = desk.events(ev.DecisionProposed)[-1], desk.events(ev.ApprovalGranted)[0]
    assert proposed.source == "print('renamed', db)"
    assert (granted.decision, granted.operator.uid) == ("edit", NOBODY.pw_uid)


@pytest.mark.sweep
def test_policy_approval_waits_while_the_operator_is_detached(desk: Desk) -> None:
    (desk.folder / "nbrun.toml").write_text(
        f"[policy]\nneed_approval = ['skipped']\nneed_reason = ['skipped']\napprovers = '{GROUP}'\n"
    )
    desk.book(code("1 / 0", id="bad"), code("print('after')", id="after"))
    terminal = desk.start("--group", GROUP)
    terminal.answer("step 1>", "s")
    terminal.answer("reason (required; Ctrl-C to go back):", "done by hand")
    terminal.answer("step 1, waiting>", "d")
    assert terminal.wait() == 8
    terminal = desk.open("attach", "--since-detach")
    terminal.until("waits for approval: root: skip step 1 (done by hand)")
    assert "needs the approval of another person" in terminal.words()
    terminal.answer("step 1, waiting>", "d")
    assert terminal.wait() == 8
    run = str(desk.run)
    rejected = as_nobody(lambda: command.reject(run, desk.runs, reason="look at it first"))
    assert rejected == "<ExitCode.COMPLETED: 0>"
    assert "nothing waits for an approval" in approve_as_nobody(desk)
    terminal = desk.open("attach")
    terminal.answer("step 1>", "s")
    terminal.answer("reason (required; Ctrl-C to go back):", "looked at")
    terminal.prompted("step 1, waiting>")
    assert approve_as_nobody(desk, "agreed") == "<ExitCode.COMPLETED: 0>"
    assert terminal.wait() == 3
    assert desk.printed("after") == "after\n"
    assert desk.decisions() == [("skip", "looked at")]
    (granted,) = desk.events(ev.ApprovalGranted)
    assert (granted.decision, granted.step, granted.group) == ("skip", "bad", GROUP)


def test_approval_from_outside_the_group_is_refused(desk: Desk) -> None:
    book(desk, group="root")
    terminal = desk.start("--group", GROUP)
    terminal.prompted("step 2>")
    assert "nobody is not in the group root" in approve_as_nobody(desk)
    assert desk.events(ev.ApprovalGranted) == []


@pytest.mark.sweep
def test_operator_cannot_approve_their_own_run(desk: Desk) -> None:
    book(desk)
    terminal = desk.start()
    terminal.prompted("step 2>")
    ended = desk.command("approve", "last", "--yes")
    assert ended.returncode == 2
    assert "root has a hand in this run" in ended.stderr
    assert desk.events(ev.ApprovalGranted) == []


def test_unshared_run_is_unreachable_for_other_users(desk: Desk) -> None:
    book(desk)
    terminal = desk.start()
    terminal.prompted("step 2>")
    assert stat.S_IMODE(desk.run.stat().st_mode) == 0o700
    assert "no run called" in approve_as_nobody(desk)


@pytest.mark.sweep
def test_guest_may_only_follow_and_approve(desk: Desk) -> None:
    book(desk)
    terminal = desk.start("--group", GROUP)
    terminal.prompted("step 2>")
    directory = run_directory.RunDirectory(desk.run)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in desk.run.iterdir()}
    socket = directory.socket.resolve()
    assert stat.S_IMODE(desk.run.stat().st_mode) == 0o710
    assert modes["journal.jsonl"] == 0o640
    assert modes["runbook.ipynb"] == 0o640
    assert modes["supervisor.log"] == 0o600
    assert stat.S_IMODE(socket.stat().st_mode) == 0o660
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o710

    def operate() -> Any:
        return SocketClient(directory, "take_over")

    assert "only its owner can operate this run" in as_nobody(operate)

    def cancel() -> Any:
        link = SocketClient(directory, "follow")
        link.send(decisions.Cancel(reason="by a guest"))
        link.detach()
        return "sent"

    assert as_nobody(cancel) == "'sent'"
    terminal.answer("step 2>", "n still here")
    terminal.prompted("step 2>")
    assert desk.decisions() == []


def test_approval_of_an_outdated_step_is_refused(desk: Desk) -> None:
    book(desk)
    terminal = desk.start("--group", GROUP)
    terminal.prompted("step 2>")
    directory = run_directory.RunDirectory(desk.run)
    stale = decisions.Approve(binding="0" * 64)
    told = as_nobody(lambda: command._send(directory, stale, "drop"))
    assert "has changed since you looked" in told


def test_unattended_run_ends_before_a_step_to_approve(desk: Desk) -> None:
    book(desk)
    ended = desk.unattended("--yes", "--yes-destructive")
    assert ended.returncode == 4
    assert "waits for an approval, and nobody was there to decide" in ended.stdout
    assert desk.printed("drop") == ""


@pytest.mark.parametrize("group", ["no-such-group", "a b"])
def test_invalid_group_starts_nothing(desk: Desk, group: str) -> None:
    book(desk)
    ended = desk.unattended("--group", group)
    assert ended.returncode == 2
    assert "there is no such group" in ended.stderr
    assert list(desk.runs.iterdir()) == []


# ── What a member of the group sees ──────────────────────────────────────────────────────────


def nbrun_as_nobody(*arguments: str) -> str:
    """Run nbrun as the second user; return what it prints, and its exit code."""

    def act() -> None:
        sys.argv = ["nbrun", *arguments]
        sys.stderr = sys.stdout
        try:
            main()
        except SystemExit as ended:
            sys.stdout.write(f"exit code {ended.code}\n")

    return as_nobody(act, shown=True)


@pytest.mark.sweep
def test_group_member_can_use_each_read_only_command(
    desk: Desk,
) -> None:
    """The folder for the runs is set up as docs/approve.md describes."""
    os.chown(desk.runs, -1, NOBODY.pw_gid)
    desk.runs.chmod(0o3770)
    key = desk.folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    signers = desk.folder / "allowed_signers"
    signers.write_text(f"ops@example.org {key.with_suffix('.pub').read_text()}")
    own = desk.folder / "own"
    own.mkdir()
    os.chown(own, NOBODY.pw_uid, NOBODY.pw_gid)
    book(desk)
    terminal = desk.start("--group", GROUP, "--sign", str(key))
    terminal.prompted("step 2>")
    assert "can't get to this run" not in terminal.words()
    run = desk.run.name
    runs = ("--runs-dir", str(desk.runs))
    everywhere = [
        ("runs", *runs),
        ("log", run, *runs),
        ("log", run, "--json", *runs),
        ("verify", run, "--allowed-signers", str(signers), *runs),
        ("export", run, str(own / "r.html"), "--html", *runs),
        ("export", run, str(own / "r.ipynb"), "--notebook", *runs),
        ("export", run, str(own / "r.md"), "--markdown", *runs),
    ]
    for arguments in everywhere:  # what they import and read is perhaps not theirs to
        CliRunner().invoke(app, arguments)
    importlib.import_module("nbrun.cli.commands.operate.watch")
    for path in own.iterdir():
        path.unlink()
    journal = desk.run / "journal.jsonl"
    assert as_nobody(lambda: is_locked(journal)) == "True", "watch would take it for interrupted"
    assert approve_as_nobody(desk) == "<ExitCode.COMPLETED: 0>"
    assert terminal.wait() == 0
    told = {arguments: nbrun_as_nobody(*arguments) for arguments in everywhere}
    assert not [each[-2000:] for each in told.values() if "exit code 0" not in each]
    _, _, told_log, told_verify, *_ = told.values()
    assert run in told[everywhere[0]]
    assert "SEALED" in told_verify
    assert "approval.granted" in told_log
    assert {path.name for path in own.iterdir()} == {"r.html", "r.ipynb", "r.md"}
    assert "dropped blue" in nbrun_as_nobody("watch", run, "--plain", *runs)
    refused = nbrun_as_nobody("export", run, "--html", *runs)
    assert "name the file to write" in refused
    readable = {path.name for path in desk.run.iterdir() if path.stat().st_mode & stat.S_IRGRP}
    assert readable - {"socket"} == {"journal.jsonl", "runbook.ipynb", "seals.jsonl"}
    assert not any(path.stat().st_mode & 0o007 for path in desk.run.iterdir())


def test_unreachable_folder_of_a_shared_run_is_reported(desk: Desk) -> None:
    desk.runs.chmod(0o700)
    desk.book(code("1", id="one"))
    ended = desk.unattended("--group", GROUP)
    assert f"the group {GROUP} can't get to this run: {desk.runs} does not let" in ended.stdout
