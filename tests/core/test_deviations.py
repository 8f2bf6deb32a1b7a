"""Tests of what leaves the script."""

import random
from collections import Counter
from collections.abc import Iterable
from copy import deepcopy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbrun.core import decisions
from nbrun.core import events as ev
from nbrun.core.decisions import Decision
from nbrun.core.deviations import implied_deviations, unified_diff
from nbrun.core.events import Deviated, Event
from nbrun.core.guards import decision_refusal
from nbrun.core.state import Phase
from tests.support.build_events import (
    attempt_finished,
    attempted,
    begun,
    decided,
    kernel_restarted,
    policy,
    resumed,
    step,
    steps,
    stopped,
)
from tests.support.build_events import attempt_started as started
from tests.support.engine_driver import RandomRun, random_policy, random_steps
from tests.support.run_states import (
    kinds_and_steps,
    recorded_deviations,
    state_of,
    stopped_before,
    stopped_by_failure,
)


@pytest.mark.parametrize(
    ("events", "decision", "expected"),
    [
        pytest.param(stopped_by_failure(2), decisions.Retry(), [("retried", "s2")], id="retried"),
        pytest.param(
            stopped_by_failure(2),
            decisions.Edit(source="other()"),
            [("retried", "s2"), ("edited", "s2")],
            id="a failed step, edited",
        ),
        pytest.param(
            stopped_before(2), decisions.Edit(source="other()"), [("edited", "s2")], id="edited"
        ),
        pytest.param(stopped_before(2), decisions.Run(step="s1"), [("reran", "s1")], id="reran"),
        pytest.param(
            stopped_before(2), decisions.Run(step="s3"), [("out_of_order", "s3")], id="out of order"
        ),
        pytest.param(
            stopped_before(1),
            decisions.Edit(source="other()", step="s2"),
            [("out_of_order", "s2"), ("edited", "s2")],
            id="out of order and edited",
        ),
        pytest.param(stopped_before(2), decisions.Skip(), [("skipped", "s2")], id="skipped"),
        pytest.param(
            stopped_before(1, 4),
            decisions.Jump(step="s3"),
            [("skipped", "s1"), ("skipped", "s2")],
            id="skipped by a jump",
        ),
        pytest.param(
            stopped_before(1),
            decisions.Insert(source="look()"),
            [("inserted", "inserted-1")],
            id="inserted",
        ),
        pytest.param(
            stopped_before(1),
            decisions.RestartKernel(),
            [("kernel_restarted", None)],
            id="restarted",
        ),
        pytest.param(stopped_before(2), decisions.Run(), [], id="the next step"),
        pytest.param(stopped_before(2), decisions.Continue(), [], id="on with it"),
        pytest.param(
            stopped_before(2), decisions.Edit(source="step_2()"), [], id="edited to what it was"
        ),
        pytest.param(
            stopped_before(3), decisions.Jump(step="s1"), [], id="a jump back runs nothing yet"
        ),
        pytest.param(stopped_by_failure(1), decisions.Cancel(), [], id="cancelled"),
    ],
)
def test_decision_records_expected_deviations(
    events: list[Event], decision: Decision, expected: list[tuple[str, str | None]]
) -> None:
    state = state_of(events)
    assert decision_refusal(state, decision) is None
    assert kinds_and_steps(implied_deviations(state, decision)) == expected
    assert kinds_and_steps(recorded_deviations(state, decision)) == expected
    assert kinds_and_steps(state.deviations) == expected


@pytest.mark.parametrize("outcome", ["error", "interrupted", "timed_out", "kernel_died"])
def test_retry_after_any_failure_is_a_deviation(
    outcome: ev.Outcome,
) -> None:
    events = [*begun(), *attempted("s1", outcome=outcome), stopped(), decided("retry"), resumed()]
    state = state_of([*events, started(attempt=2, cause="operator")])
    assert kinds_and_steps(state.deviations) == [("retried", "s1")]
    assert state.off_script


def test_rerun_after_expected_error_counts_as_reran() -> None:
    plan = steps(2, s1=["raises-exception"])
    events = [*begun(plan, policy(step=True)), *attempted("s1", outcome="error")]
    state = state_of([*events, stopped("step_mode", "s2")])
    assert kinds_and_steps(implied_deviations(state, decisions.Run(step="s1"))) == [("reran", "s1")]


def test_declared_behaviour_is_on_script() -> None:
    plan = steps(3, s1=["skip-execution"], s2=["raises-exception"])
    events = [*begun(plan), *attempted("s2", outcome="error"), *attempted("s3")]
    assert not state_of(events).off_script


def test_completing_fill_step_is_on_script() -> None:
    plan = steps(2, s1=["fill"])
    state = state_of([*begun(plan), stopped("fill", "s1")])
    assert recorded_deviations(state, decisions.Edit(source="host = 'db2'")) == []
    assert state.attempt == started(source="host = 'db2'", edited=True, cause="operator")


def test_step_after_skipped_step_is_not_out_of_order() -> None:
    events = [*stopped_before(1), decided("skip"), resumed(), stopped("step_mode", "s2")]
    assert implied_deviations(state_of(events), decisions.Run()) == []


def test_setup_steps_after_restart_are_not_deviations() -> None:
    events = [
        *stopped_by_failure(2, steps(2, s1=["setup"])),
        decided("restart"),
        resumed(),
        kernel_restarted(),
    ]
    state = state_of([*events, started("s1", 2, cause="setup")])
    assert kinds_and_steps(state.deviations) == [("kernel_restarted", None)]


def test_step_executed_again_after_jump_back_is_reran() -> None:
    events = [*stopped_before(3), decided("jump", "s1"), resumed(), stopped("moved", "s1")]
    going_on = [decided("continue"), resumed(), started("s1", 2, cause="operator")]
    state = state_of([*events, *going_on, attempt_finished("s1", 2), started("s2", 2)])
    assert kinds_and_steps(state.deviations) == [("reran", "s1"), ("reran", "s2")]


@pytest.mark.parametrize(
    "decision",
    [
        decisions.Retry(reason="the replica was behind"),
        decisions.Edit(source="other()", reason="the replica was behind"),
        decisions.Skip(reason="the replica was behind"),
        decisions.Jump(step="s3", reason="the replica was behind"),
        decisions.Insert(source="look()", reason="the replica was behind"),
        decisions.RestartKernel(reason="the replica was behind"),
    ],
    ids=lambda decision: type(decision).__name__,
)
def test_deviation_has_the_decisions_reason(decision: Decision) -> None:
    recorded = recorded_deviations(state_of(stopped_by_failure(1)), decision)
    assert recorded
    assert {each.reason for each in recorded} == {"the replica was behind"}


def test_edited_deviation_has_unified_diff() -> None:
    plan = [step(source="a = 1\nb = 2\n")]
    state = state_of(stopped_before(1, plan))
    (edited,) = recorded_deviations(state, decisions.Edit(source="a = 1\nb = 3\n"))
    assert edited.diff.splitlines() == [
        "--- runbook",
        "+++ run",
        "@@ -1,2 +1,2 @@",
        " a = 1",
        "-b = 2",
        "+b = 3",
    ]


@given(st.text(), st.text())
def test_diff_is_empty_only_for_equal_lines(old: str, new: str) -> None:
    assert (unified_diff(old, new) == "") == (old.splitlines() == new.splitlines())


def as_tuples(deviations: Iterable[Deviated]) -> list[tuple[str, str | None, str]]:
    return [(each.kind, each.step, each.diff) for each in deviations]


_NOT_COMPARED = decisions.AddNote | decisions.Approve | decisions.Reject | decisions.Withdraw


class ForeseeingRun(RandomRun):
    """A random run that compares each decision's implied deviations with the recorded ones."""

    compared = 0

    def check_foreseeable(self, decision: Decision) -> None:
        if self.state.phase is not Phase.STOPPED or isinstance(decision, _NOT_COMPARED):
            return
        implied = implied_deviations(self.state, decision)
        recorded = recorded_deviations(deepcopy(self.state), decision)
        assert as_tuples(implied) == as_tuples(recorded), decision
        self.compared += 1


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**63))
def test_implied_deviations_equal_recorded_ones(seed: int) -> None:
    chance = random.Random(seed)
    run = ForeseeingRun(random_steps(chance), random_policy(chance), chance, 20)
    run.run()
    ended = Counter(map(type, run.events))
    assert run.compared >= ended[ev.Resumed] - ended[ev.ApprovalGranted]
