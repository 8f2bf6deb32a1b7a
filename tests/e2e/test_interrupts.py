"""Ctrl-C, SIGTERM and dying kernels: the run stops, and records what happened."""

import os
import signal

import pytest

from nbrun.core import events as ev
from tests.support.build_notebooks import code
from tests.support.terminal import TELL_PID, Desk, Terminal, is_gone, wait_until

REASON = "reason (Enter for none, Ctrl-C to go back):"

SLEEP = TELL_PID + "import time; time.sleep(600)"
CATCHES_INTERRUPT = """try:
    import time; print('asleep', flush=True); time.sleep(600)
except KeyboardInterrupt:
    print('swallowed it')"""
IGNORES_SIGINT = """import signal, os, time
if not os.path.exists('heard'):
    open('heard', 'w').close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    print('deaf now', flush=True)
    while True: time.sleep(1)
print('this time it works')"""


def skip(terminal: Terminal, step: int) -> None:
    terminal.answer(f"step {step}>", "s")
    terminal.answer(REASON, "")


@pytest.mark.sweep
def test_ctrl_c_interrupts_the_step_even_if_the_cell_catches_it(desk: Desk) -> None:
    desk.book(
        code(SLEEP, id="asleep"),
        code(CATCHES_INTERRUPT, id="swallows"),
        code("print('last')", id="last"),
    )
    terminal = desk.start()
    terminal.kernel()
    terminal.press("ctrl-c")
    terminal.until("interrupted ·")
    terminal.until("STOPPED at step 1 of 3")
    terminal.prompted("step 1>")
    terminal.press("ctrl-c")  # has nothing to interrupt
    terminal.until("r retry")
    terminal.prompted("step 1>")
    skip(terminal, 1)
    terminal.until("\nasleep\n")
    terminal.press("ctrl-c")
    terminal.until("\nswallowed it\n")
    terminal.until("STOPPED at step 2 of 3")
    assert desk.attempts() == [("asleep", 1, "interrupted"), ("swallows", 1, "interrupted")]
    skip(terminal, 2)
    assert terminal.wait() == 3
    assert desk.attempts()[2:] == [("last", 1, "ok")]
    assert desk.decisions() == [
        ("interrupt", ""),
        ("skip", ""),
        ("interrupt", ""),
        ("skip", ""),
    ]
    outcomes = [cell.metadata.nbrun.outcome for cell in desk.code_cells()]
    assert outcomes == ["interrupted", "interrupted", "ok"]


@pytest.mark.sweep
def test_second_ctrl_c_offers_to_kill_an_unresponsive_kernel(desk: Desk) -> None:
    desk.book(code(IGNORES_SIGINT, id="deaf"), code("print('last')", id="last"))
    terminal = desk.start()
    terminal.until("\ndeaf now\n")
    terminal.press("ctrl-c")
    terminal.until("interrupting the step")
    terminal.press("ctrl-c")
    terminal.until("Killing the kernel loses all its variables.")
    terminal.answer("kill the kernel? [y/N]", "n")
    terminal.until("running step 1 of 2")
    assert desk.attempts() == []
    terminal.press("ctrl-c")
    terminal.press("ctrl-c")
    terminal.answer("kill the kernel? [y/N]", "y")
    terminal.until("the kernel was killed, as asked")
    terminal.answer("step 1>", "r")
    terminal.until("the kernel is dead: restart it first")
    terminal.answer("step 1>", "k")
    terminal.answer(REASON, "it hung")
    terminal.until("a new kernel is ready")
    terminal.answer("step 1>", "r")
    terminal.answer(REASON, "")
    terminal.until("this time it works")
    assert terminal.wait() == 3
    assert desk.attempts() == [("deaf", 1, "kernel_died"), ("deaf", 2, "ok"), ("last", 1, "ok")]
    assert [event.kill for event in desk.events(ev.KernelInterrupted)][-1] is True
    assert ("restart", "it hung") in desk.decisions()
    assert desk.deviations() == [("kernel_restarted", None), ("retried", "deaf")]


@pytest.mark.sweep
def test_ctrl_c_between_quick_steps_stops_the_run(desk: Desk) -> None:
    desk.book(*(code(f"print('quick', {n} + 1000)", id=f"s{n}") for n in range(400)))
    terminal = desk.start()
    terminal.until("quick 1003")
    terminal.press("ctrl-c")
    terminal.until("STOPPED at")
    stops = desk.events(ev.Stopped)
    assert [stop.reason for stop in stops] in (["paused"], ["step_failed"])
    begun = len(desk.events(ev.AttemptStarted))
    assert begun < 400
    terminal.prompted("> ")
    terminal.type("c")
    terminal.answer("end the run here? [y/N]", "y")
    terminal.answer(REASON, "")
    assert terminal.wait() == 5
    assert len(desk.events(ev.AttemptStarted)) == begun
    assert desk.decisions() == [("interrupt", ""), ("cancel", "")]


def test_sigterm_in_a_step_cancels_the_run_and_leaves_no_process(desk: Desk) -> None:
    desk.book(code(SLEEP, id="asleep"), code("print('la' + 'st')", id="last"))
    terminal = desk.start()
    kernel = terminal.kernel()
    supervisor = desk.supervisor()
    socket = (desk.run / "socket").readlink()
    os.kill(supervisor, signal.SIGTERM)
    assert terminal.wait() == 5
    assert "cancelled at" in terminal.text()
    assert "step 2 print('la' + 'st'): not run" in terminal.words()
    assert desk.attempts() == [("asleep", 1, "interrupted")]
    assert desk.decisions() == [("cancel", "the supervisor got SIGTERM")]
    assert desk.finish().outcome == "cancelled"
    assert desk.finish().notebook_sha256 is not None
    wait_until(lambda: is_gone(kernel) and is_gone(supervisor))
    assert not socket.exists()
    assert {path.name for path in desk.run.iterdir()} == {
        "journal.jsonl",
        "runbook.ipynb",
        "supervisor.log",
    }


def test_sigterm_at_a_prompt_cancels_the_run(desk: Desk) -> None:
    desk.book(code(TELL_PID + "1 / 0", id="fails"))
    terminal = desk.start()
    terminal.prompted("step 1>")
    kernel = terminal.kernel()
    os.kill(desk.supervisor(), signal.SIGTERM)
    assert terminal.wait() == 5
    assert "cancelled at" in terminal.text()
    assert desk.decisions() == [("cancel", "the supervisor got SIGTERM")]
    wait_until(lambda: is_gone(kernel))


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("death", "told"),
    [
        ("os._exit(1)", "ended with status 1"),
        ("os.kill(os.getpid(), 9)", "was ended by SIGKILL"),
    ],
)
def test_output_before_a_kernels_death_is_recorded(desk: Desk, death: str, told: str) -> None:
    desk.book(
        code("x = 5", id="setup", tags=["setup"]),
        code(
            "import os, time\n"
            "print('said before', flush=True)\n"
            "if not os.path.exists('died'):\n"
            "    open('died', 'w').close()\n"
            f"    time.sleep(0.3); {death}",
            id="dies",
        ),
        code("print('x is', x)", id="last"),
    )
    terminal = desk.start()
    terminal.until(f"the kernel process {told}")
    terminal.until("STOPPED at step 2 of 3")
    terminal.prompted("step 2>")
    assert desk.printed("dies") == "said before\n"
    assert desk.attempts() == [("setup", 1, "ok"), ("dies", 1, "kernel_died")]
    terminal.type("k")
    terminal.answer(REASON, "")
    terminal.until("a new kernel is ready (number 2 of this run)")
    terminal.answer("step 2>", "r")
    terminal.answer(REASON, "")
    terminal.until("x is 5")
    assert terminal.wait() == 3
    assert desk.attempts() == [
        ("setup", 1, "ok"),
        ("dies", 1, "kernel_died"),
        ("setup", 2, "ok"),
        ("dies", 2, "ok"),
        ("last", 1, "ok"),
    ]
    died = desk.code_cells()[1]
    assert died.metadata.nbrun.outcome == "kernel_died"
    assert "".join(died.outputs[0].text) == "said before\n"
