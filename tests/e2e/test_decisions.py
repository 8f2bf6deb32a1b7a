"""Decisions at a stop, on the screen and in the record."""

import pytest

from nbrun.core import events as ev
from tests.support.build_notebooks import code, markdown
from tests.support.terminal import Desk, Terminal

REASON = "reason (Enter for none, Ctrl-C to go back):"

NEEDS_DISK = code("print('disk says', open('disk.txt').read())", id="disk")


def decide(terminal: Terminal, step: int, line: str, reason: str = "") -> None:
    """Answer the prompt of a step, and then the question for a reason."""
    terminal.answer(f"step {step}>", line)
    terminal.answer(REASON, reason)


@pytest.mark.sweep
def test_retry_runs_the_failed_step_again_off_script(desk: Desk) -> None:
    desk.book(code("x = 1", id="first"), NEEDS_DISK, code("print('last')", id="last"))
    terminal = desk.start()
    terminal.prompted("step 2>")
    assert "FileNotFoundError" in terminal.text()
    assert "STOPPED at step 2 of 3" in terminal.text()
    (desk.folder / "disk.txt").write_text("all is well")
    decide(terminal, 2, "r", "the disk is mounted now")
    terminal.until("disk says all is well")
    assert terminal.wait() == 3
    assert "completed, off script" in terminal.text()
    assert desk.attempts() == [
        ("first", 1, "ok"),
        ("disk", 1, "error"),
        ("disk", 2, "ok"),
        ("last", 1, "ok"),
    ]
    assert desk.decisions() == [("retry", "the disk is mounted now")]
    assert desk.deviations() == [("retried", "disk")]
    assert desk.finish().outcome == "completed"
    assert desk.finish().off_script
    assert [cell.execution_count for cell in desk.code_cells()] == [1, 2, 3, 4]


@pytest.mark.sweep
def test_viewing_and_typing_errors_decide_nothing(desk: Desk) -> None:
    desk.book(
        code("print('seen before')", id="first"),
        NEEDS_DISK,
        markdown("# The last of all"),
        code("print('last')", id="last"),
    )
    terminal = desk.start()
    for line, shown in (
        ("", "type a choice; ? explains"),
        ("   ", "type a choice; ? explains"),
        ("retyr", "'retyr' is not a choice here; ? explains the choices"),
        ("y", "'y' is not a choice here"),
        ("skip 3", "skip takes nothing after it"),
        ("run", "step 2 has failed: use retry, edit or skip"),
        ("g", "step 2 has failed: use retry, edit or skip"),
        ("j 9", "jump which step? There are 1 to 3"),
        ("j 2", "the run already stands at step 2"),
        ("?", "skip this step"),
        ("help", "skip this step"),
        ("v source", "open('disk.txt')"),
        ("view 1", "seen before"),
        ("v", "FileNotFoundError"),
        ("view 3", "print('last')"),
        ("v left", "The last of all"),
        ("v 17", "no step is called '17'"),
    ):
        terminal.answer("step 2>", line)
        terminal.until(shown)
    terminal.answer("step 2>", "n")
    terminal.answer("note:", "the disk is late")
    terminal.until("note by")
    terminal.answer("step 2>", "note it is Friday")
    terminal.until("it is Friday")
    terminal.prompted("step 2>")
    kinds = {type(record.event) for record in desk.journal()[-3:]}
    assert kinds == {ev.Stopped, ev.NoteAdded}
    assert [note.text for note in desk.events(ev.NoteAdded)] == ["the disk is late", "it is Friday"]
    assert desk.decisions() == []
    terminal.type("retry")
    terminal.prompted(REASON)
    terminal.press("ctrl-c")
    terminal.prompted("step 2>")
    assert desk.decisions() == []
    terminal.type("c")
    terminal.answer("end the run here? [y/N]", "")
    terminal.answer("step 2>", "cancel")
    terminal.answer("end the run here? [y/N]", "n")
    terminal.prompted("step 2>")
    assert desk.decisions() == []
    terminal.type("cancel")
    terminal.answer("end the run here? [y/N]", "y")
    terminal.answer(REASON, "not today")
    assert terminal.wait() == 5
    assert "cancelled at" in terminal.text()
    assert "step 3 The last of all: not run" in terminal.words()
    assert desk.decisions() == [("cancel", "not today")]
    assert desk.attempts() == [("first", 1, "ok"), ("disk", 1, "error")]
    assert desk.finish().outcome == "cancelled"


@pytest.mark.sweep
def test_edit_opens_the_editor_and_shows_the_change(desk: Desk) -> None:
    desk.book(code("print(10 / 0)", id="divide"), code("print('last')", id="last"))
    desk.editor_does("s|10 / 0|10 / 4|")
    terminal = desk.start()
    terminal.answer("step 1>", "e")
    terminal.until("-print(10 / 0)")
    terminal.until("+print(10 / 4)")
    terminal.answer("run this? [y/N]", "N")
    terminal.prompted("step 1>")
    assert desk.decisions() == []
    desk.editor_does("s|10 / 4|10 / 5|")  # of the draft, which was kept
    terminal.type("edit")
    terminal.until("+print(10 / 5)")
    terminal.answer("run this? [y/N]", "y")
    terminal.until("this takes the run off script: edited, retried")
    terminal.answer(REASON, "zero was a slip")
    terminal.until("2.0")
    assert terminal.wait() == 3
    assert desk.attempts() == [("divide", 1, "error"), ("divide", 2, "ok"), ("last", 1, "ok")]
    assert desk.decisions() == [("edit", "zero was a slip")]
    assert sorted(desk.deviations()) == [("edited", "divide"), ("retried", "divide")]
    (edited,) = [event for event in desk.events(ev.Deviated) if event.kind == "edited"]
    assert "-print(10 / 0)" in edited.diff
    assert "+print(10 / 5)" in edited.diff
    assert [event.edited for event in desk.events(ev.AttemptStarted)] == [False, True, False]
    assert [name[-3:] for name in desk.edited_files()] == [".py", ".py"]
    assert desk.code_cells()[1].source == "print(10 / 5)"


@pytest.mark.sweep
def test_edit_without_a_change_does_nothing(desk: Desk) -> None:
    desk.book(code("1 / 0", id="divide"))
    desk.editor_does("p;d")
    terminal = desk.start()
    terminal.answer("step 1>", "e")
    terminal.until("nothing was changed")
    terminal.answer("step 1>", "s")
    terminal.until("this takes the run off script: skipped")
    terminal.answer(REASON, "")
    assert terminal.wait() == 3
    assert desk.decisions() == [("skip", "")]
    assert desk.deviations() == [("skipped", "divide")]


@pytest.mark.sweep
def test_steps_run_out_of_order_and_again_and_cells_inserted(desk: Desk) -> None:
    desk.book(
        code("n = globals().get('n', 0) + 1; print('first ran', n)", id="first"),
        code("assert ready", id="second"),
        code("ready = True; print('third ran')", id="third"),
    )
    desk.editor_does("1c print('inserted saw', n)")
    terminal = desk.start()
    decide(terminal, 2, "r 1", "a second time")
    terminal.until("first ran 2")
    terminal.until("STOPPED at step 2 of 3")
    terminal.answer("step 2>", "i")
    terminal.until("+print('inserted saw', n)")
    terminal.answer("run this? [y/N]", "yes")
    terminal.answer(REASON, "to see")
    terminal.until("inserted saw 2")
    decide(terminal, 2, "run 3")
    terminal.until("third ran")
    desk.editor_does("s/first/the changed first/")
    terminal.answer("step 2>", "e 1")
    terminal.answer("run this? [y/N]", "y")
    terminal.until("this takes the run off script: edited, reran")
    terminal.answer(REASON, "")
    terminal.until("the changed first ran 3")
    decide(terminal, 2, "retry", "it is ready")
    assert terminal.wait() == 3
    assert [(step, number) for step, number, _ in desk.attempts()] == [
        ("first", 1),
        ("second", 1),
        ("first", 2),
        ("inserted-1", 1),
        ("third", 1),
        ("first", 3),
        ("second", 2),
    ]
    assert desk.decisions() == [
        ("run", "a second time"),
        ("insert", "to see"),
        ("run", ""),
        ("edit", ""),
        ("retry", "it is ready"),
    ]
    assert desk.deviations() == [
        ("reran", "first"),
        ("inserted", "inserted-1"),
        ("out_of_order", "third"),
        ("reran", "first"),
        ("edited", "first"),
        ("retried", "second"),
    ]
    assert len(desk.code_cells()) == 7


@pytest.mark.sweep
def test_jump_stops_at_its_target_and_runs_nothing(desk: Desk) -> None:
    desk.book(
        code("print('one')", id="one"),
        code("import os; assert os.path.exists('go')", id="two"),
        code("print('three')", id="three"),
        code("import os; assert os.path.exists('go')", id="four"),
    )
    terminal = desk.start()
    terminal.answer("step 2>", "j 4")
    terminal.until("this takes the run off script: skipped")
    terminal.answer(REASON, "three can wait")
    terminal.until("you moved the run here")
    terminal.prompted("step 4>")
    assert desk.attempts() == [("one", 1, "ok"), ("two", 1, "error")]
    (desk.folder / "go").touch()
    terminal.type("jump 2")
    terminal.until("you moved the run here")
    terminal.prompted("step 2>")
    assert desk.attempts() == [("one", 1, "ok"), ("two", 1, "error")]
    decide(terminal, 2, "r", "now in order")
    assert terminal.wait() == 3
    assert desk.attempts()[2:] == [("two", 2, "ok"), ("three", 1, "ok"), ("four", 1, "ok")]
    assert desk.decisions() == [("jump", "three can wait"), ("jump", ""), ("run", "now in order")]
    assert desk.deviations() == [("skipped", "two"), ("skipped", "three"), ("retried", "two")]
    reasons = [event.reason for event in desk.events(ev.Deviated)]
    assert reasons == ["three can wait", "three can wait", "now in order"]


@pytest.mark.sweep
def test_restarted_kernel_runs_parameters_and_setup_again(desk: Desk) -> None:
    desk.book(
        code("host = 'default'", id="parameters", tags=["parameters"]),
        code("connection = 'to ' + host", id="setup", tags=["setup"]),
        code("temporary = 1", id="plain"),
        code("print(connection, 'temporary' in globals()); open('go')", id="check"),
    )
    terminal = desk.start("-p", "host=db7")
    terminal.until("to db7 True")
    (desk.folder / "go").touch()
    terminal.answer("step 5>", "k")
    terminal.until("this takes the run off script: kernel restarted")
    terminal.answer(REASON, "it leaks")
    terminal.until("a new kernel is ready (number 2 of this run)")
    terminal.until("STOPPED at step 5 of 5")
    decide(terminal, 5, "r")
    terminal.until("to db7 False")
    assert terminal.wait() == 3
    again = [start.step for start in desk.events(ev.AttemptStarted) if start.cause == "setup"]
    assert again[0] == "parameters"
    assert again[-1] == "setup"
    assert len(again) == 3
    assert "plain" not in again
    assert desk.decisions() == [("restart", "it leaks"), ("retry", "")]
    assert desk.deviations() == [("kernel_restarted", None), ("retried", "check")]
    assert [event.generation for event in desk.events(ev.KernelRestarted)] == [2]


@pytest.mark.sweep
def test_strict_run_refuses_to_leave_the_script(desk: Desk) -> None:
    desk.book(code("print('one')", id="one"), NEEDS_DISK)
    desk.editor_does("s/disk/tape/")
    terminal = desk.start("--strict")
    for line in ("r", "retry", "e", "edit", "s", "skip", "r 1", "e 1", "i", "k"):
        terminal.answer("step 2>", line)
        terminal.until("would leave the script")
        terminal.until("and this run is --strict")
    terminal.answer("step 2>", "n strict it is")
    terminal.until("note by")
    terminal.answer("step 2>", "c")
    terminal.answer("end the run here? [y/N]", "y")
    terminal.answer(REASON, "")
    assert terminal.wait() == 5
    assert desk.edited_files() == []
    assert desk.decisions() == [("cancel", "")]
    assert desk.deviations() == []
    assert not desk.finish().off_script


def test_editor_that_saves_latin_1_leaves_the_operator_at_the_prompt(desk: Desk) -> None:
    desk.book(code("1/0", id="one"))
    desk.editor_does(r"s/.*/# caf\xe9/")
    terminal = desk.start()
    terminal.answer("step 1>", "e")
    terminal.until("line 1 is not UTF-8 (byte 0xe9): save it as UTF-8")
    desk.editor_does(r"c\print('mended')")
    terminal.answer("step 1>", "e")
    terminal.answer("run this? [y/N]", "y")
    terminal.answer("reason (Enter for none, Ctrl-C to go back):", "")
    assert terminal.wait() == 3
    assert desk.attempts() == [("one", 1, "error"), ("one", 2, "ok")]
