"""Checks of steps, and steps done by hand, at a terminal and in unattended runs."""

from typing import Any

import pytest

from nbrun.core import events as ev
from tests.e2e.test_detach import REASON
from tests.e2e.test_resume import kill_kernel
from tests.support.build_notebooks import code, markdown
from tests.support.terminal import Desk

IMPORTS = code("import os", id="imports", tags=["setup"])
LAST = code("print('the' + ' end')", id="last")
IS_MADE = "print('looks'); os.path.exists('made')"
MAKE = (
    "open('effects', 'a').write('make\\n'); os.path.exists('broken') or open('made', 'w').close()"
)


def check(**own: Any) -> dict[str, Any]:
    own = {"interval": 0.05, "timeout": 1.0} | own
    return code(IS_MADE, id="is-made", tags=["check"], metadata={"nbrun": own})


def made(desk: Desk) -> int:
    """Return how often the step was run."""
    effects = desk.folder / "effects"
    return len(effects.read_text().splitlines()) if effects.exists() else 0


def answers(desk: Desk) -> list[bool | None]:
    return [end.holds for end in desk.events(ev.AttemptFinished) if end.step == "is-made"]


@pytest.mark.sweep
def test_step_that_is_done_already_does_not_run_again(desk: Desk) -> None:
    desk.book(IMPORTS, code(MAKE, id="make"), check(), LAST)
    first = desk.unattended()
    assert first.returncode == 0
    assert answers(desk) == [False, True]
    assert "step 2 has worked" in first.stdout
    desk.runs = desk.folder / "later"
    second = desk.unattended()
    assert second.returncode == 0  # on script
    assert "step 2 is done already: it does not run" in second.stdout
    assert answers(desk) == [True]
    assert made(desk) == 1
    assert desk.finish().counts["ok"] == 3
    whole = desk.command("verify", "last")
    assert whole.returncode == 0, whole.stdout
    exported = desk.command("export", "last", "report.html", "--html")
    assert exported.returncode == 0, exported.stderr
    report = (desk.folder / "report.html").read_text()
    assert "not run: its check found it done already" in report
    log = desk.command("log", "last", "--step", "2").stdout
    assert log.count("looks") == 2  # in the source and the output of its check


@pytest.mark.sweep
def test_step_whose_check_does_not_hold_has_failed(desk: Desk) -> None:
    desk.book(IMPORTS, code(MAKE, id="make"), check(), LAST)
    (desk.folder / "broken").touch()
    terminal = desk.start()
    terminal.prompted("step 2>")
    assert "this step ran, and its check does not hold" in terminal.text()
    assert len(answers(desk)) > 2  # it was polled
    assert terminal.text().count("print('looks')") == 2  # and not shown each time
    (desk.folder / "made").touch()
    terminal.type("x")  # done by hand; the check must hold then
    terminal.answer(REASON, "copied it over")
    assert terminal.wait() == 3
    assert answers(desk)[-1] is True
    assert desk.deviations() == [("by_hand", "make")]
    assert made(desk) == 1
    assert desk.events(ev.Deviated)[0].reason == "copied it over"


def crash_in_step(desk: Desk, **own: Any) -> None:
    """Kill the supervisor and the kernel in the step `make`, after its effect."""
    waits = f"{MAKE}\nprint('at' + ' work', flush=True)\nimport time; time.sleep(60)"
    desk.book(IMPORTS, code(waits, id="make"), check(**own), LAST)
    terminal = desk.start()
    terminal.until("at work")
    desk.kill_supervisor()
    assert terminal.wait() == 6
    kill_kernel(desk)


@pytest.mark.sweep
def test_check_is_the_evidence_for_what_nobody_saw_end(desk: Desk) -> None:
    crash_in_step(desk)
    terminal = desk.open("resume")
    terminal.prompted("did step 2 happen?")
    assert "the check of step 2, run just now, holds" in terminal.text()
    assert desk.events(ev.AttemptSettled) == []  # the operator decides
    terminal.type("happened")
    terminal.answer(REASON, "the file is there")
    terminal.answer("step 3>", "r")  # in a new kernel, as after every restart
    assert terminal.wait() == 3
    assert made(desk) == 1
    assert desk.deviations() == [("kernel_restarted", None)]


@pytest.mark.sweep
def test_check_settles_where_the_runbook_says_so(desk: Desk) -> None:
    crash_in_step(desk, settle="by-check")
    terminal = desk.open("resume")
    terminal.answer("step 3>", "r")
    assert terminal.wait() == 3
    (settled,) = desk.events(ev.AttemptSettled)
    assert (settled.finding, settled.by_check) == ("happened", True)
    assert "it happened, as its check says" in terminal.words()
    assert made(desk) == 1


@pytest.mark.sweep
def test_run_by_hand_is_a_checklist_that_executes_nothing(desk: Desk) -> None:
    desk.book(IMPORTS, markdown("Now make it."), code(MAKE, id="make"), check(), LAST)
    terminal = desk.start("--by-hand")
    for number, note in ((1, ""), (2, "made it on db1"), (3, "")):
        terminal.answer(f"step {number}>", "x")
        terminal.answer(REASON, note)
    assert terminal.wait() == 3
    assert "Now make it." in terminal.text()
    assert desk.attempts() == []
    assert desk.events(ev.KernelStarted) == []
    assert [kind for kind, _ in desk.deviations()] == ["by_hand"] * 3
    assert made(desk) == 0
    sources = [cell.source for cell in desk.notebook().cells]
    assert any(source == f"```\n{MAKE}\n```" for source in sources)


@pytest.mark.sweep
def test_by_hand_is_refused_where_nobody_can_answer_or_leave_the_script(desk: Desk) -> None:
    desk.book(LAST)
    refused = desk.unattended("--by-hand")
    assert refused.returncode == 2
    assert "there is no terminal to ask on" in refused.stderr
    terminal = desk.start("--by-hand", "--strict")
    assert terminal.wait() == 2
    assert "which --strict refuses" in terminal.words()
