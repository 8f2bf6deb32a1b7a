"""Handover of a run to another person: who operates it, and what that needs.

The supervisor, the kernel and the journal stay with the account that started the run.
"""

from collections.abc import Collection

from nbrun.core import decisions
from nbrun.core.approval import Moment, seconds_left
from nbrun.core.decisions import Decision
from nbrun.core.model import Handing, Operator
from nbrun.core.state import Phase, RunState

_BY_ANYBODY = decisions.Approve | decisions.Reject | decisions.AcceptHandover


def operator_of(state: RunState) -> Operator:
    """Return who operates the run: the owner, or whoever has accepted a handover since."""
    return state.handed_to or state.owner


def outsider_refusal(state: RunState, decision: Decision, who: Operator) -> str | None:
    """Return why `who` may not decide in a run that can be handed over; None if they may.

    The owner may always cancel: the processes are theirs, and they can end them anyway. root may do
    everything.
    """
    operator = operator_of(state)
    if not state.plan.policy.operators or who.uid in (operator.uid, 0):
        return None
    if isinstance(decision, _BY_ANYBODY):
        return None
    if isinstance(decision, decisions.Cancel) and who.uid == state.owner.uid:
        return None
    return f"{operator.name} operates this run: they can hand it over with nbrun handover"


def offer_refusal(state: RunState, to: Operator, groups: Collection[str]) -> str | None:
    """Return why the run can't be offered to `to`, a member of `groups`; None if it can."""
    policy = state.plan.policy
    if not policy.operators:
        return "this run can't be handed over: it was not started with --operators GROUP"
    if to.uid == operator_of(state).uid:
        return f"{to.name} operates this run already"
    if to.name in _unix_users(state) or to.name in policy.role_users:
        return f"{to.name} is the unix_user of a role, and no person"
    if policy.operators not in groups and to.uid != state.owner.uid:
        return f"{to.name} is not in the group {policy.operators}, to which the run may be handed"
    return None


def handing_to(state: RunState, to: Operator) -> Handing | None:
    """Return what has to be approved before the run is offered to `to`; None if nothing has.

    Whoever operates a kernel can run any code as the account that its cells act as. That is the
    owner, if the run has no role with a unix_user.
    """
    if _unix_users(state) or to.uid == state.owner.uid:
        return None
    return Handing(to=to.name, to_uid=to.uid, acts_as=state.owner.name)


def proposal_refusal(state: RunState) -> str | None:
    """Return why no offer can be put up for an approval now; None if one can."""
    if state.phase is not Phase.STOPPED:
        return (
            f"the cells of this run act as {state.owner.name}, so to hand it over needs an "
            f"approval, and that is possible only while the run waits: it is {state.phase.value}"
        )
    proposal = state.proposal
    if proposal is not None and not proposal.operator.is_program:
        return f"{proposal.decision} waits for an approval: withdraw it first"
    return None


def acceptance_refusal(
    state: RunState, who: Operator, groups: Collection[str], now: Moment
) -> str | None:
    """Return why `who`, a member of `groups`, can't accept the run at `now`; None if they can."""
    offer = state.offer
    if offer is None or offer.to_uid != who.uid:
        return f"this run is not offered to {who.name}"
    if who.is_program:
        return "a person has to accept a handover"
    if handing_to(state, who) is not None and not offer.binding:
        return f"nobody has approved that {who.name} acts as {state.owner.name}"
    left = seconds_left(offer, now)
    if left is not None and left <= 0:
        return "the approval of this offer has expired: have the run offered again"
    return offer_refusal(state, who, groups)


def _unix_users(state: RunState) -> set[str]:
    """Return the Unix users that the cells act as instead of the owner."""
    role = state.plan.role
    return {each.who for each in role.identities if each.kind == "unix"} if role else set()
