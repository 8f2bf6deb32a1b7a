"""Handover of a run whose cells act as its owner: somebody else has to approve it."""

from datetime import timedelta

import pytest

from nbrun.core import approval, decisions, model
from nbrun.core import events as ev
from nbrun.core.approval import Moment, Signer, approver_refusal, pending_approval
from nbrun.core.approval_request import mismatch, new_request, read_statement, reply_with
from nbrun.core.approval_request import new_statement as statement_of
from nbrun.core.choices import handover
from nbrun.core.events import Event
from nbrun.core.guards import decision_refusal
from nbrun.core.model import Operator
from nbrun.core.proposals import approval_events, handover_proposal
from nbrun.core.state import RunState
from nbrun.views.terminal import approval as approval_view
from nbrun.views.text.event_summary import describe
from tests.support.build_events import (
    BEGAN,
    OPERATOR,
    approval_rejected,
    attempt_started,
    crashed,
    decided,
    decision_proposed,
    handover_accepted,
    handover_offered,
    identity,
    kernel_died,
    kernel_started,
    operator,
    record,
    resumed,
    run_resumed,
    run_started,
    step,
    stopped,
)
from tests.support.rendered_text import printed
from tests.support.run_states import GRACE, HEIDI, START, state_of

IVAN = operator("ivan", 1003)
POLICY = model.Policy(operators="dba", approvers="leads", approve_within=60.0)


def stopped_run(policy: model.Policy = POLICY) -> list[Event]:
    """Return a run whose cells act as ada, and which waits at step 1."""
    return [run_started((step(1), step(2)), policy), kernel_started(), stopped("step_mode")]


def proposed(policy: model.Policy = POLICY, to: Operator = GRACE) -> list[Event]:
    """Return a run whose offer to `to` waits for an approval."""
    history = stopped_run(policy)
    handing = handover.handing_to(state_of(history), to)
    assert handing is not None
    return [*history, handover_proposal(state_of(history), handing, OPERATOR, "my shift ends")]


def approved(history: list[Event], by: Operator = HEIDI, now: Moment = START) -> list[Event]:
    given = decisions.Approve(binding="")
    return [*history, *approval_events(state_of(history), by, given, now)]


def acceptance(history: list[Event], now: Moment = START) -> str | None:
    return handover.acceptance_refusal(state_of(history), GRACE, {"dba"}, now)


def bound(state: RunState) -> str:
    pending = pending_approval(state)
    assert pending is not None
    return pending.binding


def test_approved_offer_is_accepted_and_the_run_still_waits() -> None:
    assert "is not offered to grace" in str(acceptance(proposed()))
    history = approved(proposed())
    assert isinstance(history[-1], ev.HandoverOffered)
    assert history[-1].operator == OPERATOR
    state = state_of(history)
    assert (state.proposal, state.approvals, pending_approval(state)) == (None, [], None)
    assert state.stop is not None
    assert acceptance(history) is None
    after = state_of([*history, handover_accepted(GRACE)])
    assert handover.operator_of(after) == GRACE


def test_offer_without_the_approval_that_it_needs_is_not_accepted() -> None:
    refused = acceptance([*stopped_run(), handover_offered()])
    assert refused == "nobody has approved that grace acts as ada"


@pytest.mark.parametrize("role", [None, model.RoleTaken(name="aws", identities=(identity(),))])
def test_approval_is_needed_where_cells_act_as_the_owner(role: model.RoleTaken | None) -> None:
    plan = run_started((step(1),), POLICY, role=role)
    history: list[Event] = [plan, kernel_started(), stopped()]
    handing = handover.handing_to(state_of(history), GRACE)
    assert handing == model.Handing(to="grace", to_uid=GRACE.uid, acts_as="ada")
    assert handover.handing_to(state_of(history), OPERATOR) is None


def test_operator_hands_back_to_the_owner_without_an_approval() -> None:
    state = state_of([*approved(proposed()), handover_accepted(GRACE)])
    assert handover.handing_to(state, OPERATOR) is None
    assert handover.handing_to(state, HEIDI) == model.Handing(
        to="heidi", to_uid=HEIDI.uid, acts_as="ada"
    )


@pytest.mark.parametrize(
    ("who", "groups", "why"),
    [
        (HEIDI, {"leads"}, None),
        (HEIDI, {"dba"}, "is not in the group leads"),
        (OPERATOR, {"leads"}, "has a hand in this run"),
        (GRACE, {"leads"}, "this run is to be handed to grace: another person has to"),
        (
            Operator(uid=1002, name="heidi", via="", login_uid=GRACE.uid),
            {"leads"},
            "this run is to be handed to grace",
        ),
    ],
)
def test_neither_starter_nor_receiver_can_approve(
    who: Operator, groups: set[str], why: str | None
) -> None:
    found = approver_refusal(state_of(proposed()), who, groups)
    assert found is None if why is None else why in str(found)


def test_account_that_the_cells_act_as_since_a_resume_can_not_approve() -> None:
    history = [*stopped_run(), *crashed(), run_resumed(by=HEIDI), kernel_started(), stopped()]
    handing = handover.handing_to(state_of(history), GRACE)
    assert handing is not None and handing.acts_as == "heidi"
    root = operator("root", 0)
    history.append(handover_proposal(state_of(history), handing, root, ""))
    assert "a hand in" in str(approver_refusal(state_of(history), HEIDI, {"leads"}))


@pytest.mark.parametrize("names", [("grace",), ("g@example.org",)])
def test_key_of_the_receiver_approves_nothing(names: tuple[str, ...]) -> None:
    uids = (GRACE.uid,) if names != ("grace",) else ()
    signer = Signer(key="SHA256:x", names=names, uids=uids, approvers="", approvers_sha256="")
    refused = approval.signer_refusal(state_of(proposed()), signer)
    assert "to whom this run is to be handed" in str(refused)
    other = Signer(key="SHA256:y", names=("ivan",), uids=(), approvers="", approvers_sha256="")
    assert approval.signer_refusal(state_of(proposed()), other) is None


def test_approval_covers_run_decision_and_both_accounts() -> None:
    of_grace, of_ivan = state_of(proposed()), state_of(proposed(to=IVAN))
    assert bound(of_grace) != bound(of_ivan)
    skip = decision_proposed("handover", None, kinds=())
    assert bound(state_of([*stopped_run(), skip])) not in (bound(of_grace), bound(of_ivan))
    stale = decisions.Approve(binding=bound(of_grace))
    assert "has changed since you looked" in str(decision_refusal(of_ivan, stale))


def test_signed_approval_is_for_one_receiver_only() -> None:
    of_grace, of_ivan = state_of(proposed()), state_of(proposed(to=IVAN))
    pending, other = pending_approval(of_grace), pending_approval(of_ivan)
    assert pending is not None and other is not None
    statement = statement_of(new_request(of_grace, pending, BEGAN), "", BEGAN)
    assert read_statement(statement.text()) == statement
    assert statement.request.binding == pending.binding
    reply = reply_with(statement, "signature")
    assert mismatch(of_grace, pending, reply) is None
    assert "edited since" in str(mismatch(of_ivan, other, reply))


def test_request_for_anything_else_says_nothing_of_a_handover() -> None:
    """A statement that was signed before handovers needed approvals has the same text."""
    state = state_of([*stopped_run(), decision_proposed("skip")])
    pending = pending_approval(state)
    assert pending is not None
    text = statement_of(new_request(state, pending, BEGAN), "", BEGAN).text()
    assert "handing" not in text
    assert '"within":null' in text


def test_offer_needs_as_many_people_as_the_policy_says() -> None:
    two = model.Policy(operators="dba", approvals=2)
    first = approved(proposed(two))
    assert isinstance(first[-1], ev.ApprovalGranted)
    assert "is not offered" in str(acceptance(first))
    assert acceptance(approved(first, by=IVAN)) is None


def test_offer_ends_with_the_first_of_its_approvals() -> None:
    two = model.Policy(operators="dba", approvals=2, approve_within=60.0)

    def after(seconds: float) -> Moment:
        return Moment(BEGAN + timedelta(seconds=seconds), seconds)

    history = approved(approved(proposed(two)), by=IVAN, now=after(30))
    assert acceptance(history, after(58)) is None
    for late in (after(60), Moment(BEGAN, 60.0), Moment(BEGAN + timedelta(seconds=60), 0.0)):
        assert "has expired: have the run offered again" in str(acceptance(history, late))


@pytest.mark.parametrize(
    "ending",
    [
        [approval_rejected(None, decision="handover")],
        [decided("withdraw")],
        [decided("cancel")],
        [kernel_died()],
        [*crashed(), run_resumed()],
    ],
    ids=["rejected", "withdrawn", "cancelled", "kernel died", "resumed"],
)
def test_proposed_offer_that_ended_leaves_nothing_approved(ending: list[Event]) -> None:
    two = model.Policy(operators="dba", approvals=2)
    state = state_of([*approved(proposed(two)), *ending])
    assert (state.proposal, state.offer, state.approvals) == (None, None, [])


def test_proposed_offer_of_a_former_operator_is_void() -> None:
    history = approved(proposed())
    state = state_of(history)
    handing = handover.handing_to(state, IVAN)
    assert handing is not None
    history.append(handover_proposal(state, handing, OPERATOR, ""))
    assert state_of([*history, handover_accepted(GRACE)]).proposal is None


def test_offer_is_proposed_only_while_the_run_waits_for_nothing_else() -> None:
    assert handover.proposal_refusal(state_of(stopped_run())) is None
    running = [*stopped_run(), decided("run"), resumed(), attempt_started()]
    assert "only while the run waits: it is running" in str(
        handover.proposal_refusal(state_of(running))
    )
    waiting = [*stopped_run(), decision_proposed("skip")]
    refused = handover.proposal_refusal(state_of(waiting))
    assert refused == "skip waits for an approval: withdraw it first"
    blocked = decision_refusal(state_of(proposed()), decisions.Skip())
    assert blocked == "handover waits for an approval: withdraw it first"


def test_every_view_says_who_would_act_as_whom() -> None:
    allows = "grace (uid 1001) will operate this run, and act as ada through its kernel"
    history = proposed()
    state = state_of(history)
    said = describe(state, record(history[-1]))
    assert said is not None
    assert said.what == f"handover: {allows}"
    assert "approval of another person, of the group leads" in said.hints[0]
    pending = pending_approval(state)
    assert pending is not None
    request = new_request(state, pending, BEGAN)
    shown = "".join(printed(each, 200) for each in approval_view.renderables(request))
    assert allows in shown
    offer = approved(history)[-1]
    stands = describe(state_of(approved(history)), record(offer))
    assert stands is not None
    assert "offered the run to grace, as approved: they accept it with" in stands.what
    assert "until 2026-11-23" in stands.what
