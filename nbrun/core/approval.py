"""The approval of another person: what waits for one, what it is bound to, and who may give it."""

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
    """What waits for an approval: a decision by its name, the step that it is about and the source
    that it sends, None for neither. `group`: whose members may approve it; empty for anybody but
    the operator. `binding`: what the approval will hold for."""

    decision: str
    step: str | None
    source: str | None
    group: str
    binding: str


def pending_approval(state: RunState) -> PendingApproval | None:
    """What waits for an approval now: what the operator has decided; else the step that the run has
    stopped at, as it stands."""
    proposal, current = state.proposal, state.current
    if proposal is not None:
        what = (proposal.decision, proposal.step, proposal.source)
        return PendingApproval(*what, proposal.group, binding(state, *what))
    if state.stop is None or state.stop.reason != "approval" or current is None:
        return None
    what = ("run", current.step.id, current.step.source)
    return PendingApproval(*what, current.step.contract.approve or "", binding(state, *what))


def binding(state: RunState, decision: str, step: str | None, source: str | None) -> str:
    """What an approval holds for: this run, this decision, about this step, with this exact source,
    the parameters that were given, and the other parameters cells as they ran. SHA-256, in
    hexadecimal digits.

    Secrets count by their placeholders, as they are recorded.
    """
    cells = [
        each.last_source
        for each in state.steps.values()
        if _PARAMETER_TAGS.intersection(each.step.tags) and each.step.id != step
    ]
    bound = [state.plan.run, decision, step, source, state.plan.parameters, cells]
    return hashlib.sha256(_encoder.encode(bound)).hexdigest()


def is_approved(state: RunState, step: StepState, source: str) -> bool:
    """Whether `step` may be run, or done, with `source`, as far as its own contract says: it needs
    no approval, or it has one, in whatever way it was to be run then."""
    if step.step.contract.approve is None:
        return True
    granted = step.approved
    return granted is not None and any(
        granted.binding == binding(state, decision, step.step.id, source) for decision in RUNS_STEP
    )


def approver_refusal(state: RunState, who: Operator, groups: Collection[str]) -> str | None:
    """Why `who`, a member of `groups`, may not approve what waits for it; None when they may.
    Nobody may who has a hand in the run: who started it, is attached to it or has decided."""
    waiting = pending_approval(state)
    if waiting is None:
        return "nothing waits for an approval"
    if who.uid == state.plan.operator.uid or who.uid in state.hands:
        return f"{who.name} has a hand in this run: another person has to approve it"
    if any(each.kind == "unix" and each.who == who.name for each in _identities(state)):
        return f"this run's own cells act as {who.name}: another person has to approve it"
    if waiting.group and waiting.group not in groups:
        return f"{who.name} is not in the group {waiting.group}, which has to approve it"
    return None


def _identities(state: RunState) -> tuple[Identity, ...]:
    role = state.plan.role
    return role.identities if role else ()
