"""Test when who is told, with receivers that fail, hang or take their time."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from nbrun.config.notifications import NotifySetting
from nbrun.core import events as ev
from nbrun.core.events import Event
from nbrun.core.model import Occasion
from nbrun.errors import JournalError, NotificationError
from nbrun.journal.run_directory import RunDirectory
from nbrun.notifications import outbox
from nbrun.notifications.message import Message
from nbrun.notifications.notifier import Notifier
from nbrun.notifications.receivers import Receivers
from tests.support.build_events import (
    approval_rejected,
    decided,
    decision_proposed,
    input_answered,
    input_requested,
    kernel_restarted,
    notification_sent,
    policy,
    run_interrupted,
    run_resumed,
)
from tests.support.run_builder import Run, step

EVERYTHING: tuple[Occasion, ...] = ("stopped", "proposed", "finished")
UNATTENDED = policy(attended=False, on_failure="wait")


class Receiver:
    """A sender that keeps what it gets. It waits while `gate` is closed, and fails `failing` times.

    `at_work` is set while it sends.
    """

    def __init__(self, after: float = 0.0, on: tuple[Occasion, ...] = EVERYTHING) -> None:
        self.name, self.on, self.after, self.timeout, self.tries = "page-me", on, after, 5.0, 3
        self.got: list[Message] = []
        self.failing = 0
        self.gate, self.at_work, self.closed = (threading.Event() for _ in range(3))
        self.gate.set()

    def send(self, message: Message) -> None:
        self.at_work.set()
        assert self.gate.wait(30)
        if self.closed.is_set():
            raise NotificationError("the run has ended")
        if self.failing:
            self.failing -= 1
            raise NotificationError("exit 1")
        self.got.append(message)

    def close(self) -> None:
        self.closed.set()
        self.gate.set()

    def occasions(self) -> list[str]:
        return [message.on for message in self.got]


class NotifiedRun(Run):
    """A run whose records a notifier receives, with one receiver."""

    def __init__(self, receiver: Receiver, receivers: Receivers | None = None, **how: object):
        self.receiver = receiver
        self.reported: list[Event] = []
        self.notifier: Notifier | None = None
        super().__init__(step("check"), step("stop"), **how)  # type: ignore[arg-type]
        self.notifier = Notifier(
            receivers or Receivers(),
            RunDirectory(Path("/srv/runs/a")),
            self.state,
            redact=str,
            report=self.reported.append,
        )
        self.notifier._outboxes.append(outbox.Outbox(receiver, self.reported.append))

    def add(self, *events: Event) -> "Run":
        for event in events:
            known = len(self.records)
            super().add(event)
            if self.notifier is not None:
                self.notifier.receive(self.records[known:])
        return self

    def close(self) -> None:
        assert self.notifier is not None
        self.notifier.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "PAUSE", 0.01)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def wait_until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def of_kind(events: Sequence[Event], kind: type[Event]) -> list[Event]:
    return [event for event in events if isinstance(event, kind)]


def test_stop_is_told_once_and_recorded(receiver: Receiver) -> None:
    run = NotifiedRun(receiver, policy=UNATTENDED)
    run.failure("check")
    wait_until(lambda: run.reported)
    assert run.reported == [ev.NotificationSent(on="stopped", about=4, target="page-me")]
    assert [message.error for message in receiver.got] == ["ValueError: no such host"]


def test_stop_that_an_operator_answers_in_time_is_not_told() -> None:
    receiver = Receiver(after=3600.0)
    run = NotifiedRun(receiver)
    run.failure("check").decide("retry")
    run.attempt("check", cause="operator").attempt("stop").finish()
    run.close()
    assert receiver.occasions() == ["finished"]


def test_operator_who_does_not_answer_in_time_is_told_of() -> None:
    receiver = Receiver(after=0.2)
    began = time.monotonic()
    NotifiedRun(receiver).failure("check")
    wait_until(lambda: receiver.got)
    assert time.monotonic() - began >= 0.2


def test_question_of_a_cell_is_told_until_it_is_answered() -> None:
    receiver = Receiver(after=3600.0)
    run = NotifiedRun(receiver)
    run.begin("check").add(input_requested(step="check"))
    run.add(input_answered(step="check")).end()
    run.close()
    assert receiver.got == []
    asked = NotifiedRun(eager := Receiver(), policy=UNATTENDED)
    asked.begin("check").add(input_requested(step="check"))
    wait_until(lambda: eager.occasions() == ["stopped"])


def test_proposal_is_told_at_once_although_an_operator_is_there() -> None:
    receiver = Receiver(after=3600.0)
    run = NotifiedRun(receiver)
    run.failure("check").add(decision_proposed("skip", step="check"))
    wait_until(lambda: receiver.occasions() == ["proposed"])


def test_rejected_proposal_that_still_waits_to_be_told_is_withdrawn(receiver: Receiver) -> None:
    receiver.gate.clear()
    run = NotifiedRun(receiver, policy=UNATTENDED)
    run.failure("check")
    assert receiver.at_work.wait(20)  # busy with the stop
    run.add(decision_proposed("skip", step="check"), approval_rejected(step="check"))
    receiver.gate.set()
    run.close()
    assert receiver.occasions() == ["stopped"]


def test_slow_receiver_is_told_only_of_the_stop_that_waits(receiver: Receiver) -> None:
    receiver.gate.clear()
    run = NotifiedRun(receiver, policy=UNATTENDED)
    run.failure("check")
    assert receiver.at_work.wait(20)
    for _ in range(50):
        run.decide("retry").failure("check", cause="operator")
    receiver.gate.set()
    wait_until(lambda: len(receiver.got) == 2)
    assert receiver.got[1].seq == len(run.records) - 1


def test_receiver_that_fails_is_tried_again_and_then_recorded(receiver: Receiver) -> None:
    receiver.failing = 2
    run = NotifiedRun(receiver, policy=UNATTENDED)
    run.failure("check")
    wait_until(lambda: run.reported)
    assert isinstance(run.reported[0], ev.NotificationSent)
    receiver.failing = 3
    run.decide("retry").failure("check", cause="operator")
    wait_until(lambda: len(run.reported) == 2)
    failed = run.reported[1]
    assert isinstance(failed, ev.NotificationFailed)
    assert (failed.about, failed.why) == (len(run.records) - 1, "exit 1")


def test_hanging_receiver_delays_neither_the_run_nor_its_end_for_long(receiver: Receiver) -> None:
    receiver.gate.clear()
    receiver.timeout = 0.3
    run = NotifiedRun(receiver, policy=UNATTENDED)
    began = time.monotonic()
    run.failure("check").finish("failed")
    run.close()
    assert receiver.closed.is_set()
    assert time.monotonic() - began < 10
    failed = of_kind(run.reported, ev.NotificationFailed)
    assert [each.why for each in failed][:1] == ["the run has ended"]  # type: ignore[attr-defined]


def test_cancelled_run_tells_its_end_and_not_the_stop() -> None:
    receiver = Receiver(after=3600.0)
    run = NotifiedRun(receiver)
    run.failure("check").add(decided("cancel")).finish("cancelled")
    run.close()
    assert receiver.occasions() == ["finished"]


def test_stop_that_ends_the_run_is_told_where_the_end_is_not() -> None:
    for on, told in ((EVERYTHING, ["finished"]), (("stopped",), ["stopped"])):
        receiver = Receiver(on=on)  # type: ignore[arg-type]
        run = NotifiedRun(receiver, policy=policy(attended=False))
        run.failure("check").finish("failed")
        run.close()
        assert receiver.occasions() == told


def test_stop_is_not_told_again_after_the_run_was_resumed(receiver: Receiver) -> None:
    run = NotifiedRun(receiver, policy=UNATTENDED)
    run.failure("check")
    wait_until(lambda: run.reported)
    run.add(notification_sent(about=4), run_interrupted(), run_resumed()).stop("step_failed")
    run.close()  # it would be sent now
    assert [message.seq for message in receiver.got] == [4]


def test_next_stop_at_the_same_step_is_another_one(receiver: Receiver) -> None:
    run = NotifiedRun(receiver, policy=UNATTENDED)
    run.failure("check")
    wait_until(lambda: run.reported)
    run.add(notification_sent(about=4))
    run.decide("restart").add(kernel_restarted(2)).stop("kernel_restarted")
    run.close()
    assert receiver.occasions() == ["stopped", "stopped"]


def test_stop_that_could_not_be_told_is_told_after_the_run_was_resumed() -> None:
    receiver = Receiver(after=3600.0)
    run = NotifiedRun(receiver)
    run.failure("check").add(run_interrupted(), run_resumed())
    receiver.after = 0.0
    run.stop("step_failed")
    wait_until(lambda: receiver.occasions() == ["stopped"])


def test_service_whose_url_is_missing_at_a_resume_is_recorded() -> None:
    receiver = Receiver(on=("finished",))
    setting = NotifySetting("@env:CHAT", ("stopped",), 1.0, 0.0, Path("nbrun.toml"))
    run = NotifiedRun(receiver, Receivers(missing=((setting, "no such variable"),)))
    run.stop("paused").add(run_interrupted(), run_resumed())
    assert run.reported == [
        ev.NotificationFailed(on="stopped", about=-1, target="@env:CHAT", why="no such variable")
    ]


def test_run_with_nothing_to_tell_starts_no_thread(receiver: Receiver) -> None:
    receiver.name = "idle"
    run = NotifiedRun(receiver)
    run.attempt("check").attempt("stop")
    assert "nbrun-outbox-idle" not in [each.name for each in threading.enumerate()]
    run.close()


def test_run_that_nbrun_can_not_go_on_with_is_told(receiver: Receiver) -> None:
    run = NotifiedRun(receiver)
    run.attempt("check").begin("stop")
    assert run.notifier is not None
    run.notifier.tell_broken(JournalError("/srv/runs/a/journal.jsonl: No space left on device"))
    run.close()
    (told,) = receiver.got
    assert (told.on, told.step and told.step.number, told.event) == ("stopped", 2, {})
    assert told.error == "/srv/runs/a/journal.jsonl: No space left on device"
    assert told.answer == ("nbrun resume /srv/runs/a",)
    assert "waits at step 2" in told.title()


def test_fault_after_the_end_is_not_told_as_a_stop(receiver: Receiver) -> None:
    run = NotifiedRun(receiver)
    run.attempt("check").attempt("stop").finish()
    assert run.notifier is not None
    run.notifier.tell_broken(OSError("after the end"))
    run.close()
    assert receiver.occasions() == ["finished"]
