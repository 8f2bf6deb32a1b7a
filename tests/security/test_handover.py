"""Attacks on the handover of a run: by a guest, by the old operator, by a cell's account."""

import os
from collections.abc import Collection
from typing import Any

import pytest

from nbrun.core import approval, decisions, model
from nbrun.core import events as ev
from nbrun.core.approval import Moment
from nbrun.core.choices import handover
from nbrun.core.decisions import Decision
from nbrun.core.events import Event, Record
from nbrun.core.model import Operator
from nbrun.core.state import RunState
from nbrun.supervisor.admission import Admission
from tests.support.build_events import (
    OPERATOR,
    approval_granted,
    crashed,
    handover_accepted,
    handover_offered,
    handover_withdrawn,
    identity,
    kernel_started,
    operator,
    run_resumed,
    run_started,
    step,
    stopped,
)
from tests.support.run_states import GRACE, HEIDI, START, state_of

ROOT = operator("root", 0)
ROLE = model.RoleTaken(name="dba", identities=(identity("postgres", kind="unix"),))
EVERY_DECISION: list[Decision] = [
    decisions.Run(),
    decisions.Skip(),
    decisions.Edit(source="drop()"),
    decisions.Interrupt(),
    decisions.KillKernel(),
    decisions.Answer(text="yes"),
    decisions.AddNote(text="x"),
    decisions.Withdraw(),
    decisions.Handover(to="eve"),
]


def begun(**fields: Any) -> list[Event]:
    """Return a run that can be handed over to the group dba, and waits at step 1."""
    rules = fields.pop("policy", model.Policy(operators="dba", role_users=("postgres",)))
    defaults: dict[str, Any] = {"policy": rules, "role": ROLE}
    contract = model.Contract(approve="")
    book = (step(1, contract=contract),)
    return [run_started(book, **defaults | fields), kernel_started(), stopped("approval")]


def acceptance(
    state: RunState, who: Operator, groups: Collection[str] = ("dba",), now: Moment = START
) -> str | None:
    return handover.acceptance_refusal(state, who, groups, now)


def handed_over() -> list[Event]:
    return [*begun(), handover_offered(), handover_accepted(GRACE)]


@pytest.mark.parametrize(
    ("fields", "to", "groups", "why"),
    [
        ({}, GRACE, {"dba"}, None),
        ({}, GRACE, {"web"}, "is not in the group dba"),
        ({}, OPERATOR, {"dba"}, "operates this run already"),
        ({}, operator("postgres", 70), {"dba"}, "is the unix_user of a role"),
        ({"policy": model.Policy(group="dba")}, GRACE, {"dba"}, "not started with --operators"),
    ],
)
def test_run_is_offered_only_to_a_person_of_its_group(
    fields: dict[str, Any], to: Operator, groups: set[str], why: str | None
) -> None:
    found = handover.offer_refusal(state_of(begun(**fields)), to, groups)
    assert found is None if why is None else why in str(found)


def test_nobody_but_the_one_it_is_offered_to_can_accept() -> None:
    offered = state_of([*begun(), handover_offered()])
    assert acceptance(offered, GRACE) is None
    assert "is not offered to heidi" in str(acceptance(offered, HEIDI))
    left = acceptance(offered, GRACE, {"users"})
    assert "is not in the group dba" in str(left)
    program = Operator(uid=GRACE.uid, name="grace", via="", channel="program")
    assert "a person has to" in str(acceptance(offered, program))
    for history in (begun(), [*begun(), handover_offered(), handover_withdrawn()], handed_over()):
        assert acceptance(state_of(history), GRACE) is not None


@pytest.mark.parametrize("decision", EVERY_DECISION, ids=lambda each: type(each).__name__)
def test_only_whoever_operates_decides(decision: Decision) -> None:
    before, after = state_of([*begun(), handover_offered()]), state_of(handed_over())
    for state, operates, others in (
        (before, OPERATOR, (GRACE, HEIDI)),
        (after, GRACE, (OPERATOR, HEIDI)),
    ):
        assert handover.outsider_refusal(state, decision, operates) is None
        assert handover.outsider_refusal(state, decision, ROOT) is None
        for other in others:
            refused = handover.outsider_refusal(state, decision, other)
            assert f"{operates.name} operates this run" in str(refused)


def test_owner_may_still_cancel_and_others_may_not() -> None:
    state = state_of(handed_over())
    assert handover.outsider_refusal(state, decisions.Cancel(), OPERATOR) is None
    assert handover.outsider_refusal(state, decisions.Cancel(), HEIDI) is not None


def test_neither_old_nor_new_operator_can_approve() -> None:
    state = state_of(handed_over())
    for who in (OPERATOR, GRACE):
        assert "has a hand in this run" in str(approval.approver_refusal(state, who, {"dba"}))
    assert approval.approver_refusal(state, HEIDI, {"dba"}) is None


def test_earlier_approval_of_new_operator_does_not_count() -> None:
    contract = model.Contract(approve="", approvals=2)
    history = begun()
    plan = history[0]
    assert isinstance(plan, ev.RunStarted)
    book = run_started((step(1, contract=contract),), plan.policy, role=ROLE)
    history = [book, *history[1:], approval_granted(by=GRACE), approval_granted(by=HEIDI)]
    state = state_of([*history, handover_offered(), handover_accepted(GRACE)])
    assert [each.operator for each in state.approvals] == [HEIDI]


def test_resumed_run_belongs_to_its_owner_again() -> None:
    state = state_of([*handed_over(), *crashed(), run_resumed()])
    assert handover.operator_of(state) == OPERATOR
    assert handover.outsider_refusal(state, decisions.Skip(), GRACE) is not None


def test_connected_console_of_the_old_operator_decides_nothing() -> None:
    """The supervisor's first check, by uid, and who may take the console."""
    me, other = os.getuid(), Operator(uid=4711, name="grace", via="/dev/pts/1")
    admission = Admission(is_shared=True)
    own = Operator(uid=me, name="ada", via="/dev/pts/2")
    assert not admission.may_operate(other.uid)
    for decision in EVERY_DECISION:
        assert admission.decision_refusal(decision, other) is not None
    accepted = ev.HandoverAccepted(operator=other)
    admission.note(Record(seq=1, at="", mono=0.0, event=accepted, prev="", hash=""))
    assert admission.may_operate(other.uid)
    assert admission.may_operate(me) is (me == 0)  # root may do everything
    if me != 0:
        assert admission.decision_refusal(decisions.Handover(to="ada"), own) is not None
    assert admission.decision_refusal(decisions.Handover(to="ada"), other) is None
