"""Tests of what a run does next."""

from typing import Any

import pytest

from nbrun.core import events as ev
from nbrun.core import model
from nbrun.core.events import Event
from nbrun.core.model import Step
from nbrun.core.planner import (
    NextAttempt,
    NextFinish,
    NextRestart,
    NextStop,
    attempt_started_event,
    step_label,
    unattended_end,
    waits_for_decision,
)
from nbrun.core.reducer import fold
from tests.support.build_events import (
    attempt_failed,
    attempt_finished,
    attempted,
    begun,
    crashed,
    decided,
    kernel_died,
    kernel_idle,
    kernel_interrupted,
    kernel_reattached,
    kernel_restarted,
    operator_attached,
    policy,
    resumed,
    run_resumed,
    run_started,
    step,
    steps,
    stopped,
    uneventful,
)
from tests.support.build_events import attempt_started as started
from tests.support.run_states import next_action, state_of, stopped_before, stopped_by_failure

# ── Automatic retries ────────────────────────────────────────────────────────────────────────


STUBBORN = step(1, contract=model.Contract(retries=2, retry_delay=5.0))
AGAIN = NextAttempt("s1", "step_1()", "retry", delay=5.0)


def test_declared_retries_run_and_stay_on_script() -> None:
    history = [*begun([STUBBORN]), started(), attempt_failed()]
    for attempt in (2, 3):
        assert next_action(*history) == AGAIN
        history += [started(attempt=attempt, cause="retry"), attempt_failed(attempt=attempt)]
    assert next_action(*history) == NextStop("step_failed")
    assert state_of(history).deviations == []


def test_timeout_is_retried_but_interrupt_and_death_are_not() -> None:
    history = [*begun([STUBBORN]), started()]
    assert next_action(*history, attempt_finished(outcome="timed_out")) == AGAIN
    for outcome in ("interrupted", "kernel_died"):
        assert next_action(*history, attempt_finished(outcome=outcome)) == NextStop("step_failed")


def test_operators_attempt_is_not_retried_automatically() -> None:
    history = [*begun([STUBBORN]), started(), attempt_finished(outcome="interrupted"), stopped()]
    history += [decided("retry"), resumed(), started(attempt=2, cause="operator")]
    assert next_action(*history, attempt_failed(attempt=2)) == NextStop("step_failed")


def test_interrupt_during_retry_delay_stops_run() -> None:
    history = [*begun([STUBBORN]), started(), attempt_failed(), decided("interrupt")]
    assert next_action(*history) == NextStop("step_failed")


# ── Next actions ─────────────────────────────────────────────────────────────────────────────


def test_run_executes_steps_in_order_and_completes() -> None:
    events = uneventful(2)
    assert next_action(*events[:2]) == NextAttempt("s1", "step_1()", "script")
    assert next_action(*events[:4]) == NextAttempt("s2", "step_2()", "script")
    assert next_action(*events[:6]) == NextFinish("completed", "every step was passed")


def test_failed_step_stops_run() -> None:
    assert next_action(*stopped_by_failure(2)[:-1]) == NextStop("step_failed")


def test_no_step_runs_without_kernel() -> None:
    assert next_action(run_started()) == NextStop("kernel_died")
    assert next_action(*begun(), kernel_died()) == NextStop("kernel_died")


def test_kernel_death_after_last_step_changes_nothing() -> None:
    assert next_action(*begun(1), *attempted(), kernel_died()).outcome == "completed"


def test_step_mode_stops_before_each_step_until_continue() -> None:
    history = stopped_before(2)
    assert next_action(*history[:-1]) == NextStop("step_mode")
    ran = [
        *history,
        decided("run"),
        resumed(),
        started("s2", cause="operator"),
        attempt_finished("s2"),
    ]
    assert next_action(*ran) == NextStop("step_mode")
    going = [
        decided("continue"),
        resumed(),
        started("s2", cause="operator"),
        attempt_finished("s2"),
    ]
    assert next_action(*history, *going) == NextAttempt("s3", "step_3()", "script")


def test_fill_step_stops_run_until_it_succeeds() -> None:
    plan = begun(steps(2, s1=["fill"]))
    assert next_action(*plan) == NextStop("fill")
    filled = [stopped("fill"), decided("edit", source="x = 1"), resumed()]
    ran = [*filled, started(source="x = 1", edited=True, cause="operator"), attempt_finished()]
    assert next_action(*plan, *ran) == NextAttempt("s2", "step_2()", "script")


def test_interrupt_between_steps_pauses_before_next() -> None:
    assert next_action(*begun(), decided("interrupt")) == NextStop("paused")


def test_run_returns_to_current_step_after_other_cell() -> None:
    run = [decided("run", "s3"), resumed()]
    ran = [started("s3", cause="operator"), attempt_finished("s3")]
    insert = [decided("insert", source="look()"), resumed()]
    looked = [started("inserted-1", cause="operator"), attempt_failed("inserted-1")]
    for stop in (stopped_by_failure(1), [*begun(), stopped("paused")], stopped_before(1)):
        assert next_action(*stop, *run, *ran) == NextStop("returned")
        assert next_action(*stop, *insert, *looked) == NextStop("returned")


def test_step_run_ahead_is_not_run_again() -> None:
    ahead = [decided("run", "s2"), resumed(), started("s2", cause="operator")]
    history = [
        *stopped_by_failure(1),
        *ahead,
        attempt_finished("s2"),
        stopped("returned"),
        decided("retry"),
    ]
    again = [resumed(), started("s1", 2, cause="operator"), attempt_finished("s1", 2)]
    assert next_action(*history, *again) == NextAttempt("s3", "step_3()", "script")


def test_earlier_step_that_fails_becomes_current() -> None:
    aside = [decided("run", "s1"), resumed(), started("s1", 2, cause="operator")]
    assert next_action(*stopped_by_failure(2), *aside, attempt_failed("s1", 2)) == NextStop(
        "step_failed"
    )


def test_jump_stops_at_target_even_if_failed() -> None:
    history = [*stopped_by_failure(2), decided("jump", "s1"), resumed()]
    assert next_action(*history) == NextStop("moved")


def test_cancel_and_exit_finish_the_run() -> None:
    assert next_action(*stopped_by_failure(1), decided("cancel"), resumed()).outcome == "cancelled"
    ended = next_action(*begun(), started(), attempt_finished(ended_run=True))
    assert (ended.outcome, "step 1" in ended.why) == ("completed", True)


def test_run_uses_runbook_source_and_retry_last_source() -> None:
    edited = [decided("edit", source="other()"), resumed()]
    ran = [started(attempt=2, source="other()", edited=True, cause="operator")]
    history = [*stopped_by_failure(1), *edited, *ran, attempt_failed(attempt=2), stopped()]
    again = next_action(*history, decided("retry"), resumed())
    assert again == NextAttempt("s1", "other()", "operator")
    assert attempt_started_event(state_of(history), again).edited
    assert attempt_started_event(state_of(history), again).attempt == 3
    plain = next_action(*history, decided("run", "s1"), resumed())
    assert plain == NextAttempt("s1", "step_1()", "operator")
    assert not attempt_started_event(state_of(history), plain).edited


def test_inserted_cells_get_unused_ids() -> None:
    plan: list[Step] = [step(1, id="inserted-1"), step(2, id="inserted-3")]
    events: list[Event] = [*begun(plan), stopped("paused", "inserted-1")]
    seen = []
    for _ in range(3):
        events += [decided("insert", source="look()"), resumed()]
        planned = next_action(*events)
        seen.append(planned.step)
        events += [attempt_started_event(state_of(events), planned), attempt_finished(planned.step)]
        events.append(stopped("returned", "inserted-1"))
    assert seen == ["inserted-2", "inserted-4", "inserted-5"]


def test_restart_reruns_setup_steps_then_stops() -> None:
    plan = steps(3, s1=["parameters"])
    history = [*stopped_by_failure(3, plan), decided("restart", reason="out of memory"), resumed()]
    assert next_action(*history) == NextRestart("out of memory")
    history += [kernel_restarted()]
    assert next_action(*history) == NextAttempt("s1", "step_1()", "setup")
    history += [started("s1", 2, cause="setup"), attempt_finished("s1", 2)]
    assert next_action(*history) == NextStop("kernel_restarted")


def test_no_kernel_starts_by_itself_while_the_old_one_may_run() -> None:
    history = [*begun(3), *attempted(), *crashed(), run_resumed(), kernel_died(may_run=True)]
    for _ in range(2):  # also when the run is resumed once more
        assert state_of(history).may_have_kernel
        assert next_action(*history) == NextStop("kernel_died")
        stop = [stopped("kernel_died", "s2"), *crashed(), run_resumed()]
        history += [*stop, kernel_died(may_run=True)]
    found = [*history[:-1], kernel_reattached(), kernel_idle()]
    assert isinstance(next_action(*found), NextAttempt)
    gone = [*history[:-1], kernel_died()]
    assert isinstance(next_action(*gone), NextRestart)


def test_failed_setup_step_after_restart_stops_run() -> None:
    plan = steps(3, s1=["setup"], s2=["setup"])
    history = [*stopped_by_failure(3, plan), decided("restart"), resumed(), kernel_restarted()]
    history += [started("s1", 2, cause="setup"), attempt_failed("s1", 2)]
    assert next_action(*history) == NextStop("step_failed")


# ── Attended and unattended stops ────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("rules", "reason", "expected"),
    [
        ({}, "step_failed", True),
        ({"attended": False}, "step_failed", False),
        ({"attended": False}, "fill", False),
        ({"on_failure": "stop"}, "step_failed", False),
        ({"on_failure": "stop"}, "kernel_died", False),
        ({"on_failure": "stop"}, "step_mode", True),
        ({"on_failure": "stop"}, "fill", True),
    ],
)
def test_stop_waits_when_attended_and_on_failure_is_ask(
    rules: dict[str, Any], reason: ev.StopReason, expected: bool
) -> None:
    assert waits_for_decision(fold(begun(3, policy(**rules))), NextStop(reason)) is expected


def test_stop_waits_after_interrupt_despite_on_failure_stop() -> None:
    history = [*begun(3, policy(on_failure="stop")), started(), kernel_interrupted()]
    state = state_of([*history, attempt_finished(outcome="interrupted")])
    assert waits_for_decision(state, NextStop("step_failed"))


@pytest.mark.parametrize(
    ("attended", "reason", "words"),
    [
        (False, "step_failed", ("step 1 did not succeed", "nobody was there")),
        (True, "step_failed", ("step 1 did not succeed", "--on-failure is stop")),
        (False, "kernel_died", ("no kernel for step 1", "nobody")),
        (False, "fill", ("step 1 is for an operator", "nobody")),
        (False, "confirm", ("step 1 asks to be confirmed", "nobody")),
        (False, "manual", ("step 1 is for a person", "nobody")),
        (False, "step_mode", ("stopped at step 1", "nobody")),
    ],
)
def test_unattended_run_fails_with_reason(
    attended: bool, reason: ev.StopReason, words: tuple[str, str]
) -> None:
    rules = policy(attended=attended, on_failure="stop" if attended else "ask")
    end = unattended_end(fold(begun(3, rules)), NextStop(reason))
    assert end.outcome == "failed"
    assert all(word in end.why for word in words)


def test_label_has_step_number_or_cell_id() -> None:
    state = fold(begun())
    assert step_label(state, "s2") == "step 2"
    assert step_label(state, "inserted-1") == "cell inserted-1"


# ── Waiting for an operator ─────────────────────────────────────────────────────────────────


def test_unattended_run_waits_if_told_or_attached_to() -> None:
    stop = NextStop("step_failed")
    assert not waits_for_decision(fold(begun(3, policy(attended=False))), stop)
    assert waits_for_decision(fold(begun(3, policy(attended=False, on_failure="wait"))), stop)
    assert waits_for_decision(fold([*begun(3, policy(attended=False)), operator_attached()]), stop)


def test_stop_without_decision_ends_run_as_failed() -> None:
    end = unattended_end(
        fold(stopped_by_failure(1, on_failure="wait", wait_for=60.0)), NextStop("step_failed")
    )
    assert "nobody was there to decide" in end.why
