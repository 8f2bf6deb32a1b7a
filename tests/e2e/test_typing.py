"""Typed input: when it counts, and when it must not be stored."""

import signal

import psutil
import pytest

from nbrun.core import events as ev
from tests.support.build_notebooks import code
from tests.support.terminal import Desk, Terminal, files_below, wait_until

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


def test_late_output_neither_splits_nor_loses_a_half_typed_line(desk: Desk) -> None:
    prints_later = (
        "import os, threading, time\n"
        "def wait():\n"
        "    while not os.path.exists('now'): time.sleep(0.05)\n"
        "    print('the disk is full', flush=True)\n"
        "threading.Thread(target=wait).start()\n"
        "1 / 0"
    )
    desk.book(code(prints_later, id="fails"), code("print('destroyed')", id="destroys"))
    terminal = desk.start()
    terminal.prompted("step 1>")
    terminal.type_ahead("n bob asks whether we may ")
    terminal.prompted("n bob asks whether we may")
    (desk.folder / "now").touch()
    terminal.until("the disk is full")
    terminal.prompted("step 1> n bob asks whether we may")
    terminal.type("go")
    terminal.until("note by")
    terminal.answer("step 1>", "d")
    assert terminal.wait() == 8
    assert [event.text for event in desk.events(ev.NoteAdded)] == ["bob asks whether we may go"]
    assert desk.decisions() == []


def test_paste_answers_one_prompt_and_presses_no_enter(desk: Desk) -> None:
    desk.book(code("1 / 0", id="fails"), code("print('destroyed')", id="destroys"))
    terminal = desk.start()
    terminal.prompted("step 1>")
    terminal.type_ahead("\x1b[200~s\rbecause\rgo\r\x1b[201~\x1b[?62;1;6c")
    terminal.until("because")
    terminal.type("")
    terminal.until("several lines are not a choice here")
    terminal.prompted("step 1>")
    assert desk.decisions() == []
    terminal.type("s")
    terminal.prompted(REASON)
    terminal.type_ahead("\x1b[200~line one\rline two\r\x1b[201~")
    terminal.until("line two")
    terminal.type("")
    assert terminal.wait() == 3
    assert desk.decisions() == [("skip", "line one\nline two")]


def test_cells_question_shows_its_lines_and_colours(desk: Desk) -> None:
    asks = r"print('got', len(input('\x1b[31mwhich host?\x1b[0m\n1 db1\n2 db2\nnumber: ')))"
    desk.book(code(asks, id="asks"))
    terminal = desk.start()
    terminal.until("which host?\n1 db1\n2 db2\nnumber:")
    terminal.prompted("number:")
    terminal.type("x" * 10_000)
    terminal.until("got 10000")
    assert terminal.wait() == 0
    assert b"\x1b[31mwhich host?" in terminal.raw


@pytest.mark.parametrize("way", ["dumb", "--plain"])
def test_plain_reader_keeps_the_rules_without_an_escape(desk: Desk, way: str) -> None:
    desk.variables |= {"TERM": "dumb"} if way == "dumb" else {}
    desk.book(
        code("1 / 0", id="fails"), code("import getpass; p = getpass.getpass('p: ')", id="asks")
    )
    terminal = desk.start(*([way] if way == "--plain" else []))
    terminal.prompted("step 1>")
    terminal.type_ahead("s\rbecause\rgo\r")
    terminal.until("because")
    terminal.type("")
    terminal.until("several lines are not a choice here")
    terminal.answer("step 1>", "sx\x7f")
    terminal.answer(REASON, "x" * 6_000)
    terminal.answer("p:", "hunter-2")
    assert terminal.wait() == 3
    assert desk.decisions() == [("skip", "x" * 6_000)]
    assert b"\x1b" not in terminal.raw
    assert b"hunter" not in terminal.raw


@pytest.mark.sweep
def test_keys_typed_before_the_question_approve_nothing(desk: Desk) -> None:
    desk.book(code("print('destroyed')", id="destroys", tags=["approve"]))
    waiting = desk.start()
    waiting.until("STOPPED at step 1")
    waiting.prompted("step 1>")
    terminal = desk.open("approve", "last")
    terminal.type_ahead("y\r")
    terminal.prompted("approve this? [y/N]")
    terminal.press("ctrl-d")
    assert terminal.wait() == 2
    assert "nothing was approved" in terminal.text()
    assert desk.attempts() == []


# ── a shell's job control ────────────────────────────────────────────────────────────────────

SHELL_PROMPT = "shell:"


def shell(desk: Desk) -> Terminal:
    """Open an interactive shell whose `$NBRUN` is nbrun."""
    desk.variables |= {"PS1": f"{SHELL_PROMPT} ", "NBRUN": " ".join(desk.nbrun)}
    desk.variables |= {"INPUTRC": "/dev/null", "HISTFILE": "/dev/null"}
    desk.nbrun = ["bash", "--norc", "--noprofile", "-i"]
    terminal = desk.open()
    terminal.prompted(SHELL_PROMPT)
    return terminal


def echoes(terminal: Terminal) -> bool:
    """Return True if what is typed at the shell is shown as it is typed: `stty` says so."""
    terminal.type("stty -a | tr ';' ' ' | tr -s ' ' '\\n' | grep -xE -- '-?(echo|icanon|isig)'")
    terminal.prompted(SHELL_PROMPT)
    shown = terminal.since_typed().split()[:3]
    return sorted(shown) == ["echo", "icanon", "isig"]


def test_secret_stays_unseen_after_ctrl_z_and_fg(desk: Desk) -> None:
    desk.book(code("token = ''", tags=["parameters"]), code("print(len(token))", id="use"))
    terminal = shell(desk)
    terminal.type("$NBRUN start runbook.ipynb -p token=@prompt")
    terminal.prompted("token (secret):")
    terminal.press("ctrl-z")
    terminal.until("Stopped")
    terminal.prompted(SHELL_PROMPT)
    assert echoes(terminal)
    terminal.type("fg")
    terminal.prompted("token (secret):")
    terminal.type("hunter-2222")
    terminal.until("completed")
    terminal.prompted(SHELL_PROMPT)
    assert b"hunter" not in terminal.raw
    assert "11" in desk.printed("use")
    assert echoes(terminal)


def test_run_started_in_the_background_asks_after_fg(desk: Desk) -> None:
    desk.book(code("1 / 0", id="fails"))
    terminal = shell(desk)
    terminal.type("$NBRUN start runbook.ipynb &")
    terminal.until("STOPPED at step 1")
    started = start_below(terminal)
    wait_until(lambda: started.status() == psutil.STATUS_STOPPED)
    terminal.type("")
    terminal.until("Stopped")
    terminal.prompted(SHELL_PROMPT)
    terminal.type("fg")
    terminal.prompted("step 1>")
    terminal.type_ahead("n bob is")
    terminal.prompted("step 1> n bob is")
    terminal.press("ctrl-z")
    terminal.until("Stopped")
    terminal.prompted(SHELL_PROMPT)
    terminal.type("fg")
    terminal.prompted("step 1> n bob is")
    terminal.type(" here")
    terminal.until("bob is here")
    terminal.answer("step 1>", "d")
    terminal.prompted(SHELL_PROMPT)
    assert [event.text for event in desk.events(ev.NoteAdded)] == ["bob is here"]
    assert echoes(terminal)


def test_line_is_not_redrawn_over_output_that_tee_shows(desk: Desk) -> None:
    desk.book(code("1 / 0", id="fails"))
    terminal = shell(desk)
    terminal.type("$NBRUN start runbook.ipynb | tee log")
    terminal.until("STOPPED at step 1")
    terminal.prompted("step 1>")
    begin = terminal.raw.index(b"STOPPED at step 1")
    terminal.type("d")
    terminal.until("nbrun attach")
    assert b"\x1b" not in terminal.raw[begin : terminal.raw.index(b"you detached")]
    terminal.prompted(SHELL_PROMPT)
    assert echoes(terminal)


@pytest.mark.parametrize("number", ["TERM", "HUP", "QUIT", "INT"])
def test_signal_at_a_secret_prompt_leaves_the_terminal_right(desk: Desk, number: str) -> None:
    desk.book(code("token = ''", tags=["parameters"]))
    terminal = shell(desk)
    terminal.type("$NBRUN start runbook.ipynb -p token=@prompt")
    terminal.prompted("token (secret):")
    start_below(terminal).send_signal(getattr(signal, f"SIG{number}"))
    terminal.prompted(SHELL_PROMPT)
    assert echoes(terminal)
    assert bytes(terminal.raw).count(b"\x1b[?2004h") >= 1
    assert terminal.raw.rindex(b"\x1b[?2004l") > 0
    assert not desk.runs.exists() or list(desk.runs.iterdir()) == []


def start_below(shell: Terminal) -> psutil.Process:
    """Return the process of `nbrun start` that a shell has started."""
    children = psutil.Process(shell.pid).children()
    return next(each for each in children if "start" in each.cmdline())


# ── the keys of a playback ───────────────────────────────────────────────────────────────────


def recorded(desk: Desk) -> Terminal:
    """Record a run of some seconds, and open a shell."""
    desk.book(code("import time; time.sleep(0.4); print('dul' + 'l')"), code("print('la' + 'st')"))
    assert desk.unattended().returncode == 0
    return shell(desk)


def test_playback_reads_keys_after_ctrl_z_and_fg(desk: Desk) -> None:
    terminal = recorded(desk)
    terminal.type("$NBRUN log last --timing --speed 0.01")
    terminal.until("space: pause")
    terminal.type_ahead("\x1b[?62;1;6c\x1b[0n\x1b[200~qq\x1b[201~")  # no key among them
    terminal.type_ahead(" ")
    terminal.until("paused")
    terminal.press("ctrl-z")
    terminal.until("Stopped")
    terminal.prompted(SHELL_PROMPT)
    assert echoes(terminal)
    terminal.type("fg")
    terminal.type_ahead("2g")
    terminal.until("paused at this step")
    assert "space: pause" not in terminal.since_typed()
    terminal.type_ahead("q")
    terminal.prompted(SHELL_PROMPT)
    assert echoes(terminal)


def test_playback_under_timeout_plays_without_keys(desk: Desk) -> None:
    terminal = recorded(desk)
    terminal.type("timeout 50 $NBRUN log last --timing --speed 20")
    terminal.until("completed, on script")
    terminal.prompted(SHELL_PROMPT)
    assert echoes(terminal)


def test_signal_that_ends_a_playback_leaves_the_terminal_right(desk: Desk) -> None:
    terminal = recorded(desk)
    terminal.type("$NBRUN log last --timing --speed 0.01")
    terminal.until("space: pause")
    terminal.type_ahead(" ")
    terminal.until("paused")
    (child,) = psutil.Process(terminal.pid).children()
    child.terminate()
    terminal.prompted(SHELL_PROMPT)
    assert echoes(terminal)
