"""A run whose operator's terminal was lost: it never goes on unasked."""

import pytest

from nbrun.core import events as ev
from nbrun.core.model import Policy
from nbrun.core.planner import NextAttempt, NextStop, what_next
from tests.support.run_builder import OPERATOR, Run, step


def running(**policy: object) -> Run:
    run = Run(step("a"), step("b"), policy=Policy(**policy))  # type: ignore[arg-type]
    return run.add(ev.OperatorAttached(operator=OPERATOR)).begin("a")


def left(*, lost: bool) -> ev.OperatorDetached:
    return ev.OperatorDetached(operator=OPERATOR, why="test", lost=lost)


def test_run_waits_at_its_next_step_when_its_terminal_is_lost() -> None:
    run = running().add(left(lost=True)).end()
    assert what_next(run.state) == NextStop("paused")


@pytest.mark.parametrize(("lost", "attended"), [(False, True), (True, False)])
def test_run_goes_on_when_it_was_told_to(lost: bool, attended: bool) -> None:
    run = running(attended=attended).add(left(lost=lost)).end()
    assert isinstance(what_next(run.state), NextAttempt)


def test_run_goes_on_while_another_operator_is_attached() -> None:
    run = running().add(ev.OperatorAttached(operator=OPERATOR), left(lost=True)).end()
    assert isinstance(what_next(run.state), NextAttempt)


def test_decided_step_runs_and_then_the_run_waits() -> None:
    run = running().end("error").stop("step_failed").decide("retry").add(left(lost=True))
    assert isinstance(what_next(run.state), NextAttempt)
    run.begin("a", cause="operator").end()
    assert what_next(run.state) == NextStop("paused")


def test_terminal_lost_at_a_stop_stops_only_there() -> None:
    run = running().end("error").stop("step_failed").add(left(lost=True))
    run.decide("retry").begin("a", cause="operator").end()
    assert isinstance(what_next(run.state), NextAttempt)
