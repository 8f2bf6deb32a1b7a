"""Outputs of cells on the screen and in the record: complete, in order, and harmless."""

import re
import signal

import pytest

from nbrun.core import events as ev
from nbrun.journal import reader
from tests.support.build_notebooks import code
from tests.support.terminal import Desk, wait_until

REASON = "reason (Enter for none, Ctrl-C to go back):"

BAR = """import time
for done in range(0, 101, 10):
    print(f'\\rcopied {done:3} %', end='', flush=True)
    time.sleep(0.02)
print()"""
TABLE = "import pandas as pd\npd.DataFrame({'host': ['db7', 'web12'], 'free': [91, 4]})"
LATE = """import os, threading, time
def speak():
    while not os.path.exists('speak'): time.sleep(0.05)
    print('la' + 'te words', flush=True)
threading.Thread(target=speak).start()
{}['no such key']"""
UPDATES = """from IPython.display import display
import time
shown = display({'text/plain': 'state: be' + 'gun'}, raw=True, display_id=True)
for state in ('half ' + 'way', 'all do' + 'ne'):
    time.sleep(0.15)
    shown.update({'text/plain': 'state: ' + state}, raw=True)"""


@pytest.mark.sweep
def test_each_kind_of_output_is_rendered(desk: Desk) -> None:
    desk.book(
        code("import sys\nprint('to out'.upper()); print('to err'.upper(), file=sys.stderr)"),
        code(BAR, id="bar"),
        code(TABLE, id="table"),
        code(UPDATES, id="updates"),
        code(LATE, id="late"),
    )
    terminal = desk.start()
    terminal.prompted("step 5>")
    (desk.folder / "speak").touch()
    terminal.until("late output of step 5 of 5")
    terminal.until("\nlate words\n")
    terminal.prompted("step 5>")
    text = terminal.text()
    for shown in ("TO OUT", "TO ERR", "copied 100 %", "late words", "all done"):
        assert text.count(shown) == 1, (shown, text)
    assert "copied  50 %" not in text
    assert "state: begun" not in text
    assert "KeyError: 'no such key'" in text
    assert "<table" not in text
    rows = [line.split() for line in text.splitlines()]
    assert ["0", "db7", "91"] in rows
    assert ["1", "web12", "4"] in rows
    terminal.type("c")
    terminal.answer("end the run here? [y/N]", "y")
    terminal.answer(REASON, "")
    assert terminal.wait() == 5
    late = [event for event in desk.events(ev.Output) if event.late]
    assert [event.step for event in late] == ["late"]
    assert "".join(event.output["text"] for event in late) == "late words\n"
    assert "\rcopied  50 %" in desk.printed("bar")
    assert len(desk.events(ev.OutputUpdated)) == 2
    (display,) = desk.code_cells()[3].outputs
    assert display.data["text/plain"] == "state: all done"
    assert "late words" in "".join(desk.code_cells()[4].outputs[-1].text)


STREAM = """import os, time
n = 0
while not os.path.exists('enough'):
    print(f'{n:04}' + 'x' * 96, flush=True)
    n += 1; time.sleep(0.03)
print('coun' + 'ted', n)"""
ROWS = {140: r"(\d{4}x{96}\n)+", 60: r"(x{40}\n)?(\d{4}x{56}\nx{40}\n)+"}


@pytest.mark.sweep
def test_resize_during_output_leaves_a_correct_screen(desk: Desk) -> None:
    desk.book(code(STREAM))
    terminal = desk.start("--max-lines", "0", columns=140)
    terminal.until("0016x")
    for columns in (60, 140):
        terminal.resize(columns)
        region = rf"print\('coun' \+ 'ted', n\)\n{ROWS[columns]}running step 1 of 1 [^\n]*\Z"
        terminal.until(lambda shape=region: re.search(shape, terminal.text()))
    assert not terminal.screen.scrolled
    (desk.folder / "enough").touch()
    assert terminal.wait() == 0
    count = int(terminal.text().partition("\ncounted ")[2].split()[0])
    rows = re.findall(r"^(\d{4})x{96}$", terminal.text(), re.M)
    assert rows == [f"{number:04}" for number in range(count)]
    assert "\nrunning" not in terminal.text()


HOSTILE = (
    "\x1b]0;owned title\x07"
    "\x1b]52;c;b3duZWQ=\x07"
    "\x1b[2J\x1b[H\x1b[3J"
    "\x1bc"
    "\x9b2J\x9d0;owned c1\x9c"
    "\x1b[?1049h\x1b[8;1;1t\x1b[5n\x1b[6n"
    "\x1bP+q544e\x1b\\"
    "\u202egnp.exe\u202c \u2066hidden\u2069"
    "\x08\x08\x07\x00\x7f"
)


FORBIDDEN = (
    *("\x1b]", "\x1bc", "\x1bP", "\x1b[2J", "\x1b[3J", "\x1b[?1049", "\x07"),
    *("\x9b", "\x9d", "\u202e", "\u2066"),
)


@pytest.mark.sweep
def test_hostile_output_is_harmless_and_recorded_unchanged(desk: Desk) -> None:
    attack = f"hostile = {HOSTILE!a}\n"
    desk.book(
        code("print('stays to be re' + 'ad')", id="first"),
        code(
            attack + "import sys\n"
            "print(hostile); print(hostile, file=sys.stderr)\n"
            "display({'text/plain': hostile}, raw=True)\n"
            "raise ValueError(hostile)",
            id="attack",
        ),
    )
    terminal = desk.start()
    terminal.prompted("step 2>")
    terminal.type("v")
    terminal.prompted("step 2>")
    terminal.type("s")
    terminal.answer(REASON, "")
    assert terminal.wait() == 3
    again = desk.open("log")
    assert again.wait() == 0
    for each in (terminal, again):
        assert "stays to be read" in each.text()
        assert each.text().startswith("runbook")
        assert each.screen.title == ""
        raw = bytes(each.raw)
        assert [each for each in FORBIDDEN if each.encode() in raw] == []
    assert desk.printed("attack") == HOSTILE + "\n"
    displayed = [event.output for event in desk.events(ev.Output) if "data" in event.output]
    assert displayed[0]["data"]["text/plain"] == HOSTILE
    assert desk.events(ev.AttemptFinished)[-1].evalue == HOSTILE
    outputs = desk.code_cells()[1].outputs
    assert "".join(outputs[0].text) == HOSTILE + "\n"


FLOOD = """from IPython.display import display
for number in range({count}):
    display({{'text/plain': f'n{{number}}'}}, raw=True)
print('x' * 150_000, 'that was' + ' all')  # more than a terminal takes before it is read"""


def assert_nothing_is_lost(desk: Desk, count: int) -> None:
    """Assert that journal and notebook hold all displays, in order."""
    wanted = [f"n{number}" for number in range(count)]
    events = [event.output for event in desk.events(ev.Output)]
    kept = [output["data"]["text/plain"] for output in events if "data" in output]
    assert len(kept) == count
    assert kept == wanted
    outputs = desk.code_cells()[0].outputs
    assert [each.data["text/plain"] for each in outputs if "data" in each] == wanted


def has_ended(desk: Desk) -> bool:
    last = reader.last_record(desk.run / "journal.jsonl")
    return last is not None and isinstance(last.event, ev.RunFinished)


def stalled(desk: Desk, count: int, how: str = "unread") -> None:
    """Run a cell that prints much while its terminal is stalled, until the run has ended.

    `how`: nobody reads the terminal, Ctrl-S is pressed, or the console is stopped.
    """
    desk.book(code(FLOOD.format(count=count), id="flood"))
    terminal = desk.start("--max-lines", "0")
    terminal.until("n7")
    if how == "ctrl-s":
        terminal.type_ahead("\x13")
    elif how == "stopped":
        terminal.signal(signal.SIGSTOP)
    wait_until(lambda: has_ended(desk), timeout=240)
    assert not terminal.ended
    assert "that was all" not in terminal.text()
    if how == "ctrl-s":
        terminal.read(0)
        assert "that was all" not in terminal.text()
        terminal.type_ahead("\x11")
    elif how == "stopped":
        terminal.signal(signal.SIGCONT)
    assert terminal.wait(timeout=240) == 0
    assert "that was all" in terminal.text()
    assert_nothing_is_lost(desk, count)


@pytest.mark.parametrize(
    "how",
    ["unread", *(pytest.param(how, marks=pytest.mark.sweep) for how in ("ctrl-s", "stopped"))],
)
def test_stalled_terminal_delays_no_run_and_loses_no_output(desk: Desk, how: str) -> None:
    stalled(desk, 3_000, how)


@pytest.mark.sweep
@pytest.mark.parametrize("_turn", range(10))
def test_stalled_terminal_loses_none_of_50_000_displays(desk: Desk, _turn: int) -> None:
    stalled(desk, 50_000)
