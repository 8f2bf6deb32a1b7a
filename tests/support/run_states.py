"""Runs that stand somewhere, for the tests of what is decided there and what comes of it."""

from collections.abc import Iterable
from typing import Any

from nbrun.core.decisions import Decision
from nbrun.core.deviations import deviations_of
from nbrun.core.events import Deviated, Event
from nbrun.core.planner import NextAttempt, NextRestart, attempt_started_event, what_next
from nbrun.core.reducer import apply, fold
from nbrun.core.state import RunState
from tests.support.build_events import (
    attempt_failed,
    attempted,
    begun,
    kernel_restarted,
    policy,
    resumed,
    stopped,
    with_deviations,
)
from tests.support.build_events import attempt_started as started
from tests.support.engine_driver import decided as as_decided


def state_of(events: Iterable[Event]) -> RunState:
    return fold(with_deviations(events))


def failed(number: int = 1, plan: Any = 3, **rules: Any) -> list[Event]:
    """Stopped at step `number`, which failed; those before it succeeded."""
    before = [event for n in range(1, number) for event in attempted(f"s{n}")]
    id_ = f"s{number}"
    return [
        *begun(plan, policy(**rules)),
        *before,
        started(id_),
        attempt_failed(id_),
        stopped("step_failed", id_),
    ]


def waiting(number: int = 1, plan: Any = 3, **rules: Any) -> list[Event]:
    """Stopped before step `number` in step mode; those before it succeeded."""
    before = [event for n in range(1, number) for event in attempted(f"s{n}")]
    where = stopped("step_mode", f"s{number}")
    return [*begun(plan, policy(step=True, **rules)), *before, where]


def carried_out(state: RunState, decision: Decision) -> list[Deviated]:
    """What is recorded as deviations when `decision` is taken and, at once, carried out."""
    seen: list[Deviated] = []

    def emit(event: Event) -> None:
        for each in (event, *deviations_of(state, event)):
            apply(state, each)
            if isinstance(each, Deviated):
                seen.append(each)

    emit(as_decided(decision))
    emit(resumed())
    match what_next(state):
        case NextAttempt() as planned if planned.cause == "operator":
            emit(attempt_started_event(state, planned))
        case NextRestart(why=why):
            emit(kernel_restarted(state.generation + 1, why))
    return seen


def kinds(deviations: Iterable[Deviated]) -> list[tuple[str, str | None]]:
    return [(each.kind, each.step) for each in deviations]


def following(*events: Event) -> Any:
    return what_next(state_of(events))
