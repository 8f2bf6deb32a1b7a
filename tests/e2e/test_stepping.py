"""Stops without a failure: step mode, and steps to fill in."""

import pytest

from nbrun.core import events as ev
from tests.support.build_notebooks import code
from tests.support.terminal import Desk

REASON = "reason (Enter for none, Ctrl-C to go back):"


def test_step_mode_stops_before_every_step_until_continue(desk: Desk) -> None:
    desk.book(*(code(f"print('ran', {n} * 11)", id=f"s{n}") for n in range(1, 6)))
    terminal = desk.start("--step")
    terminal.until("this step is next")
    terminal.prompted("step 1>")
    assert desk.events(ev.AttemptStarted) == []
    terminal.type("")
    terminal.until("type a choice; ? explains")
    terminal.answer("step 1>", "retry")
    terminal.until("step 1 has not failed: use run")
    terminal.answer("step 1>", "r")
    terminal.until("ran 11")
    terminal.prompted("step 2>")
    assert desk.attempts() == [("s1", 1, "ok")]
    terminal.type("run")
    terminal.until("ran 22")
    terminal.prompted("step 3>")
    assert [event.reason for event in desk.events(ev.Stopped)] == ["step_mode"] * 3
    terminal.type("g")
    assert terminal.wait() == 0
    assert "completed, on script" in terminal.text()
    assert "ran 55" in terminal.text()
    assert desk.decisions() == [("run", ""), ("run", ""), ("continue", "")]
    assert desk.deviations() == []
    assert len(desk.events(ev.Stopped)) == 3
    assert not desk.finish().off_script


@pytest.mark.sweep
def test_skips_and_failures_in_step_mode_are_off_script(desk: Desk) -> None:
    desk.book(code("print('one')", id="a"), code("1 / 0", id="b"), code("print('end')", id="c"))
    terminal = desk.start("--step")
    terminal.answer("step 1>", "skip")
    terminal.answer(REASON, "done by hand")
    terminal.answer("step 2>", "r")
    terminal.until("this step failed")
    terminal.answer("step 2>", "s")
    terminal.answer(REASON, "")
    terminal.answer("step 3>", "continue")
    assert terminal.wait() == 3
    assert "step 1 print('one'): not run: skipped" in terminal.words()
    assert desk.attempts() == [("b", 1, "error"), ("c", 1, "ok")]
    assert desk.deviations() == [("skipped", "a"), ("skipped", "b")]
    assert [event.reason for event in desk.events(ev.Stopped)] == [
        "step_mode",
        "step_mode",
        "step_failed",
        "step_mode",
    ]


def test_fill_step_stops_and_its_edit_is_on_script(desk: Desk) -> None:
    desk.book(
        code("print('before')", id="before"),
        code("ticket = 'FILL IN'", id="blank", tags=["fill"]),
        code("print('the ticket is', ticket)", id="after"),
    )
    desk.editor_does("s/FILL IN/OPS-7/")
    terminal = desk.start()
    terminal.until("this step needs to be completed before it runs")
    terminal.answer("step 2>", "e")
    terminal.until("+ticket = 'OPS-7'")
    terminal.answer("run this? [y/N]", "y")
    terminal.until("the ticket is OPS-7")
    assert terminal.wait() == 0
    assert "completed, on script" in terminal.text()
    assert desk.decisions() == [("edit", "")]
    assert desk.deviations() == []
    assert [event.edited for event in desk.events(ev.AttemptStarted)] == [False, True, False]
    assert [cell.source for cell in desk.code_cells()][1] == "ticket = 'OPS-7'"


def test_fill_step_fails_an_unattended_run(desk: Desk) -> None:
    desk.book(code("print('filled' + ' in')", id="blank", tags=["fill"]))
    ended = desk.unattended()
    assert ended.returncode == 4
    assert "filled in" not in ended.stdout
    assert desk.events(ev.AttemptStarted) == []
    assert desk.finish().outcome == "failed"
