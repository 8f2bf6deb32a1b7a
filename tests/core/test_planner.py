"""What a run does next."""

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
    decided,
    kernel_died,
    kernel_interrupted,
    kernel_restarted,
    operator_attached,
    policy,
    resumed,
    run_started,
    step,
    steps,
    stopped,
    uneventful,
)
from tests.support.build_events import attempt_started as started
from tests.support.run_states import failed, following, state_of, waiting

# ── Automatic retries ────────────────────────────────────────────────────────────────────────


STUBBORN = step(1, contract=model.Contract(retries=2, retry_delay=5.0))
AGAIN = NextAttempt("s1", "step_1()", "retry", delay=5.0)


def test_a_step_is_retried_as_often_as_the_runbook_says_and_stays_on_script() -> None:
    told = [*begun([STUBBORN]), started(), attempt_failed()]
    for attempt in (2, 3):
        assert following(*told) == AGAIN
        told += [started(attempt=attempt, cause="retry"), attempt_failed(attempt=attempt)]
    assert following(*told) == NextStop("step_failed")
    assert state_of(told).deviations == []


def test_a_time_out_is_retried_and_what_was_interrupted_or_lost_is_not() -> None:
    told = [*begun([STUBBORN]), started()]
    assert following(*told, attempt_finished(outcome="timed_out")) == AGAIN
    for outcome in ("interrupted", "kernel_died"):
        assert following(*told, attempt_finished(outcome=outcome)) == NextStop("step_failed")


def test_what_the_operator_runs_is_retried_by_the_operator_alone() -> None:
    told = [*begun([STUBBORN]), started(), attempt_finished(outcome="interrupted"), stopped()]
    told += [decided("retry"), resumed(), started(attempt=2, cause="operator")]
    assert following(*told, attempt_failed(attempt=2)) == NextStop("step_failed")


def test_ctrl_c_while_a_retry_waits_stops_the_run() -> None:
    told = [*begun([STUBBORN]), started(), attempt_failed(), decided("interrupt")]
    assert following(*told) == NextStop("step_failed")


# ── What comes next ──────────────────────────────────────────────────────────────────────────


def test_a_run_goes_through_its_steps_and_completes() -> None:
    events = uneventful(2)
    assert following(*events[:2]) == NextAttempt("s1", "step_1()", "script")
    assert following(*events[:4]) == NextAttempt("s2", "step_2()", "script")
    assert following(*events[:6]) == NextFinish("completed", "every step was passed")


def test_a_failed_step_stops_the_run() -> None:
    assert following(*failed(2)[:-1]) == NextStop("step_failed")


def test_without_a_kernel_nothing_runs() -> None:
    assert following(run_started()) == NextStop("kernel_died")
    assert following(*begun(), kernel_died()) == NextStop("kernel_died")


def test_a_kernel_that_dies_when_all_is_done_changes_nothing() -> None:
    assert following(*begun(1), *attempted(), kernel_died()).outcome == "completed"


def test_step_mode_stops_before_every_step_until_continue() -> None:
    told = waiting(2)
    assert following(*told[:-1]) == NextStop("step_mode")
    ran = [
        *told,
        decided("run"),
        resumed(),
        started("s2", cause="operator"),
        attempt_finished("s2"),
    ]
    assert following(*ran) == NextStop("step_mode")
    going = [
        decided("continue"),
        resumed(),
        started("s2", cause="operator"),
        attempt_finished("s2"),
    ]
    assert following(*told, *going) == NextAttempt("s3", "step_3()", "script")


def test_a_fill_step_stops_the_run_until_it_succeeded() -> None:
    plan = begun(steps(2, s1=["fill"]))
    assert following(*plan) == NextStop("fill")
    filled = [stopped("fill"), decided("edit", source="x = 1"), resumed()]
    ran = [*filled, started(source="x = 1", edited=True, cause="operator"), attempt_finished()]
    assert following(*plan, *ran) == NextAttempt("s2", "step_2()", "script")


def test_ctrl_c_between_steps_pauses_before_the_next() -> None:
    assert following(*begun(), decided("interrupt")) == NextStop("paused")


def test_what_was_run_aside_comes_back_to_where_the_run_stood() -> None:
    run = [decided("run", "s3"), resumed()]
    ran = [started("s3", cause="operator"), attempt_finished("s3")]
    insert = [decided("insert", source="look()"), resumed()]
    looked = [started("inserted-1", cause="operator"), attempt_failed("inserted-1")]
    for stop in (failed(1), [*begun(), stopped("paused")], waiting(1)):
        assert following(*stop, *run, *ran) == NextStop("returned")
        assert following(*stop, *insert, *looked) == NextStop("returned")


def test_a_step_that_was_run_ahead_is_passed_when_the_run_comes_to_it() -> None:
    ahead = [decided("run", "s2"), resumed(), started("s2", cause="operator")]
    told = [*failed(1), *ahead, attempt_finished("s2"), stopped("returned"), decided("retry")]
    again = [resumed(), started("s1", 2, cause="operator"), attempt_finished("s1", 2)]
    assert following(*told, *again) == NextAttempt("s3", "step_3()", "script")


def test_an_earlier_step_that_fails_aside_is_where_the_run_then_stands() -> None:
    aside = [decided("run", "s1"), resumed(), started("s1", 2, cause="operator")]
    assert following(*failed(2), *aside, attempt_failed("s1", 2)) == NextStop("step_failed")


def test_a_move_stops_at_its_destination_even_if_that_had_failed() -> None:
    told = [*failed(2), decided("jump", "s1"), resumed()]
    assert following(*told) == NextStop("moved")


def test_cancel_and_a_cell_that_ends_the_run_end_it() -> None:
    assert following(*failed(1), decided("cancel"), resumed()).outcome == "cancelled"
    ended = following(*begun(), started(), attempt_finished(ended_run=True))
    assert (ended.outcome, "step 1" in ended.why) == ("completed", True)


def test_run_takes_the_runbooks_source_and_retry_what_was_last_run() -> None:
    edited = [decided("edit", source="other()"), resumed()]
    ran = [started(attempt=2, source="other()", edited=True, cause="operator")]
    told = [*failed(1), *edited, *ran, attempt_failed(attempt=2), stopped()]
    again = following(*told, decided("retry"), resumed())
    assert again == NextAttempt("s1", "other()", "operator")
    assert attempt_started_event(state_of(told), again).edited
    assert attempt_started_event(state_of(told), again).attempt == 3
    plain = following(*told, decided("run", "s1"), resumed())
    assert plain == NextAttempt("s1", "step_1()", "operator")
    assert not attempt_started_event(state_of(told), plain).edited


def test_inserted_cells_have_ids_that_nothing_else_has() -> None:
    plan: list[Step] = [step(1, id="inserted-1"), step(2, id="inserted-3")]
    events: list[Event] = [*begun(plan), stopped("paused", "inserted-1")]
    seen = []
    for _ in range(3):
        events += [decided("insert", source="look()"), resumed()]
        planned = following(*events)
        seen.append(planned.step)
        events += [attempt_started_event(state_of(events), planned), attempt_finished(planned.step)]
        events.append(stopped("returned", "inserted-1"))
    assert seen == ["inserted-2", "inserted-4", "inserted-5"]


def test_a_restart_runs_the_setup_steps_again_and_then_stops() -> None:
    plan = steps(3, s1=["parameters"])
    told = [*failed(3, plan), decided("restart", reason="out of memory"), resumed()]
    assert following(*told) == NextRestart("out of memory")
    told += [kernel_restarted()]
    assert following(*told) == NextAttempt("s1", "step_1()", "setup")
    told += [started("s1", 2, cause="setup"), attempt_finished("s1", 2)]
    assert following(*told) == NextStop("kernel_restarted")


def test_a_rebuild_that_fails_stops_at_the_step_that_failed() -> None:
    plan = steps(3, s1=["setup"], s2=["setup"])
    told = [*failed(3, plan), decided("restart"), resumed(), kernel_restarted()]
    told += [started("s1", 2, cause="setup"), attempt_failed("s1", 2)]
    assert following(*told) == NextStop("step_failed")


# ── Who is there to decide ───────────────────────────────────────────────────────────────────


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
def test_a_stop_waits_where_somebody_is_there_and_wants_to_be_asked(
    rules: dict[str, Any], reason: ev.StopReason, expected: bool
) -> None:
    assert waits_for_decision(fold(begun(3, policy(**rules))), NextStop(reason)) is expected


def test_an_operator_who_interrupted_is_there_even_if_a_failure_is_to_end_the_run() -> None:
    told = [*begun(3, policy(on_failure="stop")), started(), kernel_interrupted()]
    state = state_of([*told, attempt_finished(outcome="interrupted")])
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
def test_a_run_that_nobody_decides_about_fails_and_says_why(
    attended: bool, reason: ev.StopReason, words: tuple[str, str]
) -> None:
    rules = policy(attended=attended, on_failure="stop" if attended else "ask")
    end = unattended_end(fold(begun(3, rules)), NextStop(reason))
    assert end.outcome == "failed"
    assert all(word in end.why for word in words)


def test_a_step_is_named_by_its_number_and_other_code_by_its_id() -> None:
    state = fold(begun())
    assert step_label(state, "s2") == "step 2"
    assert step_label(state, "inserted-1") == "cell inserted-1"


# ── Waiting for somebody, and what nobody saw end ────────────────────────────────────────────


def test_a_run_that_nobody_attends_waits_when_it_is_told_to_or_somebody_has_come() -> None:
    stop = NextStop("step_failed")
    assert not waits_for_decision(fold(begun(3, policy(attended=False))), stop)
    assert waits_for_decision(fold(begun(3, policy(attended=False, on_failure="wait"))), stop)
    assert waits_for_decision(fold([*begun(3, policy(attended=False)), operator_attached()]), stop)


def test_a_stop_that_nobody_came_to_ends_the_run_as_failed() -> None:
    end = unattended_end(fold(failed(1, on_failure="wait", wait_for=60.0)), NextStop("step_failed"))
    assert "nobody was there to decide" in end.why
