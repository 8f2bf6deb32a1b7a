"""The approval of another person, by a second user of the machine through the run's socket."""

import grp
import os
import pwd
import shutil
import stat
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nbrun import decisions, run_directory
from nbrun import events as ev
from nbrun.commands import approve as command
from nbrun.errors import NbrunError
from nbrun.fold import fold
from nbrun.journal import Reading
from nbrun.link import SocketLink
from tests.build_notebooks import code
from tests.e2e.terminal import Desk

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root can be a second user")
NOBODY = pwd.getpwnam("nobody")
GROUP = grp.getgrgid(NOBODY.pw_gid).gr_name


@pytest.fixture
def desk() -> Iterator[Desk]:
    """A desk in a folder that other users can pass through, as pytest's own is not."""
    folder = Path(tempfile.mkdtemp(prefix="nbrun-shared-"))
    folder.chmod(0o711)
    made = Desk(folder)
    made.runs.mkdir(mode=0o711)
    made.runs.chmod(0o711)
    yield made
    made.close()
    shutil.rmtree(folder)


def as_nobody(act: Callable[[], Any]) -> str:
    """What `act` raises, or returns, in a process of the second user; everything is imported."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY.pw_gid)
            os.setuid(NOBODY.pw_uid)
            told = repr(act())
        except NbrunError as error:
            told = str(error)
        except BaseException as error:  # noqa: BLE001
            told = f"unexpected {error!r}: {traceback.format_exc()}"
        os.write(write_end, told.encode())
        os._exit(0)
    os.close(write_end)
    os.waitpid(child, 0)
    with os.fdopen(read_end) as file:
        return file.read()


def book(desk: Desk, **approve: Any) -> None:
    contract = {"approve": approve or True}
    desk.book(
        code("db = 'blue'", id="p", tags=["parameters"]),
        code("print('dropped', db)", id="drop", metadata={"nbrun": contract}),
    )


def approving(desk: Desk, reason: str = "seen") -> str:
    run = str(desk.run)
    return as_nobody(lambda: command.approve(run, desk.runs, reason=reason, yes=True))


def test_another_user_of_the_group_lets_a_step_run(desk: Desk) -> None:
    book(desk, group=GROUP)
    terminal = desk.start("-p", "db=green", "--group", GROUP)
    terminal.prompted("step 3>")
    assert f"needs the approval of another person, of the group {GROUP}" in terminal.words()
    terminal.type("r")
    terminal.until("needs an approval")
    run = str(desk.run)
    told = as_nobody(lambda: command.reject(run, desk.runs, reason="not yet"))
    assert told == "<ExitCode.COMPLETED: 0>"
    terminal.until("step 3 rejected by nobody")
    terminal.prompted("step 3>")
    assert approving(desk) == "<ExitCode.COMPLETED: 0>"
    assert terminal.wait() == 0
    assert desk.printed("drop") == "dropped green\n"
    (granted,) = desk.events(ev.ApprovalGranted)
    assert (granted.operator.uid, granted.operator.name) == (NOBODY.pw_uid, "nobody")
    assert (granted.step, granted.group, granted.reason) == ("drop", GROUP, "seen")
    assert [event.reason for event in desk.events(ev.ApprovalRejected)] == ["not yet"]
    assert not desk.finish().off_script


def test_who_is_not_in_the_group_approves_nothing(desk: Desk) -> None:
    book(desk, group="root")
    terminal = desk.start("--group", GROUP)
    terminal.prompted("step 2>")
    assert "nobody is not in the group root" in approving(desk)
    assert desk.events(ev.ApprovalGranted) == []


def test_the_operator_does_not_approve_their_own_run(desk: Desk) -> None:
    book(desk)
    terminal = desk.start()
    terminal.prompted("step 2>")
    ended = desk.command("approve", "last", "--yes")
    assert ended.returncode == 2
    assert "root has a hand in this run" in ended.stderr
    assert desk.events(ev.ApprovalGranted) == []


def test_a_run_that_is_shared_with_nobody_is_out_of_reach(desk: Desk) -> None:
    book(desk)
    terminal = desk.start()
    terminal.prompted("step 2>")
    assert stat.S_IMODE(desk.run.stat().st_mode) == 0o700
    assert "no run called" in approving(desk)


def test_a_guest_may_look_on_and_approve_and_no_more(desk: Desk) -> None:
    book(desk)
    terminal = desk.start("--group", GROUP)
    terminal.prompted("step 2>")
    directory = run_directory.RunDirectory(desk.run)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in desk.run.iterdir()}
    socket = directory.socket.resolve()
    assert stat.S_IMODE(desk.run.stat().st_mode) == 0o710
    assert modes["journal.jsonl"] == 0o640
    assert modes["runbook.ipynb"] == modes["supervisor.log"] == 0o600
    assert stat.S_IMODE(socket.stat().st_mode) == 0o660
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o710

    def operate() -> Any:
        return SocketLink(directory, "take_over")

    assert "only its own user can operate this run" in as_nobody(operate)

    def cancel() -> Any:
        link = SocketLink(directory, "follow")
        link.send(decisions.Cancel(reason="by a guest"))
        link.leave()
        return "sent"

    assert as_nobody(cancel) == "'sent'"
    terminal.answer("step 2>", "n still here")
    terminal.prompted("step 2>")
    assert desk.decisions() == []


def test_what_has_changed_since_it_was_shown_is_not_approved(desk: Desk) -> None:
    book(desk)
    terminal = desk.start("--group", GROUP)
    terminal.prompted("step 2>")
    directory = run_directory.RunDirectory(desk.run)
    step = fold(record.event for record in Reading(directory.journal)).current
    assert step is not None
    stale = decisions.Approve(binding="0" * 64)
    told = as_nobody(lambda: command._said(directory, stale, step))
    assert "have changed since you looked" in told


def test_with_nobody_there_to_wait_the_run_ends_before_the_step(desk: Desk) -> None:
    book(desk)
    ended = desk.unattended("--yes", "--yes-destructive")
    assert ended.returncode == 4
    assert "waits for an approval, and nobody was there to decide" in ended.stdout
    assert desk.printed("drop") == ""


@pytest.mark.parametrize("group", ["no-such-group", "a b"])
def test_a_group_that_there_is_not_starts_nothing(desk: Desk, group: str) -> None:
    book(desk)
    ended = desk.unattended("--group", group)
    assert ended.returncode == 2
    assert "there is no such group" in ended.stderr
    assert list(desk.runs.iterdir()) == []
