"""Approvals by several people, and approvals that expire, by real accounts of the machine."""

import pytest

from nbrun.core import events as ev
from tests.support.build_notebooks import code
from tests.support.shared_desk import SharedDesk
from tests.support.terminal import Terminal, wait_until


def waiting_run(desk: SharedDesk, **approve: object) -> Terminal:
    desk.book(code("print('dropped')", id="drop", metadata={"nbrun": {"approve": approve}}))
    terminal = desk.share()
    terminal.prompted("step 1>")
    return terminal


@pytest.mark.sweep
def test_step_runs_after_two_people_have_approved(shared_desk: SharedDesk) -> None:
    desk = shared_desk
    terminal = waiting_run(desk, min=2, within="1h")
    assert "needs the approvals of 2 other people, each given at most" in terminal.words()
    run, user = str(desk.run), desk.users.user
    first = desk.run_as(user, "approve", run, "--yes", "--reason", "looked")
    assert first.returncode == 0, first.stderr
    assert "approved; 1 of 2 approvals" in first.stdout
    terminal.until(f"1 of 2 approvals, by {user}; expires 20")
    again = desk.run_as(user, "approve", run, "--yes")
    assert again.returncode == 2
    assert f"{user} has approved this already" in again.stderr
    assert desk.printed("drop") == ""
    shown = desk.run_as("", "runs", "--runs-dir", str(desk.runs))
    assert "needs approval (1 of 2)" in " ".join(shown.stdout.split())
    second = desk.run_as("", "approve", run, "--yes")
    assert second.returncode == 0, second.stderr
    assert f"1 of 2 approvals, by {user}; expires 20" in " ".join(second.stdout.split())
    assert terminal.wait() == 0
    assert desk.printed("drop") == "dropped\n"
    assert [each.operator.name for each in desk.events(ev.ApprovalGranted)] == [user, "root"]


@pytest.mark.sweep
def test_approval_expires_before_the_step_starts(shared_desk: SharedDesk) -> None:
    desk = shared_desk
    terminal = waiting_run(desk, min=2, within="2s")
    assert desk.run_as(desk.users.user, "approve", str(desk.run), "--yes").returncode == 0
    wait_until(lambda: desk.events(ev.ApprovalExpired))
    terminal.until("the approval of step 1 by")
    (granted,), (expired,) = desk.events(ev.ApprovalGranted), desk.events(ev.ApprovalExpired)
    assert (expired.approver, expired.binding) == (granted.operator, granted.binding)
    assert desk.attempts() == []
    terminal.answer("step 1>", "c")
    terminal.answer("end the run here? [y/N]", "y")
    terminal.answer("go back):", "")
    assert terminal.wait() == 5
