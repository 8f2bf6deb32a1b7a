"""Decisions that need the approval of another person: put up for it, and carried out with it."""

from dataclasses import dataclass

from nbrun.core import decisions
from nbrun.core import events as ev
from nbrun.core.approval import is_approved, pending_approval
from nbrun.core.decisions import Decision, decision_name
from nbrun.core.deviations import deviation_kinds
from nbrun.core.events import Event
from nbrun.core.model import DeviationKind, Operator
from nbrun.core.planner import planned_attempt, target_step
from nbrun.core.state import RunState, StepState


@dataclass(frozen=True)
class RequiredApproval:
    """Why a decision needs an approval: `kinds` are the ways of leaving the script that the team's
    policy wants one for; with none, it is the step's own contract. `group` may give it."""

    kinds: tuple[DeviationKind, ...]
    group: str


def required_approval(state: RunState, decision: Decision) -> RequiredApproval | None:
    """The approval that `decision`, an otherwise allowed one, needs and does not have."""
    policy = state.plan.policy
    target = target_step(state, decision)
    kinds = deviation_kinds(state, decision) & {*policy.need_approval}
    if target is not None and target.redo:  # by a move, which was approved then
        kinds -= {"reran"}
    if not kinds and _has_its_own(state, decision, target):
        return None
    about = target or state.current
    own = about.step.contract.approve if about is not None else None
    return RequiredApproval(tuple(sorted(kinds)), own or policy.approvers)


def _has_its_own(state: RunState, decision: Decision, target: StepState | None) -> bool:
    """Whether the step that is run asks for no approval, or has it for what is sent."""
    return target is None or is_approved(state, target, _source(state, decision) or "")


def proposal_event(
    state: RunState, decision: Decision, operator: Operator, why: RequiredApproval
) -> ev.DecisionProposed:
    """`decision` put up for the approval `why`, with all that it will do."""
    return ev.DecisionProposed(
        operator=operator,
        decision=decision_name(decision),
        step=_about(state, decision),
        source=_source(state, decision),
        typed=getattr(decision, "typed", ""),
        reason=decision.reason,
        kinds=why.kinds,
        group=why.group,
    )


def _about(state: RunState, decision: Decision) -> str | None:
    match decision:
        case decisions.Insert() | decisions.RestartKernel():
            return None
        case decisions.Jump(step=step):
            return step
        case decisions.Run(step=str(step)) | decisions.Edit(step=str(step)):
            return step
    return state.current.step.id if state.current is not None else None


def _source(state: RunState, decision: Decision) -> str | None:
    """What is sent to the kernel, or read by the person who does the step."""
    match decision:
        case decisions.Insert(source=source):
            return source
        case decisions.Skip() | decisions.Jump() | decisions.RestartKernel():
            return None
    if target_step(state, decision) is None:
        return None
    named = (getattr(decision, "step", None), getattr(decision, "source", None))
    return planned_attempt(state, decision_name(decision), *named).source


def approval_events(
    state: RunState, operator: Operator, decision: decisions.Approve | decisions.Reject
) -> list[Event]:
    """What happens when `operator`, who may, says so of what waits: a yes ends the stop, and has
    what was decided carried out."""
    waiting = pending_approval(state)
    if waiting is None:
        return []
    if isinstance(decision, decisions.Reject):
        rejected = ev.ApprovalRejected(
            operator=operator,
            step=waiting.step,
            decision=waiting.decision,
            reason=decision.reason,
        )
        return [rejected]
    granted = ev.ApprovalGranted(
        operator=operator,
        step=waiting.step,
        decision=waiting.decision,
        group=waiting.group,
        binding=waiting.binding,
        reason=decision.reason,
    )
    return [granted, *([approved_decision(state.proposal)] if state.proposal else []), ev.Resumed()]


def approved_decision(proposal: ev.DecisionProposed) -> ev.Decided:
    """The decision, as the operator made it when it was put up."""
    names_source = proposal.decision in ("edit", "insert")
    return ev.Decided(
        operator=proposal.operator,
        decision=proposal.decision,
        reason=proposal.reason,
        step=proposal.step,
        source=proposal.source if names_source else None,
        typed=proposal.typed,
    )
