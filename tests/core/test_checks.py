"""Tests of checks: before a step, after it, as evidence; and of steps that a person has done."""

import msgspec
import pytest

from nbrun.core import decisions
from nbrun.core import events as ev
from nbrun.core.deviations import implied_deviations
from nbrun.core.events import Event
from nbrun.core.guards import decision_refusal
from nbrun.core.model import Check, Contract
from nbrun.core.planner import NextAttempt, NextFinish, NextRestart, NextSettle, NextStop
from tests.support.build_events import (
    attempt_failed,
    attempt_finished,
    attempt_indeterminate,
    attempt_settled,
    begun,
    crashed,
    decided,
    kernel_died,
    kernel_idle,
    kernel_interrupted,
    kernel_reattached,
    kernel_restarted,
    policy,
    resumed,
    run_resumed,
    run_started,
    step,
    stopped,
)
from tests.support.build_events import attempt_started as started
from tests.support.run_states import kinds_and_steps, next_action, state_of

CHECK = Check(id="c1", source="ready()", interval=5.0, timeout=12.0)
STEP = msgspec.structs.replace(step(1), check=CHECK)
RUN_CHECK = NextAttempt("c1", "ready()", "check")
AGAIN = NextAttempt("c1", "ready()", "check", delay=5.0)
RUN_STEP = NextAttempt("s1", "step_1()", "script")


def checked(holds: bool, attempt: int = 1) -> list[Event]:
    end = attempt_finished("c1", attempt, "ok" if holds else "error", duration=0.5, holds=holds)
    return [started("c1", attempt, cause="check"), end]


BEGUN = begun([STEP, step(2)])
RAN = [*BEGUN, *checked(False), started(), attempt_finished()]


def test_step_whose_check_holds_is_already_done() -> None:
    assert next_action(*BEGUN) == RUN_CHECK
    history = [*BEGUN, *checked(True)]
    assert next_action(*history) == NextAttempt("s2", "step_2()", "script")
    state = state_of(history)
    assert state.steps["s1"].already_done
    assert not state.off_script
    assert state.counts()["not_run"] == 1


def test_step_that_was_done_already_or_by_hand_is_run_again_off_script() -> None:
    already = [*BEGUN, *checked(True), started("s2"), attempt_failed("s2"), stopped("step_failed")]
    by_hand = [*begun(2), started(), attempt_failed(), stopped(), decided("done"), resumed()]
    by_hand += [started("s2"), attempt_failed("s2"), stopped("step_failed", "s2")]
    for history in (already, by_hand):
        again = implied_deviations(state_of(history), decisions.Run(step="s1"))
        assert kinds_and_steps(again) == [("reran", "s1")]


def test_check_comes_before_the_gates_of_its_step() -> None:
    gated = msgspec.structs.replace(STEP, contract=Contract(confirm="Sure?"))
    assert next_action(*begun([gated])) == RUN_CHECK
    assert next_action(*begun([gated]), *checked(False)) == NextStop("confirm", "Sure?")


def test_step_passes_when_its_check_holds_after_it() -> None:
    assert next_action(*BEGUN, *checked(False)) == RUN_STEP
    assert next_action(*RAN) == RUN_CHECK
    assert not state_of(RAN).steps["s1"].passed
    history = [*RAN, *checked(True, 2)]
    assert next_action(*history) == NextAttempt("s2", "step_2()", "script")
    assert not state_of(history).off_script


def test_check_after_a_step_is_polled_until_its_timeout() -> None:
    history = [*RAN]
    for attempt in (2, 3):  # 5.5 s each, of 12 s
        history += checked(False, attempt)
        assert next_action(*history) == AGAIN
        assert not state_of(history).steps["s1"].failed
    history += checked(False, 4)
    assert next_action(*history) == NextStop("step_failed")
    assert next_action(*history, stopped(), decided("retry"), resumed()).step == "s1"


def test_refuted_step_is_retried_as_the_runbook_declares() -> None:
    quick = msgspec.structs.replace(CHECK, timeout=1.0)
    stubborn = msgspec.structs.replace(STEP, check=quick, contract=Contract(retries=1))
    history = [*begun([stubborn]), *checked(False), started(), attempt_finished()]
    history += checked(False, 2)
    assert next_action(*history) == NextAttempt("s1", "step_1()", "retry")


def test_interrupt_while_polling_stops_at_the_step() -> None:
    history = [*RAN, *checked(False, 2), decided("interrupt")]
    assert next_action(*history) == NextStop("step_failed")


def test_interrupt_before_the_check_of_a_step_that_ran_does_not_pass_the_step() -> None:
    history = [*RAN, decided("interrupt")]
    assert next_action(*history) == NextStop("step_failed")
    step_ = state_of(history).steps["s1"]
    assert not step_.succeeded
    assert not step_.passed


def test_interrupted_check_before_a_step_does_not_let_it_run() -> None:
    history = [*BEGUN, started("c1", cause="check"), decided("interrupt"), kernel_interrupted()]
    history += [attempt_finished("c1", outcome="interrupted", holds=False)]
    assert next_action(*history) == NextStop("paused")


def crashed_in_step(*, settles: bool = False) -> list[Event]:
    check = msgspec.structs.replace(CHECK, settles=settles)
    plan = [msgspec.structs.replace(STEP, check=check), step(2)]
    history = [*begun(plan), *checked(False), started(), *crashed(running="s1"), run_resumed()]
    return [*history, kernel_reattached(), kernel_idle()]


@pytest.mark.parametrize(("holds", "says"), [(True, "holds"), (False, "does not hold")])
def test_check_is_the_evidence_after_a_crash(*, holds: bool, says: str) -> None:
    history = crashed_in_step()
    assert next_action(*history) == RUN_CHECK
    detail = f"the check of step 1, run just now, {says}"
    stop = NextStop("indeterminate", detail, step="s1")
    assert next_action(*history, *checked(holds, 2)) == stop
    assert not state_of([*history, *checked(holds, 2)]).steps["s1"].passed


def test_check_that_times_out_is_no_evidence() -> None:
    history = [*crashed_in_step(settles=True), started("c1", 2, cause="check")]
    history += [attempt_finished("c1", 2, "timed_out", holds=False)]
    assert next_action(*history) == NextStop("indeterminate", step="s1")


@pytest.mark.parametrize("holds", [True, False])
def test_check_settles_where_the_runbook_says_so(*, holds: bool) -> None:
    history = [*crashed_in_step(settles=True), *checked(holds, 2)]
    assert next_action(*history) == NextSettle(attempt_indeterminate(), happened=holds)
    finding: decisions.Settlement = "happened" if holds else "did_not_happen"
    settled = msgspec.structs.replace(attempt_settled(finding=finding), by_check=True)
    follows = next_action(*history, settled)
    assert follows == (
        NextAttempt("s2", "step_2()", "script") if holds else NextStop("step_failed")
    )


def test_check_of_a_crashed_run_gets_a_kernel_and_its_setup() -> None:
    plan = [step(1, ["setup"]), msgspec.structs.replace(step(2), check=CHECK), step(3)]
    history = [*begun(plan), started("s1"), attempt_finished("s1"), *checked(False), started("s2")]
    history += [*crashed(running="s2"), run_resumed(), kernel_died()]
    assert isinstance(next_action(*history), NextRestart)
    history += [kernel_restarted()]
    assert next_action(*history) == NextAttempt("s1", "step_1()", "setup")
    history += [started("s1", 2, cause="setup"), attempt_finished("s1", 2)]
    assert next_action(*history) == RUN_CHECK
    history += checked(True, 2)
    assert next_action(*history).reason == "indeterminate"
    history += [stopped("indeterminate", "s2"), attempt_settled("s2"), resumed()]
    assert next_action(*history) == NextStop("kernel_restarted")  # as after every restart


def test_lost_kernel_is_followed_by_the_check_and_the_stop_tells_its_answer() -> None:
    history = [*BEGUN, *checked(False), started(), kernel_died()]
    history += [attempt_finished(outcome="kernel_died"), stopped("kernel_died")]
    history += [decided("restart"), resumed(), kernel_restarted()]
    assert next_action(*history) == RUN_CHECK
    answer = "the check of step 1, run just now, holds"
    assert next_action(*history, *checked(True, 2)) == NextStop("kernel_restarted", answer)


def test_check_that_nobody_saw_end_runs_again() -> None:
    history = [*RAN, started("c1", 2, cause="check"), *crashed(running="c1", attempt=2)]
    history += [run_resumed(), kernel_reattached(), kernel_idle()]
    assert next_action(*history) == RUN_CHECK


def test_check_in_which_the_kernel_dies_runs_again_in_the_next_one() -> None:
    history = [*RAN, started("c1", 2, cause="check"), kernel_died()]
    history += [attempt_finished("c1", 2, "kernel_died", holds=False)]
    assert next_action(*history) == NextStop("kernel_died")
    history += [stopped("kernel_died"), decided("restart"), resumed(), kernel_restarted()]
    assert next_action(*history) == RUN_CHECK


# ── Done by hand ─────────────────────────────────────────────────────────────────────────────


def test_step_done_by_hand_is_off_script_and_its_check_must_hold() -> None:
    history = [*BEGUN, *checked(False), started(), attempt_failed(), stopped()]
    assert kinds_and_steps(implied_deviations(state_of(history), decisions.Done())) == [
        ("by_hand", "s1")
    ]
    history += [decided("done"), resumed()]
    assert next_action(*history) == RUN_CHECK
    assert next_action(*history, *checked(True, 2)) == NextAttempt("s2", "step_2()", "script")
    for attempt in (2, 3, 4):
        history += checked(False, attempt)
    assert next_action(*history) == NextStop("step_failed")


def test_step_done_by_hand_and_run_again_does_not_pass_by_that() -> None:
    plain = begun([step(1), step(2)])
    history = [*plain, started(), attempt_failed(), stopped(), decided("done"), resumed()]
    assert next_action(*history) == NextAttempt("s2", "step_2()", "script")
    history += [started("s2"), attempt_failed("s2"), stopped("step_failed", "s2")]
    history += [decided("run", "s1"), resumed(), started("s1", 2, cause="operator")]
    assert not state_of([*history, attempt_failed("s1", 2)]).steps["s1"].passed


def test_run_by_hand_asks_for_every_step_and_needs_no_kernel() -> None:
    plan = [step(1, ["parameters"]), msgspec.structs.replace(step(2), check=CHECK), step(3)]
    history: list[Event] = [run_started(plan, policy(by_hand=True))]
    assert next_action(*history) == NextStop("manual")
    state = state_of([*history, stopped("manual", "s2")])
    assert state.stop is not None
    for decision in (decisions.Run(), decisions.Insert(source="1"), decisions.RestartKernel()):
        assert "by hand" in str(decision_refusal(state, decision))
    for id_ in ("s2", "s3"):
        history += [stopped("manual", id_), decided("done"), resumed()]
    assert isinstance(next_action(*history), NextFinish)
    assert [each.kind for each in state_of(history).deviations] == ["by_hand", "by_hand"]
    assert not any(isinstance(event, ev.AttemptStarted) for event in history)


def test_step_that_a_jump_back_repeats_was_rerun_whatever_its_check_says_before() -> None:
    passed = [*RAN, *checked(True, 2), started("s2"), attempt_failed("s2"), stopped("step_failed")]
    back = [*passed, decided("jump", step="s1"), resumed()]
    again = [*back, *checked(False, 3), started("s1", 2)]
    assert kinds_and_steps(state_of(again).deviations) == [("reran", "s1")]
