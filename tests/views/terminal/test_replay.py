"""Replay of a journal, whole or one step, and the table of steps."""

import io

from rich.console import Console

from nbrun.core import events as ev
from nbrun.views.terminal import replay
from tests.support.run_builder import Run, step, stream


class Shown:
    """A screen that keeps what it is given."""

    def __init__(self):
        self.events = []
        self.closed = False

    def show(self, state, record):
        self.events.append(record.event)

    def flush(self):
        pass

    def tick(self):
        pass

    def close(self):
        self.closed = True


def tale():
    made = Run(step("a"), step("b"), step("c", title="Last"))
    made.attempt("a", stream("1\n")).failure("b").note("hm")
    made.decide("retry", reason="again").attempt("b", stream("2\n"), cause="operator")
    return made.finish("cancelled", why="cancelled by the operator")


def test_replay_shows_every_record_and_closes():
    told, screen = tale(), Shown()
    state = replay.replay(told.records, screen)
    assert screen.events == [record.event for record in told.records]
    assert screen.closed
    assert state.finished is not None


def test_replay_of_step_shows_only_its_records():
    screen = Shown()
    replay.replay(tale().records, screen, step="b")
    kinds = [type(event).__name__ for event in screen.events]
    assert kinds == [
        "KernelStarted",
        "AttemptStarted",
        "AttemptFinished",
        "Stopped",
        "Decided",
        "AttemptStarted",
        "Deviated",
        "Output",
        "AttemptFinished",
    ]
    assert all(getattr(event, "step", "b") in ("b", None) for event in screen.events)


def table(records, width=160):
    file = io.StringIO()
    console = Console(file=file, width=width, highlight=False, markup=False, emoji=False)
    console.print(replay.steps_table(records))
    return [" ".join(line.split()) for line in file.getvalue().splitlines()]


def test_steps_table_has_row_for_each_action():
    lines = table(tale().records)
    assert lines == [
        "time step attempt outcome what",
        "09:30:04Z 1 1 ok Title of a · 1.2 s",
        "09:30:06Z 2 1 failed Title of b · 1.2 s · ValueError: no such host",
        "09:30:08Z note ada: hm",
        "09:30:09Z decision ada: retry step 2 (again)",
        "09:30:12Z off script step 2 run again after it had not succeeded (again)",
        "09:30:14Z 2 2 ok Title of b · 1.2 s",
        "09:30:15Z cancelled, off script cancelled by the operator",
        "3 not run: the run was cancelled before it Last",
    ]


def test_steps_table_has_inserted_cell_and_dead_kernel():
    told = Run(step("a")).stop("step_mode").decide("insert", source="peek()")
    told.begin("inserted-1", "peek()", "operator")
    told.add(ev.KernelDied(generation=1, why="killed")).end("kernel_died")
    text = "\n".join(table(told.records))
    assert "inserted-1 1 kernel died" in text
    assert "code that is not in the runbook was run" in text


def test_steps_table_escapes_hostile_text():
    told = Run(step("a", title="[bold]\x1b[2J")).attempt("a").note("\x1b]0;owned\x07")
    assert "\x1b" not in "\n".join(table(told.records))
    assert "[bold]" in "\n".join(table(told.records))
