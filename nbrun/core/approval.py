"""Approval by another person: what waits for it, what it covers, and who may give it."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass

import msgspec

from nbrun.core.model import Identity, Operator
from nbrun.core.state import RUNS_STEP, RunState, StepState

_PARAMETER_TAGS = frozenset({"parameters", "injected-parameters"})
_encoder = msgspec.json.Encoder(order="sorted")


@dataclass(frozen=True)
class PendingApproval:
    """A decision, or the step that the run stopped at, that waits for an approval.

    - `decision`: the decision's name.
    - `step`, `source`: the step that it is about and the source that it sends; None for neither.
    - `group`: the group whose members may approve; empty for anybody except the operator.
    - `binding`: what the approval will cover (see `binding`).
    """

    decision: str
    step: str | None
    source: str | None
    group: str
    binding: str


def pending_approval(state: RunState) -> PendingApproval | None:
    """Return what waits for an approval now; None if nothing does.

    An operator's proposed decision comes first, then the step that the run has stopped at.
    """
    proposal, current = state.proposal, state.current
    if proposal is not None:
        subject = (proposal.decision, proposal.step, proposal.source)
        return PendingApproval(*subject, proposal.group, binding(state, *subject))
    if state.stop is None or state.stop.reason != "approval" or current is None:
        return None
    subject = ("run", current.step.id, current.step.source)
    return PendingApproval(*subject, current.step.contract.approve or "", binding(state, *subject))


def binding(state: RunState, decision: str, step: str | None, source: str | None) -> str:
    """Return the SHA-256, in hexadecimal, of everything that an approval covers.

    It covers this run, this decision, this step, this exact source, the given parameters, and the
    other parameters cells as they ran. Secrets count by their placeholders, as they are recorded.
    """
    cells = [
        each.last_source
        for each in state.steps.values()
        if _PARAMETER_TAGS.intersection(each.step.tags) and each.step.id != step
    ]
    bound = [state.plan.run, decision, step, source, state.plan.parameters, cells]
    return hashlib.sha256(_encoder.encode(bound)).hexdigest()


def is_approved(state: RunState, step: StepState, source: str) -> bool:
    """Return True if the contract of `step` lets `source` be run, or the step be done.

    That is so if the step needs no approval, or has one for this source. An approval covers every
    way to run the step: `run`, `retry`, `edit` and the others of `RUNS_STEP`.
    """
    if step.step.contract.approve is None:
        return True
    approval = step.approved
    return approval is not None and any(
        approval.binding == binding(state, decision, step.step.id, source) for decision in RUNS_STEP
    )


def approver_refusal(state: RunState, who: Operator, groups: Collection[str]) -> str | None:
    """Return why `who`, a member of `groups`, may not approve; None if they may.

    Nobody may approve who takes part in the run: who started it, has attached to it or has decided
    in it, under whichever account. Nor may an account that cells act as, in this run or by any role
    of the team.
    """
    pending = pending_approval(state)
    if pending is None:
        return "nothing waits for an approval"
    taking_part = state.plan.operator.person_uids | state.participants
    if who.uid in taking_part:
        return f"{who.name} has a hand in this run: another person has to approve it"
    if any(each.kind == "unix" and each.who == who.name for each in _identities(state)):
        return f"this run's own cells act as {who.name}: another person has to approve it"
    if who.name in state.plan.policy.role_users:
        return f"{who.name} is the unix_user of a role, and no person: a person has to approve it"
    if also := sorted(who.person_uids & taking_part):
        return (
            f"{who.name} (process {who.pid}) comes from a session of uid {also[0]}, who has a hand "
            "in this run: another person has to approve it"
        )
    if pending.group and pending.group not in groups:
        return f"{who.name} is not in the group {pending.group}, which has to approve it"
    return None


def _identities(state: RunState) -> tuple[Identity, ...]:
    role = state.plan.role
    return role.identities if role else ()
