"""Runs in a given state, for tests of decisions and their results."""

from collections.abc import Iterable
from typing import Any

from nbrun.core import decisions, model
from nbrun.core.approval import Moment
from nbrun.core.decisions import Decision
from nbrun.core.deviations import deviations_of
from nbrun.core.events import Deviated, Event
from nbrun.core.guards import decision_refusal
from nbrun.core.planner import (
    NextAttempt,
    NextRestart,
    NextStop,
    attempt_started_event,
    planned_attempt,
    what_next,
)
from nbrun.core.proposals import approval_events, proposal_event, required_approval
from nbrun.core.reducer import apply, fold
from nbrun.core.state import RUNS_STEP, RunState
from tests.support.build_events import (
    BEGAN,
    OPERATOR,
    attempt_failed,
    attempted,
    begun,
    kernel_restarted,
    kernel_started,
    operator,
    policy,
    resumed,
    run_started,
    step,
    stopped,
    with_deviations,
)
from tests.support.build_events import attempt_started as started
from tests.support.engine_driver import decided_event

GRACE = operator("grace", 1001)
HEIDI = operator("heidi", 1002)
START = Moment(BEGAN, 0.0)
STEP_FOR_DBA = step(1, contract=model.Contract(approve="dba"))


def state_of(events: Iterable[Event]) -> RunState:
    """Return the state after `events` and the deviations that they imply."""
    return fold(with_deviations(events))


def stopped_by_failure(number: int = 1, plan: Any = 3, **rules: Any) -> list[Event]:
    """Return a run that stopped because step `number` failed; those before it succeeded."""
    before = [event for n in range(1, number) for event in attempted(f"s{n}")]
    id_ = f"s{number}"
    return [
        *begun(plan, policy(**rules)),
        *before,
        started(id_),
        attempt_failed(id_),
        stopped("step_failed", id_),
    ]


def stopped_before(number: int = 1, plan: Any = 3, **rules: Any) -> list[Event]:
    """Return a run that stopped before step `number` in step mode; those before it succeeded."""
    before = [event for n in range(1, number) for event in attempted(f"s{n}")]
    where = stopped("step_mode", f"s{number}")
    return [*begun(plan, policy(step=True, **rules)), *before, where]


def recorded_deviations(state: RunState, decision: Decision) -> list[Deviated]:
    """Make `decision` and carry it out; return the deviations that this records."""
    seen: list[Deviated] = []

    def emit(event: Event) -> None:
        for each in (event, *deviations_of(state, event)):
            apply(state, each)
            if isinstance(each, Deviated):
                seen.append(each)

    emit(decided_event(decision))
    emit(resumed())
    following, made = what_next(state), state.decision
    runs_step = made is not None and made.decision in RUNS_STEP
    if isinstance(following, NextStop) and made is not None and runs_step:
        # Its approval is left out here.
        following = planned_attempt(state, made.decision, made.step, made.source)
    match following:
        case NextAttempt() as planned if planned.cause in ("operator", "undo"):
            emit(attempt_started_event(state, planned))
        case NextRestart(why=why):
            emit(kernel_restarted(state.generation + 1, why))
    return seen


def kinds_and_steps(deviations: Iterable[Deviated]) -> list[tuple[str, str | None]]:
    """Return the kind and step of each deviation."""
    return [(each.kind, each.step) for each in deviations]


def next_action(*events: Event) -> Any:
    """Return what a run does next after `events`."""
    return what_next(state_of(events))


def awaiting_approval(**fields: Any) -> list[Event]:
    """Return a run stopped at a step that needs an approval by the group dba."""
    return [run_started((STEP_FOR_DBA, step(2)), **fields), kernel_started(), stopped("approval")]


def state_after(state: RunState, decision: decisions.Approve | decisions.Reject) -> RunState:
    """Apply an approval or rejection by another person to `state`; return it."""
    for event in approval_events(state, GRACE, decision, START):
        apply(state, event)
    return state


def with_approval(
    events: list[Event], by: model.Operator = GRACE, now: Moment = START
) -> list[Event]:
    """Return `events` and an approval of what waits after them."""
    approve = decisions.Approve(binding="")
    return [*events, *approval_events(fold(with_deviations(events)), by, approve, now)]


def with_proposal(events: list[Event], decision: Decision) -> list[Event]:
    """Return `events` and the proposal of `decision`, which is allowed and needs an approval."""
    state = state_of(events)
    assert decision_refusal(state, decision) is None
    why = required_approval(state, decision)
    assert why is not None
    return [*events, proposal_event(state, decision, OPERATOR, why)]
