"""Typed input: when it counts, and when it must not be stored."""

from nbrun.core import events as ev
from tests.support.build_notebooks import code
from tests.support.terminal import Desk, files_below, wait_until

REASON = "reason (Enter for none, Ctrl-C to go back):"


def test_keys_typed_during_a_step_answer_no_prompt(desk: Desk) -> None:
    wait_for = (
        "print('waiting', flush=True)\n"
        "import os, time\n"
        "while not os.path.exists('{0}'): time.sleep(0.05)\n"
    )
    desk.book(
        code(wait_for.format("one") + "1 / 0", id="fails"),
        code(wait_for.format("two") + "print('got', repr(input('name? ')))", id="asks"),
    )
    terminal = desk.start()
    terminal.until("\nwaiting\n")
    terminal.type_ahead("s\nr\ny\nc\ny\n\n")
    terminal.until("running step 1 of 2")
    (desk.folder / "one").touch()
    terminal.prompted("step 1>")
    terminal.type("hm")
    terminal.until("'hm' is not a choice here")
    assert desk.decisions() == []
    terminal.answer("step 1>", "s")
    terminal.answer(REASON, "")
    terminal.until("\nwaiting\n")
    terminal.type_ahead("yes\n")
    (desk.folder / "two").touch()
    terminal.answer("name?", "Ann")
    terminal.until("got 'Ann'")
    assert terminal.wait() == 3
    assert desk.decisions() == [("skip", "")]
    assert [event.answer for event in desk.events(ev.InputAnswered)] == ["Ann"]


def test_password_reaches_the_cell_and_is_stored_nowhere(desk: Desk) -> None:
    desk.book(
        code("name = input('who is there? ')", id="name"),
        code(
            "import getpass, hashlib\n"
            "given = getpass.getpass('the password: ')\n"
            "print(name, hashlib.sha256(given.encode()).hexdigest()[:8])",
            id="password",
        ),
    )
    terminal = desk.start()
    terminal.answer("who is there?", "Zoë O'Hara")
    terminal.until("answer by root: Zoë O'Hara")
    terminal.answer("the password:", "correct-horse-42")
    terminal.until("Zoë O'Hara 04fb8b28")
    assert terminal.wait() == 0
    assert "answer by root: (a password, not recorded)" in terminal.text()
    assert [event.answer for event in desk.events(ev.InputAnswered)] == ["Zoë O'Hara", None]
    assert b"correct-horse" not in terminal.raw
    kept = dict(files_below(desk.run))
    assert any(path.name == "supervisor.log" for path in kept)
    assert [path for path, data in kept.items() if b"correct-horse" in data] == []
    assert [path.name for path, data in kept.items() if b"O'Hara" in data] != []


def test_ctrl_c_at_a_cells_question_interrupts_the_cell(desk: Desk) -> None:
    desk.book(code("input('really? ')", id="asks"))
    terminal = desk.start()
    terminal.prompted("really?")
    terminal.press("ctrl-c")
    terminal.until("interrupted ·")
    terminal.answer("step 1>", "r")
    terminal.answer(REASON, "")
    terminal.answer("really?", "yes")
    assert terminal.wait() == 3
    assert desk.attempts() == [("asks", 1, "interrupted"), ("asks", 2, "ok")]
    assert desk.decisions() == [("interrupt", ""), ("retry", "")]


def test_prompt_survives_two_ends_of_file_but_not_three(desk: Desk) -> None:
    desk.book(code("1 / 0", id="fails"))
    terminal = desk.start()
    terminal.prompted("step 1>")
    for _ in range(2):
        terminal.press("ctrl-d")
        terminal.until("(end of file; to end the run, choose cancel)")
        terminal.prompted("step 1>")
    terminal.type("v left")  # somebody is there after all
    for _ in range(2):
        terminal.prompted("step 1>")
        terminal.press("ctrl-d")
        terminal.until("(end of file; to end the run, choose cancel)")
    terminal.prompted("step 1>")
    assert desk.decisions() == []
    terminal.press("ctrl-d")
    assert terminal.wait() == 8
    assert desk.decisions() == []
    wait_until(lambda: desk.events(ev.OperatorDetached))
    assert [event.why for event in desk.events(ev.OperatorDetached)] == ["the terminal was lost"]
    assert desk.events(ev.RunFinished) == []
