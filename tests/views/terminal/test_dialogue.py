"""The dialogue at a stop, with an operator who types the lines of a script."""

import io
import sys

import pytest
from rich.console import Console

from nbrun.core import decisions, model
from nbrun.core import events as ev
from nbrun.core.approval import pending_approval
from nbrun.views.terminal.dialogue import Dialogue
from nbrun.views.text.options import DisplayOptions
from tests.support.build_events import decision_proposed
from tests.support.run_builder import Run, step, stream

CTRL_D = object()
GONE = object()


class Keyboard:
    """Gives the lines of a script; GONE is a question that became moot. Remembers what it asked."""

    def __init__(self, *lines):
        self.lines = list(lines)
        self.questions = []

    @property
    def asked(self):
        return [question.prompt for question in self.questions]

    def ask(self, question, watch, poll):
        self.questions.append(question)
        line = self.lines.pop(0)
        if line is CTRL_D:
            raise EOFError
        if line is KeyboardInterrupt:
            raise KeyboardInterrupt
        return None if line is GONE else line


USUAL = DisplayOptions()


class Conversation:
    """A dialogue about the state of a tale, and what it showed."""

    def __init__(self, tale, *lines, display=USUAL):
        self.tale = tale
        self.keyboard = Keyboard(*lines)
        self.file = io.StringIO()
        console = Console(file=self.file, width=100, highlight=False, markup=False, emoji=False)
        self.dialogue = Dialogue(console, self.keyboard, -1, lambda: tale.records, display)

    def stop(self):
        return self.dialogue.at_stop(self.tale.state, lambda: True)

    @property
    def text(self):
        return self.file.getvalue()


def failed():
    return Run(step("a", "a()"), step("b", "b()", title="Second")).failure("a")


def stepping(*steps):
    return Run(*steps or (step("a", "a()"), step("b", "b()"))).stop("step_mode")


@pytest.fixture
def editor(monkeypatch, tmp_path):
    """An editor that puts a line above what it is given; the sources it was given."""
    given = tmp_path / "given"
    given.mkdir()
    program = tmp_path / "editor.py"
    program.write_text(
        "import pathlib, sys\n"
        "file = pathlib.Path(sys.argv[1])\n"
        "source = file.read_text()\n"
        f"kept = pathlib.Path({str(given)!r})\n"
        "(kept / str(len(list(kept.iterdir())))).write_text(source)\n"
        "file.write_text('# mine\\n' + source)\n"
    )
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", f"{sys.executable} {program}")
    return lambda: [file.read_text() for file in sorted(given.iterdir())]


# ── decisions ────────────────────────────────────────────────────────────────────────────────


def test_on_script_choice_asks_no_reason():
    said = Conversation(stepping(), "r")
    assert said.stop() == decisions.Run()
    assert said.keyboard.asked == ["step 1> "]


def test_off_script_choice_asks_reason():
    said = Conversation(failed(), "retry", "  space is free ")
    assert said.stop() == decisions.Retry(reason="space is free")
    assert said.keyboard.asked[1].startswith("reason")
    assert "this takes the run off script: retried" in said.text


def test_choice_that_needs_approval_says_so():
    tale = Run(step("a", "a()"), policy=model.Policy(need_approval=("skipped",))).failure("a")
    said = Conversation(tale, "s", "done by hand")
    assert said.stop() == decisions.Skip(reason="done by hand")
    assert "the decision waits until another person approves it" in said.text
    assert "it waits" not in Conversation(tale, "retry", "").text


def proposed_by_program(**contract):
    program = model.Operator(uid=1000, name="ada", via="no terminal", channel="program")
    first = step("a", "a()", contract=model.Contract(**contract))
    tale = Run(first, step("b", "b()")).failure("a")
    made = decision_proposed("edit", "a", "c()", by=program, kinds=("edited",), reason="a typo")
    return tale.add(made)


def test_approval_of_program_shows_what_it_covers_and_asks():
    tale = proposed_by_program()
    said = Conversation(tale, "a", "n", "a", "y")
    assert said.stop() == decisions.Approve(binding=pending_approval(tale.state).binding)
    assert "ada via program: edit step 1 (a typo)" in said.text
    assert "run with another source" in said.text
    assert "+c()" in said.text


def test_approval_of_program_asks_what_the_step_asks():
    said = Conversation(proposed_by_program(confirm="sure?", typed="db1"), "a", "db2", "a", "db1")
    said.keyboard.lines.append("y")
    assert isinstance(said.stop(), decisions.Approve)
    assert "that does not match" in said.text


def test_rejection_of_program_asks_why():
    said = Conversation(proposed_by_program(), "reject", "wrong host")
    assert said.stop() == decisions.Reject(reason="wrong host")


def test_withdrawal_asks_no_reason():
    tale = failed().add(decision_proposed(step="a"))
    said = Conversation(tale, "s", "w")
    assert said.stop() == decisions.Withdraw()
    assert "skip waits for an approval: withdraw it first" in said.text


def test_reason_may_be_empty():
    assert Conversation(failed(), "s", "").stop() == decisions.Skip()


@pytest.mark.parametrize(
    ("line", "decision"),
    [
        ("r 2", decisions.Run(step="b", reason="why")),
        ("j 2", decisions.Jump(step="b", reason="why")),
        ("k", decisions.RestartKernel(reason="why")),
        ("s", decisions.Skip(reason="why")),
    ],
)
def test_every_off_script_choice_takes_reason(line, decision):
    assert Conversation(failed(), line, "why").stop() == decision


def test_invalid_line_is_explained_and_asked_again():
    said = Conversation(failed(), "", "z", "run", "retry", "")
    assert said.stop() == decisions.Retry()
    assert "type a choice; ? explains" in said.text
    assert "'z' is not a choice here" in said.text
    assert "has failed: use retry" in said.text


def test_menu_is_shown_once_and_help_on_request():
    said = Conversation(failed(), "?", "retry", "")
    said.stop()
    assert said.text.count("r retry") == 1
    assert "skip this step" in said.text


@pytest.mark.parametrize("answer", ["", "n", "no", "ye", "retry", "Y e s"])
def test_cancel_needs_typed_yes(answer):
    said = Conversation(failed(), "c", answer, "retry", "")
    assert said.stop() == decisions.Retry()


@pytest.mark.parametrize("answer", ["y", "yes", " YES "])
def test_cancel_takes_reason(answer):
    assert Conversation(failed(), "c", answer, "took too long").stop() == decisions.Cancel(
        reason="took too long"
    )


def test_note_text_is_typed_or_asked_for():
    assert Conversation(failed(), "n called the dba").stop() == decisions.AddNote(
        text="called the dba"
    )
    assert Conversation(failed(), "n", "called her").stop() == decisions.AddNote(text="called her")


def test_empty_note_is_refused():
    said = Conversation(failed(), "n", " ", "retry", "")
    assert said.stop() == decisions.Retry()
    assert "the note is empty" in said.text


def test_withdrawn_question_gives_no_decision():
    assert Conversation(failed(), GONE).stop() is None
    assert Conversation(failed(), "retry", GONE).stop() is None


def test_ctrl_c_is_raised_to_console():
    with pytest.raises(KeyboardInterrupt):
        Conversation(failed(), "retry", KeyboardInterrupt).stop()


def test_third_end_of_file_in_a_row_is_raised():
    said = Conversation(failed(), CTRL_D, CTRL_D, "retry", CTRL_D, "")
    assert said.stop() == decisions.Retry()
    assert "to end the run, choose cancel" in said.text
    with pytest.raises(EOFError):
        Conversation(failed(), CTRL_D, CTRL_D, CTRL_D).stop()


# ── code of one's own ────────────────────────────────────────────────────────────────────────


def test_edit_shows_diff_before_running(editor):
    said = Conversation(failed(), "e", "y", "why")
    assert said.stop() == decisions.Edit(source="# mine\na()", reason="why")
    assert "+# mine" in said.text
    assert editor() == ["a()\n"]


def test_other_step_can_be_edited(editor):
    said = Conversation(failed(), "e 2", "y", "")
    assert said.stop() == decisions.Edit(source="# mine\nb()", step="b")


def test_second_edit_starts_from_first(editor):
    tale = failed().decide("edit", source="a(1)").failure("a", source="a(1)", cause="operator")
    assert Conversation(tale, "e", "y", "").stop() == decisions.Edit(source="# mine\na(1)")
    assert editor() == ["a(1)\n"]


def test_edit_not_run_is_next_draft(editor):
    said = Conversation(failed(), "e", "n", "e", "y", "")
    assert said.stop() == decisions.Edit(source="# mine\n# mine\na()")
    assert editor() == ["a()\n", "# mine\na()\n"]


def test_insert_starts_empty(editor):
    said = Conversation(failed(), "i", "y", "a look")
    assert said.stop() == decisions.Insert(source="# mine", reason="a look")


def test_inserted_cell_can_be_typed_at_the_prompt(editor):
    said = Conversation(failed(), "i\nfor n in 1, 2:\n    print(n)", "y", "a look")
    source = "for n in 1, 2:\n    print(n)"
    assert said.stop() == decisions.Insert(source=source, reason="a look")
    assert "+    print(n)" in said.text
    said = Conversation(failed(), "i   a = 1\n  b = 2", "n", "i", "y", "")
    assert said.stop() == decisions.Insert(source="# mine\na = 1\nb = 2")
    assert editor() == ["a = 1\nb = 2\n"]


def test_unchanged_edit_runs_nothing(monkeypatch):
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", "true")
    said = Conversation(failed(), "e", "retry", "")
    assert said.stop() == decisions.Retry()
    assert "nothing was changed" in said.text
    assert "returned at once" in said.text
    assert "code --wait" in said.text


def test_missing_editor_is_reported_and_asked_again(monkeypatch):
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", "/nowhere/editor")
    said = Conversation(failed(), "e", "retry", "")
    assert said.stop() == decisions.Retry()
    assert "set EDITOR" in said.text


def test_edit_that_is_no_utf8_stays_at_the_prompt_and_is_kept(monkeypatch, tmp_path):
    program = tmp_path / "editor"
    program.write_text(
        '#!/bin/sh\nif grep -aq "caf" "$1"; then printf \'b("done")\\n\' >"$1"; '
        "else printf '# caf\\351\\n' >\"$1\"; fi\n"
    )
    program.chmod(0o755)
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", str(program))
    said = Conversation(failed(), "e", "e", "y", "")
    assert said.stop() == decisions.Edit(source='b("done")')
    assert "line 1 is not UTF-8 (byte 0xe9)" in said.text


def test_editor_that_fails_after_saving_runs_nothing_and_keeps_the_text(monkeypatch):
    monkeypatch.delenv("VISUAL", raising=False)
    twice = 'echo "# more" >>"$0"; test $(grep -c more "$0") = 2'
    monkeypatch.setenv("EDITOR", f"sh -c '{twice}'")
    said = Conversation(failed(), "e", "e", "y", "")
    assert said.stop() == decisions.Edit(source="a()\n# more\n# more")
    assert "sh ended with exit code 1: nothing is run" in said.text


# ── looking ──────────────────────────────────────────────────────────────────────────────────


def looked(line, tale=None, **kind):
    said = Conversation(tale or failed(), line, "retry", "", **kind)
    said.stop()
    return said.text


def test_view_replays_attempts_of_step():
    tale = Run(step("a", "a()")).begin("a").output(stream("half way\n"))
    tale.end("error", ename="E", evalue="bad").stop("step_failed")
    assert "half way" in looked("v", tale)
    assert "half way" in looked("view 1", tale)
    assert "half way" in looked("view a", tale)


def test_view_uses_display_options():
    frames = ["Cell In[1], line 1\n----> 1 a()\n"]
    frames += [f"File /lib/json/{n}.py:{n}, in f()\n----> {n} within()\n" for n in range(3)]
    error = {"output_type": "error", "ename": "E", "evalue": "bad", "traceback": frames}
    tale = Run(step("a", "a()")).begin("a")
    tale.output(stream("".join(f"line {n}\n" for n in range(30)))).output(error)
    tale.end("error", ename="E", evalue="bad").stop("step_failed")
    text = looked("v", tale, display=DisplayOptions(max_lines=4))
    assert "… 26 of 30 lines" in text
    assert "within()" not in text
    text = looked("v", tale, display=DisplayOptions(full_traceback=True))
    assert "line 17\n" in text
    assert text.count("within()") == 3


def test_view_of_step_not_run_shows_source():
    assert "step 2 of 2 · Second, as the runbook has it:" in looked("v 2")
    assert "b()" in looked("v 2")


def test_view_source_shows_runbook_source():
    tale = failed().decide("edit", source="a(1)").failure("a", source="a(1)", cause="operator")
    assert "a()" in looked("v source", tale)


def test_view_left_lists_steps_not_passed():
    text = looked("v left")
    assert "Second" in text
    assert "Title of a" in text


def test_view_of_unknown_step_names_options():
    assert "view left" in looked("v nowhere")


# ── the other questions ──────────────────────────────────────────────────────────────────────


def asking(prompt, *, password):
    asked = ev.InputRequested(step="a", attempt=1, prompt=prompt, password=password)
    return Run(step("a")).begin("a").add(asked)


@pytest.mark.parametrize("password", [True, False])
def test_input_shows_prompt_and_hides_password(password):
    said = Conversation(asking("Host? ", password=password), "db1")
    assert said.dialogue.for_input(said.tale.state, lambda: True) == decisions.Answer(text="db1")
    assert said.keyboard.asked == ["Host? "]
    assert [question.secret for question in said.keyboard.questions] == [password]


def test_input_answer_may_be_empty():
    said = Conversation(asking("Host? ", password=False), "")
    assert said.dialogue.for_input(said.tale.state, lambda: True) == decisions.Answer(text="")


def test_input_prompt_is_escaped():
    said = Conversation(asking("\x1b[2J\n[y/N]", password=False), "x")
    said.dialogue.for_input(said.tale.state, lambda: True)
    assert "\x1b" not in said.keyboard.asked[0]


def test_no_input_request_asks_nothing():
    said = Conversation(failed())
    assert said.dialogue.for_input(said.tale.state, lambda: True) is None


@pytest.mark.parametrize(
    ("answer", "decision"), [("y", decisions.KillKernel()), ("", None), (GONE, None)]
)
def test_kill_needs_typed_yes(answer, decision):
    said = Conversation(Run(step("a")).begin("a"), answer)
    assert said.dialogue.about_kill(said.tale.state, lambda: True) == decision
    assert "loses all its variables" in said.text
