"""The approval of another person: what it is bound to, and who may give it."""

import hashlib
from collections.abc import Collection

import msgspec

from nbrun.state import RunState, StepState
from nbrun.terms import Operator

_PARAMETER_TAGS = frozenset({"parameters", "injected-parameters"})
_encoder = msgspec.json.Encoder(order="sorted")


def binding(state: RunState, step: StepState) -> str:
    """What an approval of `step` holds for: this run, this step, its exact source, the parameters
    that were given, and the parameters cells as they ran. SHA-256, in hexadecimal digits.

    Secrets count by their placeholders, as they are recorded.
    """
    cells = [
        each.last_source
        for each in state.steps.values()
        if _PARAMETER_TAGS.intersection(each.step.tags)
    ]
    bound = [state.plan.run, step.step.id, step.step.source, state.plan.parameters, cells]
    return hashlib.sha256(_encoder.encode(bound)).hexdigest()


def is_awaited(state: RunState, step: StepState) -> bool:
    """Whether `step` needs an approval that it does not have as things are."""
    if step.step.contract.approve is None:
        return False
    return step.approved is None or step.approved.binding != binding(state, step)


def refusal(state: RunState, who: Operator, groups: Collection[str]) -> str | None:
    """Why `who`, a member of `groups`, may not approve the step that waits for it; None when they
    may. Nobody may who has a hand in the run: who started it, is attached to it or has decided."""
    current = state.current
    if current is None or not is_awaited(state, current):
        return "nothing waits for an approval"
    if who.uid == state.plan.operator.uid or who.uid in state.hands:
        return f"{who.name} has a hand in this run: another person has to approve it"
    group = current.step.contract.approve
    if group and group not in groups:
        return f"{who.name} is not in the group {group}, which has to approve it"
    return None
