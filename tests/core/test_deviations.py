"""What leaves the script."""

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
from tests.support.engine_driver import Drive, some_policy, some_steps
from tests.support.run_states import carried_out, failed, kinds, state_of, waiting


@pytest.mark.parametrize(
    ("events", "decision", "expected"),
    [
        pytest.param(failed(2), decisions.Retry(), [("retried", "s2")], id="retried"),
        pytest.param(
            failed(2),
            decisions.Edit(source="other()"),
            [("retried", "s2"), ("edited", "s2")],
            id="a failed step, edited",
        ),
        pytest.param(waiting(2), decisions.Edit(source="other()"), [("edited", "s2")], id="edited"),
        pytest.param(waiting(2), decisions.Run(step="s1"), [("reran", "s1")], id="reran"),
        pytest.param(
            waiting(2), decisions.Run(step="s3"), [("out_of_order", "s3")], id="out of order"
        ),
        pytest.param(
            waiting(1),
            decisions.Edit(source="other()", step="s2"),
            [("out_of_order", "s2"), ("edited", "s2")],
            id="out of order and edited",
        ),
        pytest.param(waiting(2), decisions.Skip(), [("skipped", "s2")], id="skipped"),
        pytest.param(
            waiting(1, 4),
            decisions.Jump(step="s3"),
            [("skipped", "s1"), ("skipped", "s2")],
            id="skipped by a jump",
        ),
        pytest.param(
            waiting(1),
            decisions.Insert(source="look()"),
            [("inserted", "inserted-1")],
            id="inserted",
        ),
        pytest.param(
            waiting(1), decisions.RestartKernel(), [("kernel_restarted", None)], id="restarted"
        ),
        pytest.param(waiting(2), decisions.Run(), [], id="the next step"),
        pytest.param(waiting(2), decisions.Continue(), [], id="on with it"),
        pytest.param(waiting(2), decisions.Edit(source="step_2()"), [], id="edited to what it was"),
        pytest.param(waiting(3), decisions.Jump(step="s1"), [], id="a jump back runs nothing yet"),
        pytest.param(failed(1), decisions.Cancel(), [], id="cancelled"),
    ],
)
def test_a_decision_leaves_the_script_as_the_design_says(
    events: list[Event], decision: Decision, expected: list[tuple[str, str | None]]
) -> None:
    state = state_of(events)
    assert decision_refusal(state, decision) is None
    assert kinds(implied_deviations(state, decision)) == expected
    assert kinds(carried_out(state, decision)) == expected
    assert kinds(state.deviations) == expected


@pytest.mark.parametrize("outcome", ["error", "interrupted", "timed_out", "kernel_died"])
def test_a_retry_of_a_step_that_did_not_succeed_marks_the_run_off_script(
    outcome: ev.Outcome,
) -> None:
    told = [*begun(), *attempted("s1", outcome=outcome), stopped(), decided("retry"), resumed()]
    state = state_of([*told, started(attempt=2, cause="operator")])
    assert kinds(state.deviations) == [("retried", "s1")]
    assert state.off_script


def test_a_step_whose_expected_error_came_was_run_successfully_before() -> None:
    plan = steps(2, s1=["raises-exception"])
    told = [*begun(plan, policy(step=True)), *attempted("s1", outcome="error")]
    state = state_of([*told, stopped("step_mode", "s2")])
    assert kinds(implied_deviations(state, decisions.Run(step="s1"))) == [("reran", "s1")]


def test_what_the_runbook_declares_is_on_script() -> None:
    plan = steps(3, s1=["skip-execution"], s2=["raises-exception"])
    told = [*begun(plan), *attempted("s2", outcome="error"), *attempted("s3")]
    assert not state_of(told).off_script


def test_completing_a_fill_step_is_on_script() -> None:
    plan = steps(2, s1=["fill"])
    state = state_of([*begun(plan), stopped("fill", "s1")])
    assert carried_out(state, decisions.Edit(source="host = 'db2'")) == []
    assert state.attempt == started(source="host = 'db2'", edited=True, cause="operator")


def test_a_step_already_skipped_is_not_out_of_order_for_those_after_it() -> None:
    told = [*waiting(1), decided("skip"), resumed(), stopped("step_mode", "s2")]
    assert implied_deviations(state_of(told), decisions.Run()) == []


def test_rebuilding_a_new_kernel_is_no_deviation_of_its_own() -> None:
    told = [*failed(2, steps(2, s1=["setup"])), decided("restart"), resumed(), kernel_restarted()]
    state = state_of([*told, started("s1", 2, cause="setup")])
    assert kinds(state.deviations) == [("kernel_restarted", None)]


def test_a_step_that_comes_again_after_a_jump_back_was_rerun() -> None:
    told = [*waiting(3), decided("jump", "s1"), resumed(), stopped("moved", "s1")]
    going_on = [decided("continue"), resumed(), started("s1", 2, cause="operator")]
    state = state_of([*told, *going_on, attempt_finished("s1", 2), started("s2", 2)])
    assert kinds(state.deviations) == [("reran", "s1"), ("reran", "s2")]


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
def test_a_deviation_carries_the_reason_of_the_decision(decision: Decision) -> None:
    recorded = carried_out(state_of(failed(1)), decision)
    assert recorded
    assert {each.reason for each in recorded} == {"the replica was behind"}


def test_an_edit_shows_what_was_changed_as_a_unified_diff() -> None:
    plan = [step(source="a = 1\nb = 2\n")]
    state = state_of(waiting(1, plan))
    (edited,) = carried_out(state, decisions.Edit(source="a = 1\nb = 3\n"))
    assert edited.diff.splitlines() == [
        "--- runbook",
        "+++ run",
        "@@ -1,2 +1,2 @@",
        " a = 1",
        "-b = 2",
        "+b = 3",
    ]


@given(st.text(), st.text())
def test_the_diff_of_two_sources_is_empty_only_where_their_lines_are_the_same(
    old: str, new: str
) -> None:
    assert (unified_diff(old, new) == "") == (old.splitlines() == new.splitlines())


def as_foreseen(deviations: Iterable[Deviated]) -> list[tuple[str, str | None, str]]:
    return [(each.kind, each.step, each.diff) for each in deviations]


_SAYS_OF_ANOTHER = decisions.AddNote | decisions.Approve | decisions.Reject | decisions.Withdraw


class Foreseeing(Drive):
    """Compares what was foretold of each decision with what its carrying out records."""

    compared = 0

    def foreseen(self, decision: Decision) -> None:
        if self.state.phase is not Phase.STOPPED or isinstance(decision, _SAYS_OF_ANOTHER):
            return
        told = implied_deviations(self.state, decision)
        done = carried_out(deepcopy(self.state), decision)
        assert as_foreseen(told) == as_foreseen(done), decision
        self.compared += 1


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**63))
def test_what_is_told_of_a_decision_beforehand_is_what_it_then_records(seed: int) -> None:
    chance = random.Random(seed)
    drive = Foreseeing(some_steps(chance), some_policy(chance), chance, 20)
    drive.run()
    ended = Counter(map(type, drive.events))
    assert drive.compared >= ended[ev.Resumed] - ended[ev.ApprovalGranted]
