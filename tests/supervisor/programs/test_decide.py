"""Tests of one decision over a run's socket, up to the answer in its journal."""

import threading
from collections.abc import Callable

import msgspec
import pytest

from nbrun.core import decisions
from nbrun.core import events as ev
from nbrun.core.decisions import Decision
from nbrun.core.events import Event
from nbrun.core.model import Operator
from nbrun.core.state import RunState
from nbrun.engine.engine import SubmittedDecision
from nbrun.errors import NoSupervisorError, UsageError
from nbrun.supervisor.programs.decide import Answer, send_decision
from tests.support.build_events import (
    attempted,
    begun,
    decided,
    decision_proposed,
    decision_refused,
    resumed,
    run_finished,
    stopped,
)
from tests.support.run_states import stopped_by_failure
from tests.support.served_run import TIMEOUT, ServedRun

Reply = Callable[[Operator], list[Event]]


def retry(_state: RunState) -> Decision:
    return decisions.Retry()


class Engine:
    """Reply to the first decision that arrives with the events of `reply`, and end the run then."""

    def __init__(self, run: ServedRun, reply: Reply, *, ends: bool = False) -> None:
        self.got: SubmittedDecision | None = None
        self._run, self._reply, self._ends = run, reply, ends
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        got = self._run.next_in_inbox()
        assert isinstance(got, SubmittedDecision)
        self.got = got
        self._run.record(self._reply(got.operator))
        if self._ends:
            self._run.server.end()


def send(
    run: ServedRun, reply: Reply, *, ends: bool = False, **options: object
) -> tuple[Answer, SubmittedDecision]:
    run.record(stopped_by_failure())
    engine = Engine(run, reply, ends=ends)
    answer = send_decision(run.directory, retry, **options)  # type: ignore[arg-type]
    engine.thread.join(TIMEOUT)
    assert engine.got is not None
    return answer, engine.got


def test_decision_is_about_where_the_run_stood_when_it_was_made(run: ServedRun) -> None:
    answer, got = send(run, lambda who: [decided(by=who), resumed()])
    assert got.decision == decisions.Retry(expect_seq=4)
    assert got.operator.is_program
    assert (answer.result, answer.seq) == ("decided", 5)


def test_expected_place_is_sent_as_given(run: ServedRun) -> None:
    answer, got = send(run, lambda who: [decision_refused(why="moved", by=who)], expect_seq=2)
    assert got.decision.expect_seq == 2
    assert (answer.result, answer.why) == ("refused", "moved")


def test_answer_to_another_program_is_not_taken_for_its_own(run: ServedRun) -> None:
    def reply(who: Operator) -> list[Event]:
        other = msgspec.structs.replace(who, pid=who.pid + 1)
        return [decision_refused(by=other), decided(by=who), resumed()]

    assert send(run, reply)[0].result == "decided"


def test_wait_lasts_to_the_next_stop(run: ServedRun) -> None:
    def reply(who: Operator) -> list[Event]:
        on = [decided(by=who), ev.Deviated(kind="retried", step="s1"), resumed()]
        return [*on, *attempted("s1", 2), stopped("paused", "s2")]

    answer, _ = send(run, reply, wait=True)
    assert answer.fold.state.steps["s1"].attempts == 2
    assert answer.fold.state.stop == stopped("paused", "s2")


@pytest.mark.parametrize(
    ("end", "result"),
    [
        ([ev.ApprovalRejected(operator=begun()[0].operator, step="s1", reason="no")], "rejected"),
        ([decided("skip"), resumed(), run_finished()], "rejected"),
        ([ev.RunInterrupted(why="killed")], "proposed"),
    ],
)
def test_wait_lasts_to_the_end_of_a_proposal(run: ServedRun, end: list[Event], result: str) -> None:
    def reply(who: Operator) -> list[Event]:
        return [decision_proposed("retry", by=who), *end]

    answer, _ = send(run, reply, wait=True, ends=result == "proposed")
    assert answer.result == result


def test_decision_that_can_not_be_made_sends_nothing(run: ServedRun) -> None:
    run.record(stopped_by_failure())

    def make(_state: RunState) -> Decision:
        raise UsageError("there is no step '9'")

    with pytest.raises(UsageError):
        send_decision(run.directory, make)
    assert run.inbox.empty()


def test_supervisor_that_ends_before_it_answers_is_an_error(run: ServedRun) -> None:
    run.record(stopped_by_failure())

    def reply(_who: Operator) -> list[Event]:
        return [run_finished("cancelled")]

    engine = Engine(run, reply, ends=True)
    with pytest.raises(NoSupervisorError, match="nothing is recorded of retry"):
        send_decision(run.directory, retry)
    engine.thread.join(TIMEOUT)
