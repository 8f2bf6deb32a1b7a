"""Tests of what programs may decide and propose, and of who approves it."""

from typing import Any

import msgspec
import pytest

from nbrun.core import decisions, model
from nbrun.core import events as ev
from nbrun.core.approval import approver_refusal
from nbrun.core.choices import programs
from nbrun.core.decisions import Decision
from nbrun.core.events import Event
from nbrun.core.guards import decision_refusal, stale_refusal
from nbrun.core.model import Operator, ProgramPolicy
from nbrun.core.planner import NextAttempt, NextFinish
from nbrun.core.proposals import proposal_event
from nbrun.core.reducer import fold, fold_records
from nbrun.core.state import Phase, RunState
from tests.support.build_events import (
    OPERATOR,
    attempt_indeterminate,
    begun,
    decided,
    decision_proposed,
    input_requested,
    note_added,
    operator,
    operator_attached,
    policy,
    records,
    step,
    stopped,
)
from tests.support.build_events import attempt_started as started
from tests.support.run_states import (
    next_action,
    state_of,
    stopped_before,
    stopped_by_failure,
    with_approval,
)

PROGRAM = msgspec.structs.replace(OPERATOR, via="no terminal", channel="program")
NOTHING = ProgramPolicy(propose=False)


def may(*names: str, impact: model.Impact = "none") -> ProgramPolicy:
    return ProgramPolicy(decide=names, impact=impact)


def failed_at(impact: model.Impact | None, **rules: Any) -> RunState:
    plan = (step(1, contract=model.Contract(impact=impact)), step(2))
    return state_of(stopped_by_failure(1, plan, **rules))


def with_program_proposal(events: list[Event], decision: Decision) -> list[Event]:
    state = state_of(events)
    assert programs.program_refusal(state, decision) is None
    assert not programs.may_decide(state, decision)
    made = proposal_event(state, decision, PROGRAM, programs.own_approval(state, decision))
    return [*events, made]


def approved_by(events: list[Event], who: Operator = OPERATOR) -> list[Event]:
    return with_approval(events, who)


# ── what a program may do ────────────────────────────────────────────────────────────────────


def test_program_may_only_propose_by_default() -> None:
    state = failed_at("none")
    for decision in (decisions.Retry(), decisions.Skip(), decisions.Cancel()):
        assert programs.program_refusal(state, decision) is None
        assert not programs.may_decide(state, decision)
    assert programs.may_decide(state, decisions.AddNote(text="seen"))
    why = programs.program_refusal(state, decisions.KillKernel())
    assert why == "the policy in nbrun.toml leaves kill to a person here"


def test_program_may_do_nothing_where_policy_says_so() -> None:
    state = failed_at("none", programs=NOTHING)
    for decision in (decisions.Retry(), decisions.AddNote(text="x"), decisions.Approve(binding="")):
        assert "decide nothing" in str(programs.program_refusal(state, decision))


@pytest.mark.parametrize(
    ("declared", "limit", "alone"),
    [
        ("none", "none", True),
        ("changes", "none", False),
        ("changes", "changes", True),
        (None, "none", False),  # assumed to change something
        (None, "changes", True),
        ("destructive", "changes", False),
        ("destructive", "destructive", True),
    ],
)
def test_listed_decision_is_free_up_to_impact(
    declared: model.Impact | None, limit: model.Impact, alone: bool
) -> None:
    state = failed_at(declared, programs=may("retry", impact=limit))
    assert programs.may_decide(state, decisions.Retry()) is alone
    assert programs.program_refusal(state, decisions.Retry()) is None
    assert not programs.may_decide(state, decisions.Skip())


def test_code_of_a_program_counts_as_destructive() -> None:
    state = failed_at("none", programs=may("edit", "insert", "retry", impact="changes"))
    for decision in (decisions.Edit(source="rm()"), decisions.Insert(source="rm()")):
        assert programs.impact(state, decision) == "destructive"
        assert not programs.may_decide(state, decision)
    edited = [*stopped_by_failure(1, 2, programs=may("retry"))]
    edited[2] = started("s1", source="rm()")
    assert programs.impact(state_of(edited), decisions.Retry()) == "destructive"


def test_impact_of_what_runs_or_ran_unseen_is_that_of_the_undo() -> None:
    undo = msgspec.structs.replace(step(1), id="u1", contract=model.Contract(impact="destructive"))
    plan = (msgspec.structs.replace(step(1), undo=undo), step(2))
    running = [*stopped_before(2, plan), decided("undo", step="s1"), ev.Resumed()]
    running.append(started("u1", cause="undo"))
    assert programs.impact(state_of(running), decisions.Interrupt()) == "destructive"
    unseen = [*running, attempt_indeterminate("u1")]
    settle = decisions.Settle(finding="happened")
    assert programs.impact(state_of(unseen), settle) == "destructive"


def test_impact_covers_every_step_that_a_decision_reaches() -> None:
    plan = tuple(
        step(number, contract=model.Contract(impact=impact))
        for number, impact in enumerate(("none", "destructive", "none", "changes"), 1)
    )
    at_first, at_third = state_of(stopped_before(1, plan)), state_of(stopped_before(3, plan))
    assert programs.impact(at_first, decisions.Run()) == "none"
    assert programs.impact(at_first, decisions.Continue()) == "destructive"
    assert programs.impact(at_first, decisions.Jump(step="s3")) == "destructive"
    assert programs.impact(at_first, decisions.Jump(step="s2")) == "none"
    assert programs.impact(at_third, decisions.Jump(step="s2")) == "destructive"
    assert programs.impact(at_third, decisions.Skip()) == "none"
    assert programs.impact(at_third, decisions.Cancel()) == "none"


def test_attached_person_is_the_operator() -> None:
    rules = may("retry", "answer", impact="destructive")
    events = [*stopped_by_failure(1, programs=rules), operator_attached()]
    assert not programs.may_decide(state_of(events), decisions.Retry())
    assert programs.program_refusal(state_of(events), decisions.Retry()) is None  # it proposes
    running = [*begun(2, policy(programs=rules)), operator_attached(), started(), input_requested()]
    why = programs.program_refusal(state_of(running), decisions.Answer(text="db2"))
    assert why == "ada (/dev/pts/7) operates this run: answer is theirs to decide"


def test_program_proposes_only_at_a_free_stop() -> None:
    running = state_of([*begun(2), started()])
    assert "only while the run waits" in str(programs.program_refusal(running, decisions.Cancel()))
    taken = state_of([*stopped_by_failure(), decision_proposed(by=PROGRAM)])
    assert programs.program_refusal(taken, decisions.Retry()) == (
        "skip waits for an approval already"
    )
    gate = step(1, contract=model.Contract(approve="dba"))
    at_gate = state_of([*begun((gate,)), stopped("approval")])
    assert programs.program_refusal(at_gate, decisions.Skip()) == (
        "step 1 waits for an approval of its own"
    )


def test_program_withdraws_only_what_a_program_proposed() -> None:
    by_person = state_of([*stopped_by_failure(), decision_proposed()])
    by_program = state_of([*stopped_by_failure(), decision_proposed(by=PROGRAM)])
    withdraw = decisions.Withdraw()
    assert "a person has decided" in str(programs.program_refusal(by_person, withdraw))
    assert programs.program_refusal(by_program, withdraw) is None


# ── its proposals ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("decision", "leads_to"),
    [
        (decisions.Retry(reason="x"), NextAttempt("s1", "step_1()", "operator")),
        (decisions.Edit(source="b()"), NextAttempt("s1", "b()", "operator")),
        (decisions.Skip(), NextAttempt("s2", "step_2()", "script")),
        (decisions.Insert(source="b()"), NextAttempt("inserted-1", "b()", "operator")),
        (decisions.Cancel(reason="x"), NextFinish("cancelled", "cancelled by ada via program: x")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_approved_proposal_of_program_is_carried_out(decision: Decision, leads_to: Any) -> None:
    run = approved_by(with_program_proposal(stopped_by_failure(), decision))
    assert next_action(*run) == leads_to
    (made,) = (event for event in run if isinstance(event, ev.Decided))
    assert (made.operator, made.reason) == (PROGRAM, decision.reason)


def test_proposal_of_program_leaves_the_run_to_its_operator() -> None:
    events = with_program_proposal(stopped_by_failure(), decisions.Skip())
    for decision in (decisions.Retry(), decisions.Skip(), decisions.RestartKernel()):
        assert decision_refusal(state_of(events), decision) is None
    decided = state_of([*events, ev.Decided(operator=OPERATOR, decision="retry")])
    assert decided.proposal is None


@pytest.mark.parametrize(
    ("who", "why"),
    [
        (OPERATOR, None),
        (PROGRAM, "a person has to approve it"),
        (operator(via="no terminal"), "at a terminal"),
        (operator("grace", 1001), "ada has to approve it"),
    ],
)
def test_person_of_the_account_approves_what_a_program_proposed(
    who: Operator, why: str | None
) -> None:
    state = state_of(with_program_proposal(stopped_by_failure(), decisions.Skip()))
    found = approver_refusal(state, who, {"dba"})
    assert found is None if why is None else why in str(found)


def test_attached_operator_of_another_account_approves_as_well() -> None:
    root = operator("root", 0)
    events = [*stopped_by_failure(), operator_attached(root)]
    state = state_of(with_program_proposal(events, decisions.Skip()))
    assert approver_refusal(state, root, ()) is None


def test_four_eyes_still_take_two_people() -> None:
    """The person's approval of a program's proposal is not the approval of another person."""
    history = stopped_by_failure(1, 2, need_approval=("retried",), programs=may("retry"))
    assert not programs.may_decide(state_of(history), decisions.Retry())
    run = approved_by(with_program_proposal(history, decisions.Retry()))
    state = state_of(run)
    assert state.phase is Phase.STOPPED
    assert state.proposal is not None
    assert (state.proposal.operator, state.proposal.kinds) == (OPERATOR, ("retried",))
    assert "has a hand in this run" in str(approver_refusal(state, OPERATOR, ()))
    assert approver_refusal(state, operator("grace", 1001), ()) is None


def test_approval_of_program_does_not_open_the_gate_of_a_step() -> None:
    gate = step(2, contract=model.Contract(approve=""))
    history = stopped_by_failure(1, (step(1), gate))
    run = approved_by(with_program_proposal(history, decisions.Run(step="s2")))
    state = state_of(run)
    assert state.approvals == []
    assert state.proposal is not None
    assert state.proposal.operator == OPERATOR


# ── where the run stands ─────────────────────────────────────────────────────────────────────


def test_seq_is_of_the_last_record_that_moved_the_run() -> None:
    events = [*stopped_by_failure(), note_added(), operator_attached()]
    state = fold_records(records(events))
    assert events[state.seq] == stopped()
    assert fold(events).seq == -1


def test_decision_about_an_earlier_place_is_refused() -> None:
    made = records(stopped_by_failure())
    state, seen = fold_records(made), made[-1].seq
    retry = decisions.Retry(expect_seq=seen)
    for who in (OPERATOR, PROGRAM):
        assert stale_refusal(state, retry, who) is None
        assert stale_refusal(state, decisions.Retry(), who) is None
        old = stale_refusal(state, decisions.Retry(expect_seq=seen - 1), who)
        assert old == f"the run has moved since you looked: it stands at record {seen}, not 3"


def test_proposal_of_program_moves_the_run_for_programs_only() -> None:
    """It must not make a person's decision void that was typed at the same time."""
    events = stopped_by_failure()
    seen = len(events) - 1
    state = fold_records(records([*events, decision_proposed(by=PROGRAM)]))
    retry = decisions.Retry(expect_seq=seen)
    assert stale_refusal(state, retry, OPERATOR) is None
    assert stale_refusal(state, retry, PROGRAM) is not None
    by_person = fold_records(records([*events, decision_proposed()]))
    assert stale_refusal(by_person, retry, OPERATOR) is not None
