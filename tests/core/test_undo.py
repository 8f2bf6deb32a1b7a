"""Tests of undos: what can be undone, what an undo changes, and that nothing is undone unasked."""

import msgspec
import pytest

from nbrun.core import decisions, undo
from nbrun.core.deviations import implied_deviations
from nbrun.core.events import Event
from nbrun.core.guards import decision_refusal, missing_input
from nbrun.core.model import Contract, Step
from nbrun.core.planner import NextAttempt, NextStop, planned_attempt, step_label
from nbrun.core.proposals import proposal_event, required_approval
from tests.support.build_events import (
    OPERATOR,
    attempt_failed,
    attempt_finished,
    attempt_indeterminate,
    attempt_settled,
    attempted,
    begun,
    crashed,
    decided,
    kernel_died,
    policy,
    resumed,
    run_resumed,
    runbook_replaced,
    step,
    stopped,
)
from tests.support.build_events import attempt_started as started
from tests.support.run_states import kinds_and_steps, next_action, state_of


def with_undo(number: int, **contract: object) -> Step:
    own = msgspec.structs.replace(
        step(number), id=f"u{number}", source=f"undo_{number}()", contract=Contract(**contract)
    )
    return msgspec.structs.replace(step(number), undo=own)


def failed_at_3(*steps: Step, **rules: object) -> list[Event]:
    """Return a run that stopped because step 3 failed, after two steps that succeeded."""
    plan = steps or (with_undo(1), with_undo(2), step(3))
    return [
        *begun(plan, policy(**rules)),
        *attempted("s1"),
        *attempted("s2"),
        started("s3"),
        attempt_failed("s3"),
        stopped("step_failed", "s3"),
    ]


def undone(number: int, *end: Event) -> list[Event]:
    cell = f"u{number}"
    first = [decided("undo", step=f"s{number}"), resumed(), started(cell, cause="undo")]
    return [*first, *(end or [attempt_finished(cell)])]


def offered(history: list[Event]) -> list[str]:
    return [each.step.id for each in undo.offered(state_of(history))]


def test_steps_are_offered_newest_first() -> None:
    assert offered(failed_at_3()) == ["s2", "s1"]
    again = [decided("run", step="s1"), resumed(), started("s1", 2, cause="operator")]
    again += [attempt_finished("s1", 2), stopped("returned", "s3")]
    assert offered([*failed_at_3(), *again]) == ["s1", "s2"]


def test_failed_step_is_offered_since_a_part_of_it_may_have_happened() -> None:
    assert offered(failed_at_3(with_undo(1), step(2), with_undo(3))) == ["s3", "s1"]


def test_undo_runs_only_after_a_decision_and_stops_after_it() -> None:
    history = [*failed_at_3(), decided("undo", step="s2"), resumed()]
    assert next_action(*history) == NextAttempt("u2", "undo_2()", "undo")
    history = [*failed_at_3(), *undone(2)]
    assert next_action(*history) == NextStop("undone", "step 2 is undone")
    state = state_of(history)
    assert state.current is state.steps["s2"]
    assert state.steps["s2"].undone
    assert kinds_and_steps(state.deviations) == [("undone", "s2")]
    assert offered(history) == ["s1"]


def test_undone_step_does_not_run_again_unasked() -> None:
    history = [*failed_at_3(), *undone(2), stopped("undone", "s2")]
    history += [*undone(1), stopped("undone", "s1"), decided("run"), resumed()]
    history += [started("s1", 2, cause="operator"), attempt_finished("s1", 2)]
    assert next_action(*history) == NextStop("undone", "step 2 is undone")
    again = implied_deviations(state_of([*history, stopped("undone", "s2")]), decisions.Run())
    assert kinds_and_steps(again) == [("reran", "s2")]


def test_step_that_ran_again_can_be_undone_again() -> None:
    history = [*failed_at_3(), *undone(2), stopped("undone", "s2"), decided("run"), resumed()]
    history += [started("s2", 2, cause="operator"), attempt_finished("s2", 2)]
    assert offered(history) == ["s2", "s1"]


def test_failed_undo_leaves_the_step_as_it_was() -> None:
    history = [*failed_at_3(), *undone(2, attempt_failed("u2"))]
    assert next_action(*history) == NextStop("undone", "the undo of step 2 did not succeed")
    state = state_of(history)
    assert state.current is state.steps["s3"]
    assert state.steps["s2"].passed
    assert offered(history) == ["s2", "s1"]
    assert state.counts()["attempts"] == 4


def test_lost_end_of_an_undo_is_asked_about() -> None:
    lost = [*crashed(running="u2", attempt=1), run_resumed(), kernel_died()]
    history = [*failed_at_3(), *undone(2, *lost)]
    assert next_action(*history) == NextStop("indeterminate", step="u2")
    happened = [stopped("indeterminate", "u2"), attempt_settled("u2"), resumed()]
    assert state_of([*history, *happened]).steps["s2"].undone
    unknown = [*happened[:1], attempt_settled("u2", finding="unknown"), resumed()]
    assert not state_of([*history, *unknown]).steps["s2"].undone
    assert step_label(state_of(history), "u2") == "the undo of step 2"


@pytest.mark.parametrize(
    ("finding", "left"), [("happened", ["s2"]), ("did_not_happen", []), ("unknown", ["s2"])]
)
def test_step_that_nobody_saw_end_is_offered_unless_it_did_not_happen(
    finding: str, left: list[str]
) -> None:
    history = [*begun((step(1), with_undo(2))), *attempted("s1"), started("s2")]
    history += [attempt_indeterminate("s2"), stopped("indeterminate", "s2")]
    assert offered([*history, attempt_settled("s2", finding=finding)]) == left


@pytest.mark.parametrize(
    ("history", "number", "why"),
    [
        (failed_at_3(), 3, "step 3 has no undo"),
        (failed_at_3(step(1), step(2), step(3), with_undo(4)), 4, "step 4 was not run"),
        ([*failed_at_3(), *undone(2), stopped("undone", "s2")], 2, "has been undone already"),
        (failed_at_3(), 9, "there is no step 's9'"),
        ([*failed_at_3(), kernel_died()], 2, "the kernel is dead"),
        (failed_at_3(strict=True), 2, "undo would leave the script (undone)"),
    ],
)
def test_undo_is_refused(history: list[Event], number: int, why: str) -> None:
    refusal = decision_refusal(state_of(history), decisions.Undo(step=f"s{number}"))
    assert refusal is not None
    assert why in refusal


def test_gates_of_an_undo_are_its_own() -> None:
    typed = state_of(failed_at_3(with_undo(1, confirm="Sure?", typed="db1"), step(2), step(3)))
    decision = decisions.Undo(step="s1")
    assert missing_input(typed, decision) == "type 'db1' to confirm it"
    assert missing_input(typed, msgspec.structs.replace(decision, typed="db1")) is None
    approve = state_of(failed_at_3(with_undo(1, approve="dba"), step(2), step(3)))
    required = required_approval(approve, decision)
    assert required is not None
    put_up = proposal_event(approve, decision, OPERATOR, required)
    assert (put_up.group, put_up.step, put_up.source) == ("dba", "s1", "undo_1()")


def test_new_runbook_replaces_the_undo_of_a_step_that_did_not_run() -> None:
    first, second = with_undo(1), with_undo(2)
    assert second.undo is not None
    edited = msgspec.structs.replace(second.undo, source="undo_better()")
    new = runbook_replaced((first, msgspec.structs.replace(second, undo=edited)))
    state = state_of([*begun((first, second)), *attempted("s1"), new, *attempted("s2")])
    assert planned_attempt(state, "undo", "s2", None).source == "undo_better()"
    without = runbook_replaced((first, step(2)))
    state = state_of([*begun((first, second)), *attempted("s1"), without, *attempted("s2")])
    assert [each.step.id for each in undo.offered(state)] == ["s1"]


def test_step_done_before_an_attempt_that_did_not_happen_can_still_be_undone() -> None:
    history = [
        *failed_at_3(),
        decided("run", step="s2"),
        resumed(),
        started("s2", 2, cause="operator"),
    ]
    history += [attempt_indeterminate("s2", 2), stopped("indeterminate", "s2")]
    assert offered([*history, attempt_settled("s2", 2, "did_not_happen")]) == ["s2", "s1"]
