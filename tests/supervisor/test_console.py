"""A console's questions, and the signals that arrive while one waits."""

import os
import select
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from nbrun.core import decisions
from nbrun.core import events as ev
from nbrun.core.decisions import Decision
from nbrun.core.events import Record
from nbrun.core.state import RunState
from nbrun.supervisor import console as console_module
from nbrun.supervisor.console import Console, PollUpdates
from tests.support import build_events


class ScriptedClient:
    """A client that receives one of `batches` at each call, and closes after a decision.

    Ctrl-C is pressed during the call with the number `interrupted_call`, counted from 1.
    """

    def __init__(self, *batches: list[ev.Event], interrupted_call: int) -> None:
        self._batches = [*batches]
        self._calls = 0
        self._interrupted_call = interrupted_call
        self._seq = 0
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        self.sent: list[Decision] = []
        self.wake()

    def fileno(self) -> int:
        return self._read_end

    @property
    def closed(self) -> bool:
        return bool(self.sent) or self._calls > 50

    def wake(self) -> None:
        os.write(self._write_end, b"!")

    def receive(self) -> list[Record]:
        self._calls += 1
        if self._calls == self._interrupted_call:
            signal.raise_signal(signal.SIGINT)
        os.read(self._read_end, 100)
        events = self._batches.pop(0) if self._batches else []
        records = [build_events.record(event, self._seq + n) for n, event in enumerate(events)]
        self._seq += len(records)
        return records

    def send(self, decision: Decision) -> None:
        self.sent.append(decision)

    def close(self) -> None:
        os.close(self._read_end)
        os.close(self._write_end)


class NullView:
    def show(self, _state: RunState, _record: Record) -> None: ...
    def flush(self) -> None: ...
    def tick(self) -> None: ...
    def interject(self, hide: Callable[[], None]) -> None: ...
    def suspend(self) -> None: ...
    def resume(self) -> None: ...
    def close(self) -> None: ...


class SilentAsker:
    """An operator who types nothing as long as the client has updates."""

    def __init__(self, client: ScriptedClient) -> None:
        self._client = client

    def at_stop(self, _state: RunState, _poll: PollUpdates) -> Decision | None:
        raise AssertionError

    about_kill = at_stop

    def for_input(self, _state: RunState, poll: PollUpdates) -> Decision | None:
        self._client.wake()  # for the batch during which Ctrl-C is pressed
        while select.select([self._client], [], [], 1.0)[0]:
            poll(lambda: None)
        return decisions.Answer(text="no more updates")


CELL_WAITS_FOR_INPUT: list[ev.Event] = [
    *build_events.begun(),
    build_events.attempt_started(),
    build_events.input_requested(),
]


@contextmanager
def console(client: ScriptedClient) -> Iterator[Console]:
    yield Console(client, NullView(), SilentAsker(client))
    client.close()


def test_ctrl_c_during_an_update_at_a_cells_question_interrupts() -> None:
    client = ScriptedClient(
        CELL_WAITS_FOR_INPUT, [build_events.note_added("!")], interrupted_call=2
    )
    with console(client) as following:
        following.follow()
    assert client.sent == [decisions.Interrupt()]


class TypedAsker(SilentAsker):
    """An operator who types a decision at the first stop, once there are no more updates."""

    def at_stop(self, _state: RunState, poll: PollUpdates) -> Decision | None:
        self._client.wake()
        while select.select([self._client], [], [], 0)[0]:
            if not poll(lambda: None):
                return None
        return decisions.Retry()


STOP: list[ev.Event] = [
    *build_events.begun(),
    build_events.attempt_started(),
    build_events.attempt_failed(),
    build_events.stopped(),
]
PROGRAM = msgspec.structs.replace(build_events.OPERATOR, channel="program")


def test_proposal_of_program_does_not_take_the_question_away() -> None:
    client = ScriptedClient(STOP, [build_events.decision_proposed(by=PROGRAM)], interrupted_call=-1)
    following = Console(client, NullView(), TypedAsker(client))
    following.follow()
    client.close()
    assert client.sent == [decisions.Retry(expect_seq=5)]


def test_what_became_of_a_program_does_not_ask_again() -> None:
    """The operator's own decision is on its way: a second question would invite a second one."""
    for event in (
        build_events.decision_refused(by=PROGRAM),
        build_events.decision_proposed(by=PROGRAM),
    ):
        assert not console_module._may_ask_again(event)
    assert console_module._may_ask_again(build_events.decision_refused())
