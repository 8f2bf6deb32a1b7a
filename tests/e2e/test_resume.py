"""Resuming after the supervisor is killed: no step runs again unasked."""

import os
import signal

import pytest

from nbrun.core import events as ev
from nbrun.system import processes
from tests.e2e.test_detach import REASON, WAITING_CELL, effects, release_step
from tests.support.build_notebooks import code
from tests.support.terminal import Desk, Terminal, is_gone, kernels, wait_until

LEAVES = "__import__('subprocess').Popen(['sleep', '607'], start_new_session=True) and None"
LAST = "print('kept:', kept); print('the' + ' end')"


def steps() -> list[object]:
    return [
        code("kept = 41; made = 1", id="first"),
        code(WAITING_CELL, id="work"),
        code(LAST, id="last"),
    ]


def kill_in_step(desk: Desk, *cells: object) -> None:
    """Kill the supervisor in the step `work`, after its effect is in the file."""
    desk.book(*(cells or steps()))  # type: ignore[arg-type]
    terminal = desk.start()
    terminal.until("at work")
    desk.kill_supervisor()
    assert terminal.wait() == 6
    assert "the run's supervisor is gone" in terminal.text()


def kill_kernel(desk: Desk) -> None:
    pid = desk.kernel()
    os.killpg(pid, signal.SIGKILL)
    wait_until(lambda: is_gone(pid))


def test_run_killed_in_a_step_is_recorded_as_interrupted_once(desk: Desk) -> None:
    kill_in_step(desk)
    listed = desk.command("runs")
    assert "interrupted, its kernel is still alive" in listed.stdout
    assert [event.step for event in desk.events(ev.AttemptIndeterminate)] == ["work"]
    kill_kernel(desk)
    assert "alive" not in desk.command("runs").stdout
    assert len(desk.events(ev.RunInterrupted)) == 1
    assert effects(desk) == ["work"]


@pytest.mark.sweep
def test_resume_follows_a_running_kernel_to_its_end(desk: Desk) -> None:
    kill_in_step(desk)
    terminal = desk.open("resume", "--plain", "--reason", "the host is back")
    terminal.until("the kernel is still there, with its variables")
    assert "at work" in terminal.text()  # what it printed until then
    release_step(desk)
    terminal.until("work is done")
    terminal.until("the kernel says: it ran to its end, without an error")
    terminal.answer("did step 2 happen?", "happened")
    terminal.answer(REASON, "the kernel says so")
    terminal.until("kept: 41")
    assert terminal.wait() == 0
    assert b"\x1b" not in bytes(terminal.raw)
    assert effects(desk) == ["work"]
    assert desk.deviations() == []
    (settled,) = desk.events(ev.AttemptSettled)
    assert (settled.finding, settled.reason) == ("happened", "the kernel says so")
    assert desk.events(ev.KernelReattached)[0].gap > 0
    assert desk.events(ev.RunResumed)[0].reason == "the host is back"
    assert desk.events(ev.RunResumed)[0].boot_id == desk.events(ev.RunStarted)[0].boot_id != ""
    assert desk.attempts() == [("first", 1, "ok"), ("last", 1, "ok")]
    wait_until(lambda: not processes.is_kernel(kernels(desk.run)[0]))


@pytest.mark.sweep
def test_resumed_running_kernel_can_be_interrupted(desk: Desk) -> None:
    kill_in_step(desk)
    terminal = desk.open("resume")
    terminal.until("the kernel is still there")
    terminal.press("ctrl-c")
    terminal.until("the kernel says: it ended in KeyboardInterrupt")
    terminal.answer("did step 2 happen?", "not")
    terminal.answer(REASON, "")
    release_step(desk)
    terminal.answer("step 2>", "r")
    terminal.answer(REASON, "interrupted half way")
    terminal.until("kept: 41")
    assert terminal.wait() == 3
    assert effects(desk) == ["work", "work"]
    assert desk.deviations() == [("retried", "work")]


@pytest.mark.sweep
def test_resume_without_the_kernel_names_the_lost_variables(desk: Desk) -> None:
    kill_in_step(
        desk,
        code("kept = 41", id="first", tags=["setup"]),
        code(f"lost_name = 1; {LEAVES}", id="second"),
        code(WAITING_CELL, id="work"),
        code(LAST, id="last"),
    )
    kill_kernel(desk)
    terminal = desk.open("resume")
    terminal.until("(sleep 607), started by the kernel")
    (left,) = desk.events(ev.ProcessesLeft)
    assert left.step is None
    os.kill(left.processes[0].pid, signal.SIGKILL)
    terminal.answer("did step 3 happen?", "happened")
    terminal.answer(REASON, "seen on the host")
    terminal.until("lost with the old kernel: lost_name")
    terminal.until("STOPPED at step 4 of 4")
    terminal.answer("step 4>", "r")
    terminal.until("kept: 41")
    assert terminal.wait() == 3
    assert effects(desk) == ["work"]
    assert desk.deviations() == [("kernel_restarted", None)]
    assert desk.attempts() == [
        ("first", 1, "ok"),
        ("second", 1, "ok"),
        ("first", 2, "ok"),
        ("last", 1, "ok"),
    ]


@pytest.mark.parametrize("finding", ["not", pytest.param("unknown", marks=pytest.mark.sweep)])
def test_indeterminate_step_does_not_run_again_unasked(desk: Desk, finding: str) -> None:
    kill_in_step(desk)
    release_step(desk)
    terminal = desk.open("resume")
    terminal.answer("did step 2 happen?", "r")  # not before it is settled
    terminal.until("nobody saw end")
    terminal.answer("did step 2 happen?", finding)
    terminal.answer(REASON, "")
    terminal.prompted("step 2>")
    assert effects(desk) == ["work"]
    terminal.type("s")
    terminal.answer(REASON, "done by hand")
    assert terminal.wait() == 3
    assert effects(desk) == ["work"]
    assert desk.deviations() == [("skipped", "work")]


@pytest.mark.sweep
def test_run_killed_between_steps_resumes_without_questions(desk: Desk) -> None:
    desk.book(code("kept = 41; made = 1", id="first"), code(LAST, id="last"))
    terminal = desk.start("--step")
    terminal.answer("step 1>", "r")
    terminal.prompted("step 2>")
    desk.kill_supervisor()
    assert terminal.wait() == 1
    again = desk.open("resume")
    again.answer("step 2>", "g")
    again.until("kept: 41")
    assert again.wait() == 0
    assert desk.deviations() == []


@pytest.mark.sweep
def test_run_killed_five_times_can_be_finished(desk: Desk) -> None:
    kill_in_step(desk)
    for _ in range(4):
        terminal = desk.open("resume")
        terminal.until("the kernel is still there")
        desk.kill_supervisor()
        terminal.wait()
    release_step(desk)
    terminal = desk.open("resume")
    terminal.answer("did step 2 happen?", "happened")
    terminal.answer(REASON, "")
    terminal.until("kept: 41")
    assert terminal.wait() == 0
    assert effects(desk) == ["work"]
    assert len(desk.events(ev.RunResumed)) == 5
    assert len(desk.events(ev.AttemptIndeterminate)) == 1


@pytest.mark.sweep
def test_second_resume_at_the_same_time_is_refused(desk: Desk) -> None:
    kill_in_step(desk)
    first = desk.open("resume")
    first.until("the kernel is still there")
    second = desk.open("resume")
    assert second.wait() == 2
    assert "the run is in progress" in second.words()
    assert len(desk.events(ev.RunResumed)) == 1


@pytest.mark.sweep
def test_resumed_run_follows_the_recorded_runbook(desk: Desk) -> None:
    kill_in_step(desk)
    release_step(desk)
    desk.book(*steps()[:2], code("print('a new' + ' last step')", id="last"))  # type: ignore[arg-type]
    terminal = desk.open("resume")
    terminal.until("the runbook has changed since the run began")
    terminal.until("+print('a new' + ' last step')")
    settle(terminal)
    terminal.until("kept: 41")
    assert terminal.wait() == 0


@pytest.mark.sweep
def test_use_new_runbook_follows_the_file_and_the_policy(desk: Desk) -> None:
    """The policy that was read when the run began must allow it."""
    (desk.folder / "nbrun.toml").write_text("[policy]\nneed_reason = ['runbook_replaced']\n")
    kill_in_step(desk)
    release_step(desk)
    more = [code("print('more' + ' to do')", id="more"), code("print('a new' + ' end')", id="last")]
    changed = [code("changed_but_run = 1", id="first"), steps()[1]]
    desk.book(*changed, *more)  # type: ignore[arg-type]
    refused = desk.open("resume", "--use-new-runbook")
    assert refused.wait() == 2
    assert "a reason is needed: runbook_replaced; say it with --reason" in refused.words()
    terminal = desk.open("resume", "--use-new-runbook", "--reason", "the last step was wrong")
    settle(terminal)
    terminal.until("more to do")
    terminal.until("a new end")
    assert terminal.wait() == 3
    assert desk.deviations() == [("runbook_replaced", None)]
    assert desk.attempts() == [("first", 1, "ok"), ("more", 1, "ok"), ("last", 1, "ok")]
    cells = {cell.metadata.nbrun.step: cell.source for cell in desk.code_cells()}
    assert cells["first"] == "kept = 41; made = 1"


def settle(terminal: Terminal) -> None:
    terminal.answer("did step 2 happen?", "happened")
    terminal.answer(REASON, "")


@pytest.mark.sweep
def test_cancel_of_an_interrupted_run_ends_its_kernel(desk: Desk) -> None:
    kill_in_step(desk)
    kernel, socket = desk.kernel(), desk.run.joinpath("socket").readlink()
    assert desk.command("cancel", "last", "--reason", "given up").returncode == 0
    assert desk.finish().outcome == "cancelled"
    assert desk.finish().why.endswith("given up")
    wait_until(lambda: is_gone(kernel))
    assert desk.code_cells()[1].metadata.nbrun.outcome == "indeterminate"
    assert not desk.run.joinpath("socket").is_symlink()
    assert not socket.exists()
    refused = desk.open("resume")
    assert refused.wait() == 2


@pytest.mark.sweep
def test_ctrl_c_ends_an_unresponsive_kernel_on_resume(desk: Desk) -> None:
    kill_in_step(desk)
    kernel = desk.kernel()
    os.kill(kernel, signal.SIGSTOP)
    terminal = desk.open("resume")
    terminal.until("looking for its kernel")
    terminal.press("ctrl-c")
    terminal.until(lambda: "gave up waiting" in terminal.words())
    terminal.answer("did step 2 happen?", "unknown")
    terminal.answer(REASON, "")
    terminal.prompted("step 2>")
    assert is_gone(kernel)
    assert effects(desk) == ["work"]
