"""What waits for the approval of another person, what that holds for, and who may give it."""

from typing import Any

import pytest

from nbrun.core import approval, decisions, model
from nbrun.core import events as ev
from nbrun.core.approval import binding, pending_approval
from nbrun.core.decisions import Decision
from nbrun.core.events import Event
from nbrun.core.guards import decision_refusal, missing_input
from nbrun.core.planner import NextAttempt, NextRestart, NextStop, unattended_end
from nbrun.core.proposals import (
    RequiredApproval,
    approval_events,
    proposal_event,
    required_approval,
)
from nbrun.core.reducer import apply, fold
from nbrun.core.state import Phase, RunState
from tests.support.build_events import (
    OPERATOR,
    approval_rejected,
    attempt_failed,
    attempt_finished,
    begun,
    crashed,
    decided,
    decision_proposed,
    identity,
    kernel_died,
    kernel_started,
    operator,
    operator_attached,
    policy,
    resumed,
    run_resumed,
    run_started,
    step,
    stopped,
    with_deviations,
)
from tests.support.build_events import attempt_started as started
from tests.support.run_states import failed, following, state_of

GRACE = operator("grace", 1001)
SHARED = step(1, contract=model.Contract(approve="dba"))


# ── A step that asks for one ─────────────────────────────────────────────────────────────────


def asked_for_approval(**fields: Any) -> list[Event]:
    return [run_started((SHARED, step(2)), **fields), kernel_started(), stopped("approval")]


def said(state: RunState, decision: decisions.Approve | decisions.Reject) -> RunState:
    """`state` after another person has said so."""
    for event in approval_events(state, GRACE, decision):
        apply(state, event)
    return state


def approved(told: list[Event]) -> list[Event]:
    """`told`, and that what waits there is approved."""
    return [
        *told,
        *approval_events(fold(with_deviations(told)), GRACE, decisions.Approve(binding="")),
    ]


def put_up(told: list[Event], decision: Decision) -> list[Event]:
    """`told`, and that `decision`, which is allowed and needs it, waits for an approval."""
    state = state_of(told)
    assert decision_refusal(state, decision) is None
    why = required_approval(state, decision)
    assert why is not None
    return [*told, proposal_event(state, decision, OPERATOR, why)]


def test_a_step_that_needs_an_approval_runs_when_it_has_it() -> None:
    told = asked_for_approval()
    assert following(*told[:-1]) == NextStop("approval", "dba")
    assert following(*approved(told)) == NextAttempt("s1", "step_1()", "script")


@pytest.mark.parametrize(
    "decision",
    [
        decisions.Run(),
        decisions.Continue(),
        decisions.Run(step="s1"),
        decisions.Edit(source="step_1()"),
    ],
)
def test_what_waits_as_it_stands_need_not_be_put_up(decision: Decision) -> None:
    state = state_of(asked_for_approval())
    assert "waits for an approval: see nbrun approve" in str(decision_refusal(state, decision))
    assert decision_refusal(state, decisions.Skip()) is None
    assert required_approval(state, decisions.Skip()) is None


def test_an_approval_does_not_hold_for_an_edit_which_waits_for_its_own() -> None:
    told = [*approved(asked_for_approval()), started(), attempt_failed(), stopped()]
    assert required_approval(state_of(told), decisions.Retry()) is None
    edit = put_up(told, decisions.Edit(source="other()"))
    waiting = pending_approval(state_of(edit))
    assert waiting is not None
    assert (waiting.decision, waiting.step, waiting.source) == ("edit", "s1", "other()")
    assert waiting.group == "dba"
    run = approved(edit)
    assert following(*run) == NextAttempt("s1", "other()", "operator")
    ran = [*run, started(attempt=2, source="other()", edited=True, cause="operator")]
    again = [*ran, attempt_failed(attempt=2), stopped()]
    assert required_approval(state_of(again), decisions.Retry()) is None, "a failure needs no other"
    assert required_approval(
        state_of(again), decisions.Edit(source="step_1()")
    ) == RequiredApproval((), "dba")


def test_an_edit_can_be_put_up_at_the_gate_itself() -> None:
    told = put_up(asked_for_approval(), decisions.Edit(source="other()", reason="typing error"))
    assert following(*approved(told)) == NextAttempt("s1", "other()", "operator")
    as_it_stood = pending_approval(state_of(asked_for_approval()))
    assert as_it_stood is not None
    stale = decisions.Approve(binding=as_it_stood.binding)
    assert "has changed since you looked" in str(decision_refusal(state_of(told), stale))
    back = state_of([*told, decided("withdraw")])
    assert pending_approval(back) == as_it_stood
    assert back.phase is Phase.STOPPED


def test_an_edit_of_a_step_to_fill_is_what_is_approved() -> None:
    fill = step(1, ["fill"], contract=model.Contract(approve=""))
    told: list[Event] = begun([fill])
    assert following(*told) == NextStop("fill")
    told = put_up([*told, stopped("fill")], decisions.Edit(source="filled()"))
    assert following(*approved(told)) == NextAttempt("s1", "filled()", "operator")


def test_an_approval_is_used_up_by_a_success() -> None:
    told = [*approved(asked_for_approval()), started(), attempt_finished(), started("s2")]
    told += [attempt_failed("s2"), stopped("step_failed", "s2"), decided("jump", "s1"), resumed()]
    told += [stopped("moved")]
    assert required_approval(state_of(told), decisions.Run()) == RequiredApproval((), "dba")


def test_a_step_that_needs_one_is_put_up_wherever_it_is_run_from() -> None:
    plan = (step(1), step(2, contract=model.Contract(approve="dba")))
    told = put_up([*begun(plan), stopped("paused")], decisions.Run(step="s2"))
    assert following(*approved(told)) == NextAttempt("s2", "step_2()", "operator")


def test_an_edit_of_the_parameters_voids_an_approval() -> None:
    plan = (step(1, ["parameters"]), step(2, contract=model.Contract(approve="")), step(3))
    ran = [run_started(plan), kernel_started(), started(), attempt_finished()]
    told = approved([*ran, stopped("approval", "s2")])
    assert following(*told) == NextAttempt("s2", "step_2()", "script")
    edit = [started("s2"), attempt_failed("s2"), stopped("step_failed", "s2")]
    edit += [decided("edit", "s1", "db = 'other'"), resumed()]
    edit += [started("s1", 2, "db = 'other'", True, "operator"), attempt_finished("s1", 2)]
    edit += [stopped("returned", "s2")]
    assert required_approval(state_of([*told, *edit]), decisions.Retry()) == RequiredApproval(
        (), ""
    )


def test_a_parameters_step_that_needs_one_is_retried_as_the_runbook_says() -> None:
    """That it has run is no change of the parameters that its approval holds for."""
    book = (step(1, ["parameters"], contract=model.Contract(approve="", retries=1)),)
    told = approved([*begun(book), stopped("approval")])
    told += [started(), attempt_failed()]
    assert following(*told) == NextAttempt("s1", "step_1()", "retry")
    assert approval.is_approved(state_of(told), state_of(told).steps["s1"], "step_1()")


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
def test_an_approval_holds_for_one_decision_step_and_source(other: Any) -> None:
    state = state_of(asked_for_approval())
    assert binding(state, *other) != binding(state, "run", "s1", "step_1()")


@pytest.mark.parametrize("changed", [{"parameters": {"db": "blue"}}, {"run": "another"}])
def test_an_approval_holds_for_one_run_and_its_parameters(changed: Any) -> None:
    what = ("run", "s1", "step_1()")
    bound = binding(state_of(asked_for_approval()), *what)
    assert bound != binding(state_of(asked_for_approval(**changed)), *what)
    assert bound == binding(state_of(asked_for_approval()), *what)


def test_what_has_changed_since_it_was_looked_at_is_not_approved() -> None:
    state = state_of(asked_for_approval())
    stale = decisions.Approve(binding="old")
    assert "has changed since you looked" in str(decision_refusal(state, stale))


def test_a_rejection_leaves_the_run_waiting() -> None:
    told = [*asked_for_approval(), approval_rejected()]
    assert state_of(told).phase is Phase.STOPPED
    assert pending_approval(state_of(told)) == pending_approval(state_of(asked_for_approval()))


# ── A decision that the policy wants one for ─────────────────────────────────────────────────


def team(**rules: Any) -> list[Event]:
    """Stopped at step 1 of 3, which failed, under a policy."""
    return failed(1, **rules)


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
def test_what_leaves_the_script_waits_and_is_carried_out_when_it_is_approved(
    decision: Decision, kinds: Any, leads_to: Any
) -> None:
    told = put_up(team(need_approval=kinds, approvers="leads"), decision)
    state = state_of(told)
    assert state.proposal is not None
    assert (state.proposal.kinds, state.proposal.group) == (kinds, "leads")
    assert state.phase is Phase.STOPPED
    assert state.decision is None
    assert state.deviations == []
    run = approved(told)
    assert following(*run) == leads_to
    (made,) = (event for event in run if isinstance(event, ev.Decided))
    assert (made.operator, made.reason) == (OPERATOR, decision.reason)
    assert state_of(run).proposal is None


def test_what_the_policy_does_not_name_needs_none() -> None:
    state = state_of(team(need_approval=("skipped",)))
    assert required_approval(state, decisions.Retry()) is None
    assert required_approval(state, decisions.Edit(source="b()")) is None
    assert required_approval(state, decisions.AddNote(text="x")) is None
    assert required_approval(state, decisions.Cancel()) is None


def test_a_reason_is_asked_for_before_it_is_put_up() -> None:
    state = state_of(team(need_approval=("skipped",), need_reason=("skipped",)))
    assert missing_input(state, decisions.Skip()) == "a reason is needed: skipped"


def test_while_it_waits_nothing_else_is_decided() -> None:
    told = put_up(team(need_approval=("skipped",)), decisions.Skip())
    state = state_of(told)
    for decision in (decisions.Retry(), decisions.Skip(), decisions.RestartKernel()):
        assert decision_refusal(state, decision) == "skip waits for an approval: withdraw it first"
    for decision in (decisions.Withdraw(), decisions.Cancel(), decisions.AddNote(text="asked")):
        assert decision_refusal(state, decision) is None


@pytest.mark.parametrize(
    "end", [[decided("withdraw")], [approval_rejected()], [kernel_died()]], ids=str
)
def test_withdrawn_rejected_or_with_its_kernel_gone_it_is_void(end: list[Event]) -> None:
    told = put_up(team(need_approval=("skipped",)), decisions.Skip())
    state = state_of([*told, *end])
    assert pending_approval(state) is None
    assert state.phase is Phase.STOPPED
    assert state.steps["s1"].passed is False
    assert "nothing waits" in str(decision_refusal(state, decisions.Approve(binding="")))


def test_after_a_crash_it_is_decided_again_or_not_at_all() -> None:
    told = put_up(team(need_approval=("skipped",)), decisions.Skip())
    state = state_of([*told, *crashed(), run_resumed()])
    assert pending_approval(state) is None
    assert not state.steps["s1"].passed


def test_there_is_nothing_to_withdraw_where_nothing_waits() -> None:
    for told in (team(), asked_for_approval()):
        assert "nothing that was decided" in str(
            decision_refusal(state_of(told), decisions.Withdraw())
        )


def test_a_move_back_that_was_approved_is_not_asked_about_again_step_by_step() -> None:
    ran = [*begun(2, policy(step=True, need_approval=("reran",))), started(), attempt_finished()]
    told = put_up([*ran, stopped("step_mode", "s2")], decisions.Jump(step="s1"))
    moved = [*approved(told), stopped("moved", "s1")]
    assert required_approval(state_of(moved), decisions.Run()) is None
    assert required_approval(state_of([*ran, stopped("step_mode", "s2")]), decisions.Run(step="s1"))


def test_a_move_forward_to_before_what_was_run_aside_has_that_run_again() -> None:
    rules = policy(step=True, need_approval=("reran",))
    aside = [started("s3", cause="operator"), attempt_finished("s3"), stopped("returned", "s1")]
    told: list[Event] = [*begun(3, rules), stopped("step_mode"), decided("run", "s3"), resumed()]
    state = state_of([*told, *aside])
    assert required_approval(state, decisions.Jump(step="s2")) == RequiredApproval(("reran",), "")
    assert (
        required_approval(
            state_of([*begun(3, rules), stopped("step_mode")]), decisions.Jump(step="s2")
        )
        is None
    )


def test_the_steps_own_group_goes_before_the_teams() -> None:
    told: list[Event] = [*begun((SHARED,), policy(need_approval=("skipped",), approvers="leads"))]
    why = required_approval(state_of([*told, stopped("approval")]), decisions.Skip())
    assert why == RequiredApproval(("skipped",), "dba")


def test_a_run_that_nobody_comes_to_says_what_it_waited_for() -> None:
    told = put_up(team(need_approval=("skipped",)), decisions.Skip())
    ended = unattended_end(state_of(told), NextStop("step_failed"))
    assert ended.why == (
        "what was decided at step 1 waited for an approval, and nobody was there to decide"
    )


# ── Who may ──────────────────────────────────────────────────────────────────────────────────


def test_who_decided_does_not_approve_it_though_they_have_left() -> None:
    eve = operator("eve", 1002)
    told = [*team(need_approval=("skipped",)), decision_proposed(by=eve)]
    assert "has a hand in this run" in str(approval.approver_refusal(state_of(told), eve, ()))
    assert approval.approver_refusal(state_of(told), GRACE, ()) is None


def test_nobody_approves_where_nothing_waits() -> None:
    assert approval.approver_refusal(state_of(team()), GRACE, ()) == "nothing waits for an approval"


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
def test_another_person_of_the_group_approves(who: Any, groups: set[str], why: str | None) -> None:
    role = model.RoleTaken(name="dba", identities=(identity("postgres", kind="unix"),))
    told: list[Event] = [run_started((SHARED,), role=role), kernel_started()]
    told += [operator_attached(operator("eve", 1002)), stopped("approval")]
    told += [decided("interrupt", by=operator("kay", 1003))]
    found = approval.approver_refusal(state_of(told), who, groups)
    assert found is None if why is None else why in str(found)
