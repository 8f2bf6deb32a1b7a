"""Tests of approvals: what waits for one, what it covers, and who may give it."""

from datetime import timedelta
from typing import Any

import pytest

from nbrun.core import approval, decisions, model
from nbrun.core.approval import ApprovalRule, Moment, binding, pending_approval
from nbrun.core.decisions import Decision
from nbrun.core.events import Event
from nbrun.core.guards import decision_refusal
from nbrun.core.planner import NextAttempt, NextStop
from nbrun.core.proposals import (
    RequiredApproval,
    required_approval,
)
from nbrun.core.state import Phase
from tests.support.build_events import (
    approval_rejected,
    attempt_failed,
    attempt_finished,
    begun,
    crashed,
    decided,
    decision_proposed,
    identity,
    kernel_started,
    operator,
    operator_attached,
    resumed,
    run_resumed,
    run_started,
    step,
    stopped,
)
from tests.support.build_events import attempt_started as started
from tests.support.run_states import (
    GRACE,
    HEIDI,
    START,
    STEP_FOR_DBA,
    awaiting_approval,
    next_action,
    state_of,
    stopped_by_failure,
    with_approval,
    with_proposal,
)


def test_step_runs_once_approved() -> None:
    history = awaiting_approval()
    assert next_action(*history[:-1]) == NextStop("approval", "dba")
    assert next_action(*with_approval(history)) == NextAttempt("s1", "step_1()", "script")


@pytest.mark.parametrize(
    "decision",
    [
        decisions.Run(),
        decisions.Continue(),
        decisions.Run(step="s1"),
        decisions.Edit(source="step_1()"),
    ],
)
def test_running_step_that_awaits_approval_is_refused(decision: Decision) -> None:
    state = state_of(awaiting_approval())
    assert "waits for an approval: see nbrun approve" in str(decision_refusal(state, decision))
    assert decision_refusal(state, decisions.Skip()) is None
    assert required_approval(state, decisions.Skip()) is None


def test_approval_does_not_cover_a_later_edit() -> None:
    history = [*with_approval(awaiting_approval()), started(), attempt_failed(), stopped()]
    assert required_approval(state_of(history), decisions.Retry()) is None
    edit = with_proposal(history, decisions.Edit(source="other()"))
    waiting = pending_approval(state_of(edit))
    assert waiting is not None
    assert (waiting.decision, waiting.step, waiting.source) == ("edit", "s1", "other()")
    assert waiting.rule.group == "dba"
    run = with_approval(edit)
    assert next_action(*run) == NextAttempt("s1", "other()", "operator")
    ran = [*run, started(attempt=2, source="other()", edited=True, cause="operator")]
    again = [*ran, attempt_failed(attempt=2), stopped()]
    assert required_approval(state_of(again), decisions.Retry()) is None, "a failure needs no other"
    assert required_approval(
        state_of(again), decisions.Edit(source="step_1()")
    ) == RequiredApproval((), ApprovalRule("dba"))


def test_edit_can_be_proposed_while_step_awaits_approval() -> None:
    history = with_proposal(
        awaiting_approval(), decisions.Edit(source="other()", reason="typing error")
    )
    assert next_action(*with_approval(history)) == NextAttempt("s1", "other()", "operator")
    as_it_stood = pending_approval(state_of(awaiting_approval()))
    assert as_it_stood is not None
    stale = decisions.Approve(binding=as_it_stood.binding)
    assert "has changed since you looked" in str(decision_refusal(state_of(history), stale))
    back = state_of([*history, decided("withdraw")])
    assert pending_approval(back) == as_it_stood
    assert back.phase is Phase.STOPPED


def test_approval_of_fill_step_covers_the_filled_source() -> None:
    fill = step(1, ["fill"], contract=model.Contract(approve=""))
    history: list[Event] = begun([fill])
    assert next_action(*history) == NextStop("fill")
    history = with_proposal([*history, stopped("fill")], decisions.Edit(source="filled()"))
    assert next_action(*with_approval(history)) == NextAttempt("s1", "filled()", "operator")


def test_approval_is_used_up_by_success() -> None:
    history = [*with_approval(awaiting_approval()), started(), attempt_finished(), started("s2")]
    history += [
        attempt_failed("s2"),
        stopped("step_failed", "s2"),
        decided("jump", "s1"),
        resumed(),
    ]
    history += [stopped("moved")]
    assert required_approval(state_of(history), decisions.Run()) == RequiredApproval(
        (), ApprovalRule("dba")
    )


def test_step_needing_approval_is_proposed_from_any_stop() -> None:
    plan = (step(1), step(2, contract=model.Contract(approve="dba")))
    history = with_proposal([*begun(plan), stopped("paused")], decisions.Run(step="s2"))
    assert next_action(*with_approval(history)) == NextAttempt("s2", "step_2()", "operator")


def test_approval_is_void_after_parameters_edit() -> None:
    plan = (step(1, ["parameters"]), step(2, contract=model.Contract(approve="")), step(3))
    ran = [run_started(plan), kernel_started(), started(), attempt_finished()]
    history = with_approval([*ran, stopped("approval", "s2")])
    assert next_action(*history) == NextAttempt("s2", "step_2()", "script")
    edit = [started("s2"), attempt_failed("s2"), stopped("step_failed", "s2")]
    edit += [decided("edit", "s1", "db = 'other'"), resumed()]
    edit += [started("s1", 2, "db = 'other'", True, "operator"), attempt_finished("s1", 2)]
    edit += [stopped("returned", "s2")]
    assert required_approval(state_of([*history, *edit]), decisions.Retry()) == RequiredApproval(
        (), ApprovalRule()
    )


def test_parameters_step_needing_approval_retries_automatically() -> None:
    """That it has run is no change of the parameters that its approval holds for."""
    book = (step(1, ["parameters"], contract=model.Contract(approve="", retries=1)),)
    history = with_approval([*begun(book), stopped("approval")])
    history += [started(), attempt_failed()]
    assert next_action(*history) == NextAttempt("s1", "step_1()", "retry")
    assert approval.is_approved(state_of(history), state_of(history).steps["s1"], "step_1()")


@pytest.mark.parametrize(
    "other",
    [
        ("skip", "s1", None),
        ("retry", "s1", "step_1()"),
        ("run", "s2", "step_1()"),
        ("run", "s1", "step_1() "),
        ("run", None, "step_1()"),
    ],
)
def test_binding_differs_by_decision_step_and_source(other: Any) -> None:
    state = state_of(awaiting_approval())
    assert binding(state, *other) != binding(state, "run", "s1", "step_1()")


@pytest.mark.parametrize("changed", [{"parameters": {"db": "blue"}}, {"run": "another"}])
def test_binding_differs_by_run_and_parameters(changed: Any) -> None:
    what = ("run", "s1", "step_1()")
    bound = binding(state_of(awaiting_approval()), *what)
    assert bound != binding(state_of(awaiting_approval(**changed)), *what)
    assert bound == binding(state_of(awaiting_approval()), *what)


def test_approve_is_refused_when_binding_has_changed() -> None:
    state = state_of(awaiting_approval())
    stale = decisions.Approve(binding="old")
    assert "has changed since you looked" in str(decision_refusal(state, stale))


def test_rejection_leaves_run_waiting() -> None:
    history = [*awaiting_approval(), approval_rejected()]
    assert state_of(history).phase is Phase.STOPPED
    assert pending_approval(state_of(history)) == pending_approval(state_of(awaiting_approval()))


# ── Several people, and time ─────────────────────────────────────────────────────────────────


def two_needed(**fields: Any) -> list[Event]:
    contract = model.Contract(approve="dba", approvals=2, **fields)
    return [
        run_started((step(1, contract=contract), step(2))),
        kernel_started(),
        stopped("approval"),
    ]


def test_step_waits_for_second_person() -> None:
    once = with_approval(two_needed(), GRACE)
    assert state_of(once).phase is Phase.STOPPED
    assert not approval.is_approved(state_of(once), state_of(once).steps["s1"], "step_1()")
    twice = with_approval(once, HEIDI)
    assert next_action(*twice) == NextAttempt("s1", "step_1()", "script")


@pytest.mark.parametrize(
    "again",
    [
        GRACE,
        model.Operator(uid=1009, name="grace2", via="", login_uid=GRACE.uid),
        model.Operator(uid=1009, name="grace2", via="", ancestor_uids=(GRACE.uid,)),
    ],
    ids=["same uid", "same login", "same session"],
)
def test_one_person_never_counts_twice(again: model.Operator) -> None:
    once = state_of(with_approval(two_needed(), GRACE))
    assert "has approved this already" in str(approval.repeated_approval_refusal(once, again))
    assert approval.repeated_approval_refusal(once, HEIDI) is None
    forged = state_of(with_approval(with_approval(two_needed(), GRACE), again))
    assert not approval.is_approved(forged, forged.steps["s1"], "step_1()")


def test_rejection_voids_approvals_so_far() -> None:
    history = [*with_approval(two_needed()), approval_rejected()]
    assert state_of(history).approvals == []


def test_approvals_so_far_outlive_a_crash() -> None:
    history = [*with_approval(two_needed()), *crashed(), run_resumed(), stopped("approval")]
    assert next_action(*with_approval(history, HEIDI)) == NextAttempt("s1", "step_1()", "script")


def test_proposal_of_two_is_void_with_its_approvals_when_withdrawn() -> None:
    history = stopped_by_failure(1, need_approval=("skipped",), approvals=2)
    once = with_approval(with_proposal(history, decisions.Skip()), GRACE)
    assert state_of(once).proposal is not None
    assert not state_of(once).steps["s1"].passed
    assert state_of(with_approval(once, HEIDI)).steps["s1"].passed
    withdrawn = state_of([*once, decided("withdraw")])
    assert (withdrawn.proposal, withdrawn.approvals) == (None, [])


@pytest.mark.parametrize(
    ("contract", "policy", "rule"),
    [
        ({}, {}, ApprovalRule("", 1, None)),
        ({}, {"approvers": "dba", "approvals": 2}, ApprovalRule("dba", 2, None)),
        ({"approve": "web"}, {"approvers": "dba"}, ApprovalRule("web", 1, None)),
        ({"approvals": 3}, {"approvals": 2}, ApprovalRule("", 3, None)),
        ({"approve_within": 60.0}, {"approve_within": 30.0}, ApprovalRule("", 1, 30.0)),
        ({"approve_within": 60.0}, {}, ApprovalRule("", 1, 60.0)),
    ],
)
def test_stricter_of_contract_and_policy_counts(
    contract: dict[str, Any], policy: dict[str, Any], rule: ApprovalRule
) -> None:
    asked = model.Contract(**{"approve": ""} | contract)
    assert approval.combined_rule(model.Policy(**policy), asked) == rule


def later(seconds: float, mono: float | None = None) -> Moment:
    return Moment(START.at + timedelta(seconds=seconds), seconds if mono is None else mono)


@pytest.mark.parametrize(
    ("now", "is_void"),
    [
        (later(10), False),
        (later(58), False),
        (later(59.5), True),
        (later(-3600, mono=61), True),  # somebody set the clock back
        (later(61, mono=1), True),  # the machine was suspended
    ],
)
def test_approval_is_void_by_the_clock_that_comes_first(now: Moment, is_void: bool) -> None:
    state = state_of(with_approval(two_needed(approve_within=60.0)))
    assert bool(approval.expired(state, now)) is is_void


def test_expired_approval_does_not_count() -> None:
    history = with_approval(two_needed(approve_within=60.0), GRACE)
    history += approval.expired(state_of(history), later(61))
    once = with_approval(history, HEIDI, later(62))
    assert state_of(once).phase is Phase.STOPPED
    assert next_action(*with_approval(once, GRACE, later(63))).step == "s1"


def test_run_stops_again_if_its_approval_expires_before_the_step() -> None:
    contract = model.Contract(approve="dba", approve_within=60.0)
    history = [run_started((step(1, contract=contract),)), kernel_started(), stopped("approval")]
    history = with_approval(history)
    assert next_action(*history) == NextAttempt("s1", "step_1()", "script")
    history += approval.expired(state_of(history), later(3600))
    assert next_action(*history) == NextStop("approval", "dba")


def test_declared_retry_needs_an_approval_that_holds() -> None:
    contract = model.Contract(approve="dba", approve_within=60.0, retries=2)
    history = [run_started((step(1, contract=contract),)), kernel_started(), stopped("approval")]
    history = [*with_approval(history), started(), attempt_failed()]
    assert next_action(*history) == NextAttempt("s1", "step_1()", "retry")
    history += approval.expired(state_of(history), later(3600))
    assert next_action(*history) == NextStop("step_failed")


# ── Approvers ────────────────────────────────────────────────────────────────────────────────


def test_detached_operator_cannot_approve() -> None:
    eve = operator("eve", 1002)
    history = [*stopped_by_failure(1, need_approval=("skipped",)), decision_proposed(by=eve)]
    assert "has a hand in this run" in str(approval.approver_refusal(state_of(history), eve, ()))
    assert approval.approver_refusal(state_of(history), GRACE, ()) is None


def test_approve_is_refused_when_nothing_waits() -> None:
    assert (
        approval.approver_refusal(state_of(stopped_by_failure()), GRACE, ())
        == "nothing waits for an approval"
    )


@pytest.mark.parametrize(
    ("who", "groups", "why"),
    [
        (operator("grace", 1001), {"dba", "users"}, None),
        (operator("grace", 1001), {"users"}, "is not in the group dba"),
        (operator("ada", 1000), {"dba"}, "has a hand in this run"),
        (operator("eve", 1002), {"dba"}, "has a hand in this run"),
        (operator("kay", 1003), {"dba"}, "has a hand in this run"),
        (operator("postgres", 999), {"dba"}, "this run's own cells act as postgres"),
    ],
)
def test_group_member_outside_the_run_can_approve(
    who: Any, groups: set[str], why: str | None
) -> None:
    role = model.RoleTaken(name="dba", identities=(identity("postgres", kind="unix"),))
    history: list[Event] = [run_started((STEP_FOR_DBA,), role=role), kernel_started()]
    history += [operator_attached(operator("eve", 1002)), stopped("approval")]
    history += [decided("interrupt", by=operator("kay", 1003))]
    found = approval.approver_refusal(state_of(history), who, groups)
    assert found is None if why is None else why in str(found)


@pytest.mark.parametrize(
    "origin", [{"login_uid": 1000}, {"ancestor_uids": (7, 1000)}, {"login_uid": 0}]
)
def test_person_of_the_run_cannot_approve_under_another_account(origin: dict[str, Any]) -> None:
    state = state_of(awaiting_approval())
    bob = model.Operator(uid=1001, name="bob", via="/dev/pts/8", pid=4711, **origin)
    refusal = approval.approver_refusal(state, bob, {"dba"})
    is_same = 1000 in bob.person_uids
    assert (refusal is not None) is is_same
    assert not is_same or "comes from a session of uid 1000" in str(refusal)


def test_persons_who_attached_are_known_by_their_login() -> None:
    ada = model.Operator(uid=0, name="root", via="/dev/pts/8", login_uid=1001)
    state = state_of([*awaiting_approval(), operator_attached(ada)])
    assert approval.approver_refusal(state, operator("bob", uid=1001), {"dba"}) is not None


def test_account_of_a_role_cannot_approve() -> None:
    history = awaiting_approval(policy=model.Policy(role_users=("postgres",)))
    refusal = approval.approver_refusal(state_of(history), operator("postgres", uid=70), {"dba"})
    assert "is the unix_user of a role" in str(refusal)
