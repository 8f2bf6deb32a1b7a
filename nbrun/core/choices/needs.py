"""The needs of an allowed decision: a reason, a typed text, a confirmation, an approval."""

from dataclasses import dataclass

from nbrun.core.decisions import Decision
from nbrun.core.deviations import deviation_kinds, implied_deviations
from nbrun.core.model import DeviationKind
from nbrun.core.planner import needs_confirmation, target_step
from nbrun.core.proposals import RequiredApproval, required_approval
from nbrun.core.state import RunState


@dataclass(frozen=True)
class Needs:
    """The results and the needs of a decision.

    - `off_script`: the kinds of deviation that it is recorded with at once.
    - `reason`: the kinds of deviation for which the team's policy wants a reason.
    - `typed`: the text that has to be typed; empty for none.
    - `question`: the runbook's question that has to be answered; empty for none, and where the run
      has stopped to ask it: there, the decision is the answer.
    - `approval`: the approval of another person that it has to wait for.
    """

    off_script: tuple[DeviationKind, ...] = ()
    reason: tuple[DeviationKind, ...] = ()
    typed: str = ""
    question: str = ""
    approval: RequiredApproval | None = None


def needs_of(state: RunState, decision: Decision) -> Needs:
    """Return what `decision`, which is not refused, needs."""
    return Needs(
        off_script=tuple(sorted({each.kind for each in implied_deviations(state, decision)})),
        reason=reason_kinds(state, decision),
        typed=typed_text(state, decision),
        question=question(state, decision),
        approval=required_approval(state, decision),
    )


def reason_kinds(state: RunState, decision: Decision) -> tuple[DeviationKind, ...]:
    """Return the kinds of deviation for which `decision` needs a reason."""
    needed = {*state.plan.policy.need_reason} & deviation_kinds(state, decision)
    return tuple(sorted(needed))


def typed_text(state: RunState, decision: Decision) -> str:
    """Return the text that the step of `decision` wants typed; empty for none."""
    target = target_step(state, decision)
    asks = target is not None and (target.step.contract.manual or needs_confirmation(state, target))
    return target.step.contract.typed if target is not None and asks else ""


def question(state: RunState, decision: Decision) -> str:
    """Return the question of the step of `decision` that the run has not stopped to ask."""
    target, stop = target_step(state, decision), state.stop
    if target is None or not (target.step.contract.manual or needs_confirmation(state, target)):
        return ""
    is_asked = stop is not None and stop.reason == "confirm" and stop.step == target.step.id
    return "" if is_asked else target.step.contract.confirm or ""
