"""Tests of decisions that wait for the approval that a policy or a step requires."""

from typing import Any

import pytest

from nbrun.core import decisions
from nbrun.core import events as ev
from nbrun.core.approval import ApprovalRule, pending_approval
from nbrun.core.decisions import Decision
from nbrun.core.events import Event
from nbrun.core.guards import decision_refusal, missing_input
from nbrun.core.planner import NextAttempt, NextRestart, NextStop, unattended_end
from nbrun.core.proposals import (
    RequiredApproval,
    required_approval,
)
from nbrun.core.state import Phase
from tests.support.build_events import (
    OPERATOR,
    approval_rejected,
    attempt_finished,
    begun,
    crashed,
    decided,
    kernel_died,
    policy,
    resumed,
    run_resumed,
    stopped,
)
from tests.support.build_events import attempt_started as started
from tests.support.run_states import (
    STEP_FOR_DBA,
    awaiting_approval,
    next_action,
    state_of,
    stopped_by_failure,
    with_approval,
    with_proposal,
)


@pytest.mark.parametrize(
    ("decision", "kinds", "leads_to"),
    [
        (decisions.Retry(reason="x"), ("retried",), NextAttempt("s1", "step_1()", "operator")),
        (decisions.Skip(), ("skipped",), NextAttempt("s2", "step_2()", "script")),
        (decisions.Jump(step="s3"), ("skipped",), NextStop("moved")),
        (decisions.RestartKernel(reason="x"), ("kernel_restarted",), NextRestart("x")),
        (
            decisions.Insert(source="look()"),
            ("inserted",),
            NextAttempt("inserted-1", "look()", "operator"),
        ),
        (
            decisions.Edit(source="b()"),
            ("edited", "retried"),
            NextAttempt("s1", "b()", "operator"),
        ),
        (
            decisions.Run(step="s2"),
            ("out_of_order",),
            NextAttempt("s2", "step_2()", "operator"),
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_proposed_deviation_is_carried_out_once_approved(
    decision: Decision, kinds: Any, leads_to: Any
) -> None:
    history = with_proposal(stopped_by_failure(1, need_approval=kinds, approvers="leads"), decision)
    state = state_of(history)
    assert state.proposal is not None
    assert (state.proposal.kinds, state.proposal.group) == (kinds, "leads")
    assert state.phase is Phase.STOPPED
    assert state.decision is None
    assert state.deviations == []
    run = with_approval(history)
    assert next_action(*run) == leads_to
    (made,) = (event for event in run if isinstance(event, ev.Decided))
    assert (made.operator, made.reason) == (OPERATOR, decision.reason)
    assert state_of(run).proposal is None


def test_deviation_not_in_policy_needs_no_approval() -> None:
    state = state_of(stopped_by_failure(1, need_approval=("skipped",)))
    assert required_approval(state, decisions.Retry()) is None
    assert required_approval(state, decisions.Edit(source="b()")) is None
    assert required_approval(state, decisions.AddNote(text="x")) is None
    assert required_approval(state, decisions.Cancel()) is None


def test_missing_reason_is_reported_before_proposal() -> None:
    state = state_of(stopped_by_failure(1, need_approval=("skipped",), need_reason=("skipped",)))
    assert missing_input(state, decisions.Skip()) == "a reason is needed: skipped"


def test_other_decisions_refused_while_proposal_waits() -> None:
    history = with_proposal(stopped_by_failure(1, need_approval=("skipped",)), decisions.Skip())
    state = state_of(history)
    for decision in (decisions.Retry(), decisions.Skip(), decisions.RestartKernel()):
        assert decision_refusal(state, decision) == "skip waits for an approval: withdraw it first"
    for decision in (decisions.Withdraw(), decisions.Cancel(), decisions.AddNote(text="asked")):
        assert decision_refusal(state, decision) is None


@pytest.mark.parametrize(
    "end", [[decided("withdraw")], [approval_rejected()], [kernel_died()]], ids=str
)
def test_proposal_is_void_when_withdrawn_rejected_or_kernel_dead(end: list[Event]) -> None:
    history = with_proposal(stopped_by_failure(1, need_approval=("skipped",)), decisions.Skip())
    state = state_of([*history, *end])
    assert pending_approval(state) is None
    assert state.phase is Phase.STOPPED
    assert state.steps["s1"].passed is False
    assert "nothing waits" in str(decision_refusal(state, decisions.Approve(binding="")))


def test_proposal_is_dropped_by_a_crash() -> None:
    history = with_proposal(stopped_by_failure(1, need_approval=("skipped",)), decisions.Skip())
    state = state_of([*history, *crashed(), run_resumed()])
    assert pending_approval(state) is None
    assert not state.steps["s1"].passed


def test_withdraw_is_refused_without_proposal() -> None:
    for history in (stopped_by_failure(), awaiting_approval()):
        assert "nothing that was decided" in str(
            decision_refusal(state_of(history), decisions.Withdraw())
        )


def test_approved_jump_back_covers_its_reruns() -> None:
    ran = [*begun(2, policy(step=True, need_approval=("reran",))), started(), attempt_finished()]
    history = with_proposal([*ran, stopped("step_mode", "s2")], decisions.Jump(step="s1"))
    moved = [*with_approval(history), stopped("moved", "s1")]
    assert required_approval(state_of(moved), decisions.Run()) is None
    assert required_approval(state_of([*ran, stopped("step_mode", "s2")]), decisions.Run(step="s1"))


def test_jump_forward_before_passed_step_is_a_rerun() -> None:
    rules = policy(step=True, need_approval=("reran",))
    aside = [started("s3", cause="operator"), attempt_finished("s3"), stopped("returned", "s1")]
    history: list[Event] = [*begun(3, rules), stopped("step_mode"), decided("run", "s3"), resumed()]
    state = state_of([*history, *aside])
    assert required_approval(state, decisions.Jump(step="s2")) == RequiredApproval(
        ("reran",), ApprovalRule()
    )
    assert (
        required_approval(
            state_of([*begun(3, rules), stopped("step_mode")]), decisions.Jump(step="s2")
        )
        is None
    )


def test_step_group_overrides_policy_approvers() -> None:
    history: list[Event] = [
        *begun((STEP_FOR_DBA,), policy(need_approval=("skipped",), approvers="leads"))
    ]
    why = required_approval(state_of([*history, stopped("approval")]), decisions.Skip())
    assert why == RequiredApproval(("skipped",), ApprovalRule("dba"))


def test_unattended_end_names_the_pending_approval() -> None:
    history = with_proposal(stopped_by_failure(1, need_approval=("skipped",)), decisions.Skip())
    ended = unattended_end(state_of(history), NextStop("step_failed"))
    assert ended.why == (
        "what was decided at step 1 waited for an approval, and nobody was there to decide"
    )
