"""Supervisors killed at random moments: each step takes effect exactly once."""

import os
import random
import re
import signal
import time

import pytest

from nbrun.core import events as ev
from tests.e2e.test_detach import REASON
from tests.support.build_notebooks import code
from tests.support.terminal import Desk, Terminal, is_gone, supervisor_of, wait_until

STEPS = 8
CELL = """import time
time.sleep(0.1)
open('effects', 'a').write('{n}\\n')
time.sleep(0.1)
print('do' + 'ne {n}')"""


def effects(desk: Desk) -> list[int]:
    path = desk.folder / "effects"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def kill_supervisor(desk: Desk) -> None:
    pid = supervisor_of(desk.run)
    if pid is not None:
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: is_gone(pid))


def answer(desk: Desk, terminal: Terminal) -> None:
    """Answer the question on the screen truthfully, if there is one and the command goes on."""
    try:
        answer_question(desk, terminal)
    except AssertionError:
        if not terminal.ended:
            raise


def answer_question(desk: Desk, terminal: Terminal) -> None:
    row = terminal.screen.row(terminal.screen.cursor.y).strip()
    asked = re.fullmatch(r"did step (\d+) happen\?", row)
    if asked:
        terminal.type("happened" if int(asked[1]) in effects(desk) else "not")
        terminal.answer(REASON, "looked at the host")
    elif re.fullmatch(r"step \d+>", row):
        terminal.type("r")
        terminal.until(lambda: terminal.screen.row(terminal.screen.cursor.y) != row)
        if REASON.split()[0] in terminal.screen.row(terminal.screen.cursor.y):
            terminal.answer(REASON, "")


def follow_or_kill(desk: Desk, terminal: Terminal, moment: float) -> None:
    """Follow the run to its end, or kill the supervisor after `moment` seconds."""
    deadline = time.monotonic() + moment
    while not terminal.ended:
        answer(desk, terminal)
        terminal.read(0.02)
        if time.monotonic() > deadline:
            kill_supervisor(desk)
            deadline = float("inf")
    terminal.wait()


def shown(terminal: Terminal) -> set[int]:
    return {int(number) for number in re.findall(r"^done (\d+)$", terminal.text(), re.MULTILINE)}


def run_and_kill(desk: Desk, chance: random.Random) -> None:
    cells = [code(CELL.format(n=n), id=f"s{n}") for n in range(1, STEPS + 1)]
    desk.book(*cells)
    terminals = [desk.start()]
    terminals[0].until("starting the kernel")
    follow_or_kill(desk, terminals[0], chance.uniform(0.1, 3.0))
    for _ in range(20):
        if desk.events(ev.RunFinished):
            break
        terminals.append(desk.open("resume"))
        follow_or_kill(desk, terminals[-1], chance.uniform(0.5, 3.0))
    assert desk.finish().outcome == "completed"
    assert effects(desk) == list(range(1, STEPS + 1)), "an effect came twice, or not at all"
    recorded = {n for n in range(1, STEPS + 1) if f"done {n}\n" in desk.printed(f"s{n}")}
    assert set().union(*map(shown, terminals)) <= recorded, "the screen knew more than the journal"
    started = [(event.step, event.attempt) for event in desk.events(ev.AttemptStarted)]
    assert len(started) == len({*started})
    ends = (*desk.events(ev.AttemptFinished), *desk.events(ev.AttemptIndeterminate))
    assert {(event.step, event.attempt) for event in ends} == {*started}


@pytest.mark.sweep
def test_run_killed_at_some_moments_has_each_effect_once(desk: Desk) -> None:
    run_and_kill(desk, random.Random(1))


@pytest.mark.sweep
@pytest.mark.parametrize("seed", range(2, 12))
def test_run_killed_at_many_moments_has_each_effect_once(desk: Desk, seed: int) -> None:
    run_and_kill(desk, random.Random(seed))
