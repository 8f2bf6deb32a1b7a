"""A console's questions, and the signals that meet them."""

import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from nbrun.core import decisions
from nbrun.core import events as ev
from nbrun.core.decisions import Decision
from nbrun.core.events import Record
from nbrun.core.state import RunState
from nbrun.supervisor.console import Console, PollUpdates
from tests.support import build_events


class Wire:
    """A link of which `news` are what each turn brings, and that ends with them. `meets_interrupt`:
    Ctrl-C is pressed while the news of that turn are being taken."""

    def __init__(self, *news: list[ev.Event], meets_interrupt: int) -> None:
        self._news = [*news]
        self._turn = 0
        self._meets = meets_interrupt
        self._seq = 0
        self._out, self._in = os.pipe()
        os.set_blocking(self._out, False)
        self.sent: list[Decision] = []
        self.wake()

    def fileno(self) -> int:
        return self._out

    @property
    def closed(self) -> bool:
        return bool(self.sent) or self._turn > 50

    def wake(self) -> None:
        os.write(self._in, b"!")

    def receive(self) -> list[Record]:
        self._turn += 1
        if self._turn == self._meets:
            signal.raise_signal(signal.SIGINT)
        os.read(self._out, 100)
        told = self._news.pop(0) if self._news else []
        records = [build_events.record(event, self._seq + n) for n, event in enumerate(told)]
        self._seq += len(records)
        return records

    def send(self, decision: Decision) -> None:
        self.sent.append(decision)

    def leave(self, _reason: str = "") -> None:
        os.close(self._out)
        os.close(self._in)


class Silent:
    def show(self, _state: RunState, _record: Record) -> None: ...
    def flush(self) -> None: ...
    def tick(self) -> None: ...
    def interject(self) -> None: ...
    def suspend(self) -> None: ...
    def resume(self) -> None: ...
    def close(self) -> None: ...


class Waiting:
    """Somebody who types nothing, for as long as the link has something to say."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def at_stop(self, _state: RunState, _news: PollUpdates) -> Decision | None:
        raise AssertionError

    about_kill = at_stop

    def for_input(self, _state: RunState, news: PollUpdates) -> Decision | None:
        self._wire.wake()  # the news of the turn that Ctrl-C meets
        while select.select([self._wire], [], [], 1.0)[0]:
            news()
        return decisions.Answer(text="nothing more was heard")


ASKED: list[ev.Event] = [
    *build_events.begun(),
    build_events.attempt_started(),
    build_events.input_requested(),
]


@contextmanager
def console(wire: Wire) -> Iterator[Console]:
    yield Console(wire, Silent(), Waiting(wire))
    wire.leave()


def test_ctrl_c_that_meets_news_at_a_cells_question_is_not_lost() -> None:
    wire = Wire(ASKED, [build_events.note_added("!")], meets_interrupt=2)
    with console(wire) as following:
        following.follow()
    assert wire.sent == [decisions.Interrupt()]
