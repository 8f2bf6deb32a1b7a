"""Detaching and attaching: a run outlives its terminal, and waits at its next stop."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nbrun.core import events as ev
from tests.support.build_notebooks import code
from tests.support.terminal import TELL_PID, Desk, Terminal, is_gone, wait_until

REASON = "reason (Enter for none, Ctrl-C to go back):"

# Waits until `release_step`, and appends a line to a file each time that it runs.
WAITING_CELL = """import os, time
open('effects', 'a').write('work\\n')
print('at' + ' work', flush=True)
while not os.path.exists('go'): time.sleep(0.02)
print('work' + ' is done')"""
CHECK = "import os; assert os.path.exists('checked'), 'not yet'; print('che' + 'cked')"


def hang_up(terminal: Terminal) -> None:
    terminal.hang_up()


def kill(terminal: Terminal) -> None:
    terminal.signal(signal.SIGKILL)


def terminate(terminal: Terminal) -> None:
    terminal.signal(signal.SIGTERM)


def effects(desk: Desk) -> list[str]:
    return (desk.folder / "effects").read_text().splitlines()


def release_step(desk: Desk) -> None:
    (desk.folder / "go").touch()


def finish(desk: Desk, terminal: Terminal) -> None:
    """Create what the failed check needs, retry it, and follow the run to its end."""
    (desk.folder / "checked").touch()
    terminal.answer("step 2>", "r")
    terminal.answer(REASON, "")
    terminal.until("checked\n")
    assert terminal.wait() == 3


WAYS_TO_LOSE = [
    pytest.param(hang_up, id="hang_up"),
    pytest.param(kill, id="kill", marks=pytest.mark.sweep),
    pytest.param(terminate, id="terminate", marks=pytest.mark.sweep),
]


@pytest.mark.sweep
@pytest.mark.parametrize("lose", WAYS_TO_LOSE)
def test_run_waits_at_its_next_step_when_the_terminal_is_lost(desk: Desk, lose: object) -> None:
    desk.book(code(WAITING_CELL, id="work"), code(CHECK, id="check"))
    first = desk.start()
    first.until("at work")
    assert callable(lose)
    lose(first)
    wait_until(lambda: desk.events(ev.OperatorDetached))
    release_step(desk)
    wait_until(lambda: desk.events(ev.Stopped))
    again = desk.open("attach")
    again.until("STOPPED at step 2 of 2")
    assert "work is done" in again.text()  # from the beginning, and what came meanwhile
    assert effects(desk) == ["work"]
    assert desk.attempts() == [("work", 1, "ok")]  # the next step did not run unasked
    (desk.folder / "checked").touch()
    again.answer("step 2>", "r")
    assert again.wait() == 0
    assert desk.attempts() == [("work", 1, "ok"), ("check", 1, "ok")]


@pytest.mark.sweep
@pytest.mark.parametrize("lose", WAYS_TO_LOSE)
def test_run_continues_when_the_terminal_is_lost_at_a_prompt(desk: Desk, lose: object) -> None:
    desk.book(code("print('on' + 'ce')", id="once"), code(CHECK, id="check"))
    first = desk.start()
    first.prompted("step 2>")
    assert callable(lose)
    lose(first)
    wait_until(lambda: desk.events(ev.OperatorDetached))
    finish(desk, desk.open("attach"))
    assert desk.decisions() == [("retry", "")]


@pytest.mark.sweep
def test_attach_since_detach_shows_only_what_is_new(desk: Desk) -> None:
    desk.book(code("print('once' + ' only')", id="once"), code(CHECK, id="check"))
    first = desk.start()
    first.answer("step 2>", "d")
    first.until(f"nbrun attach {desk.run.name}")
    assert first.wait() == 8
    again = desk.open("attach", desk.run.name[-4:], "--since-detach")
    again.until("STOPPED at step 2 of 2")
    assert "once only" not in again.text()
    finish(desk, again)
    assert [event.why for event in desk.events(ev.OperatorDetached)] == ["you detached"]
    assert len(desk.events(ev.OperatorAttached)) == 2


@pytest.mark.sweep
def test_ctrl_backslash_detaches_from_a_running_step(desk: Desk) -> None:
    desk.book(code(WAITING_CELL, id="work"), code(CHECK, id="check"))
    first = desk.start()
    first.until("at work")
    first.press("ctrl-backslash")
    assert first.wait() == 8
    assert desk.attempts() == []
    release_step(desk)
    wait_until(lambda: desk.events(ev.Stopped))
    finish(desk, desk.open("attach"))


@pytest.mark.sweep
def test_second_operator_needs_take_over_which_is_recorded(desk: Desk) -> None:
    desk.book(code("print('on' + 'ce')", id="once"), code(CHECK, id="check"))
    first = desk.start()
    first.prompted("step 2>")
    second = desk.open("attach")
    assert second.wait() == 2
    assert "is attached to this run" in second.words()
    assert "/dev/pts/" in second.words()
    third = desk.open("attach", "--take-over")
    third.until("STOPPED at step 2 of 2")
    first.until("has taken this run over")
    assert first.wait() == 8
    finish(desk, third)
    (gone, *_) = desk.events(ev.OperatorDetached)
    assert "took over" in gone.why
    operators = [event.operator for event in desk.events(ev.OperatorAttached)]
    assert operators[0].via != operators[1].via
    assert {operator.uid for operator in operators} == {os.getuid()}


@pytest.mark.sweep
def test_stalled_watcher_delays_neither_run_nor_watchers(desk: Desk) -> None:
    desk.book(
        code(WAITING_CELL, id="work"),
        code("for n in range(50_000): print('line', n)", id="much"),
        code("print('the' + ' end')", id="last"),
    )
    first = desk.start()
    first.until("at work")
    watching, stalled = desk.open("watch"), desk.open("watch")
    watching.until("at work")
    stalled.until("at work")  # and is never read again
    release_step(desk)
    assert first.wait() == 0
    assert watching.wait() == 0
    assert "the end" in watching.text()
    assert desk.printed("much").count("\n") == 50_000
    assert all(event.operator.via for event in desk.events(ev.OperatorAttached))


@pytest.mark.sweep
def test_ctrl_c_ends_a_watch_and_not_the_run(desk: Desk) -> None:
    desk.book(code(WAITING_CELL, id="work"))
    first = desk.start()
    first.until("at work")
    watching = desk.open("watch")
    watching.until("at work")
    watching.press("ctrl-c")
    assert watching.wait() == 8
    release_step(desk)
    assert first.wait() == 0
    assert desk.attempts() == [("work", 1, "ok")]


@pytest.mark.sweep
def test_detached_start_runs_and_waits_at_a_failure(desk: Desk) -> None:
    desk.book(code("print('on' + 'ce')", id="once"), code(CHECK, id="check"))
    begun = desk.unattended("--detach")
    assert begun.returncode == 0
    assert begun.stdout == f"{desk.run.name}\n"
    wait_until(lambda: desk.events(ev.Stopped))
    finish(desk, desk.open("attach"))


@pytest.mark.sweep
def test_unattended_failure_waits_with_its_kernel(desk: Desk) -> None:
    desk.book(code("kept = 41", id="once"), code(CHECK + "; print(kept + 1)", id="check"))
    ended = desk.unattended("--on-failure", "wait")
    assert ended.returncode == 8
    assert f"nbrun attach {desk.run.name}" in ended.stderr
    assert desk.events(ev.RunFinished) == []
    listed = desk.command("runs", "--waiting")
    assert "waiting at step 2: failed · since 20" in listed.stdout
    again = desk.open("attach")
    finish(desk, again)
    assert "42" in again.text()
    assert "no run waits" in desk.command("runs", "--waiting").stdout


@pytest.mark.sweep
def test_wait_for_ends_a_run_that_nobody_attaches_to(desk: Desk) -> None:
    desk.book(code(TELL_PID + "1 / 0", id="fails"))
    assert desk.unattended("--on-failure", "wait", "--wait-for", "1s").returncode == 8
    kernel = desk.kernel()
    wait_until(lambda: desk.events(ev.RunFinished))
    assert desk.finish().outcome == "failed"
    assert "nobody was there to decide" in desk.finish().why
    wait_until(lambda: is_gone(kernel))


@pytest.mark.sweep
def test_wait_for_does_not_end_an_attended_run(desk: Desk) -> None:
    desk.book(code("1 / 0", id="fails"))
    terminal = desk.start("--on-failure", "wait", "--wait-for", "0.5s")
    terminal.prompted("step 1>")
    wait_idle(1.0)
    terminal.type("v left")
    terminal.prompted("step 1>")
    assert desk.events(ev.RunFinished) == []
    terminal.type("d")
    assert terminal.wait() == 8
    wait_until(lambda: desk.events(ev.RunFinished))


def wait_idle(seconds: float) -> None:
    """Wait while nothing should happen."""
    time.sleep(seconds)


@pytest.mark.sweep
def test_cancel_ends_a_run_from_another_terminal(desk: Desk) -> None:
    desk.book(code(WAITING_CELL, id="work"), code("print('ne' + 'ver')", id="last"))
    first = desk.start()
    first.until("at work")
    kernel = desk.kernel()
    done = desk.command("cancel", "last", "--reason", "wrong host")
    assert done.returncode == 0
    assert first.wait() == 5
    assert desk.decisions() == [("cancel", "wrong host")]
    assert desk.attempts() == [("work", 1, "interrupted")]
    assert is_gone(kernel)
    assert desk.command("cancel", "last").returncode == 2


@pytest.mark.sweep
def test_input_waits_until_an_operator_attaches(desk: Desk) -> None:
    desk.book(code("print('hello', input('who? '))", id="asks"))
    assert desk.unattended("--detach").returncode == 0
    wait_until(lambda: desk.events(ev.InputRequested))
    terminal = desk.open("attach")
    terminal.answer("who?", "ada")
    assert terminal.wait() == 0
    assert desk.printed("asks") == "hello ada\n"


@pytest.mark.sweep
def test_detached_run_loses_no_output(desk: Desk) -> None:
    desk.book(
        code(
            "import os, time\n"
            "print('at' + ' work', flush=True)\n"
            "n = 0\n"
            "while not os.path.exists('go') or n < 2000:\n"
            "    print('line', n); n += 1; time.sleep(0.001)\n"
            "print('lines:', n)",
            id="work",
        )
    )
    first = desk.start()
    first.until("\nline ")
    first.hang_up()
    wait_until(lambda: "line 1500\n" in desk.printed("work"))
    release_step(desk)
    wait_until(lambda: desk.events(ev.RunFinished))
    printed = desk.printed("work").splitlines()
    count = int(printed[-1].removeprefix("lines: "))
    assert printed[1:-1] == [f"line {n}" for n in range(count)]


@pytest.mark.sweep
def test_attach_to_an_ended_run_names_the_log_command(desk: Desk) -> None:
    desk.book(code("1", id="one"))
    assert desk.unattended().returncode == 0
    ended = desk.open("attach")
    assert ended.wait() == 2
    assert "the run has ended: see nbrun log" in ended.words()
    assert desk.command("attach").returncode == 2  # no terminal


@pytest.mark.sweep
def test_modules_beside_the_runbook_do_not_shadow_pythons(desk: Desk) -> None:
    for name in ("queue.py", "socket.py", "logging.py"):
        (desk.folder / name).write_text("raise SystemExit('taken')")
    desk.book(code("print('fi' + 'ne')", id="one"))
    done = subprocess.run(
        [Path(sys.executable).with_name("nbrun"), "start", "runbook.ipynb", "--cwd", "/"],
        cwd=desk.folder,
        env=desk.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "fine" in done.stdout, done.stderr
