"""Proposals: decisions that need another person's approval before they are carried out."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from nbrun.core import decisions
from nbrun.core import events as ev
from nbrun.core.approval import (
    ApprovalRule,
    Moment,
    approvals_of,
    expiry,
    is_approved,
    pending_approval,
    rule_for,
)
from nbrun.core.approval_request import signed_at
from nbrun.core.decisions import Decision, decision_name
from nbrun.core.deviations import deviation_kinds
from nbrun.core.events import Event
from nbrun.core.model import ApprovalSignature, DeviationKind, Handing, Operator
from nbrun.core.planner import planned_attempt, target_step
from nbrun.core.state import RunState, StepState


@dataclass(frozen=True)
class RequiredApproval:
    """The approval that a decision needs.

    `kinds` are the kinds of deviation for which the team's policy requires it; empty if the step's
    own contract does. `rule`: who has to give it.
    """

    kinds: tuple[DeviationKind, ...]
    rule: ApprovalRule


def required_approval(state: RunState, decision: Decision) -> RequiredApproval | None:
    """Return the approval that `decision`, otherwise allowed, needs and lacks; None if none."""
    policy = state.plan.policy
    target = target_step(state, decision)
    kinds = deviation_kinds(state, decision) & {*policy.need_approval}
    if target is not None and target.rerun_requested:  # approved with the jump back
        kinds -= {"reran"}
    if not kinds and _is_covered(state, decision, target):
        return None
    return RequiredApproval(tuple(sorted(kinds)), rule_for(state, target or state.current))


def _is_covered(state: RunState, decision: Decision, target: StepState | None) -> bool:
    """Return True if the step to run needs no approval, or has one for the source to send."""
    return target is None or is_approved(state, target, _source(state, decision) or "")


def proposal_event(
    state: RunState, decision: Decision, operator: Operator, required: RequiredApproval
) -> ev.DecisionProposed:
    """Return the event that puts `decision` up for the approval `required`."""
    return ev.DecisionProposed(
        operator=operator,
        decision=decision_name(decision),
        step=_subject(state, decision),
        source=_source(state, decision),
        typed=getattr(decision, "typed", ""),
        reason=decision.reason,
        kinds=required.kinds,
        group=required.rule.group,
        approvals=required.rule.count,
        within=required.rule.within,
    )


def handover_proposal(
    state: RunState, handing: Handing, operator: Operator, reason: str
) -> ev.DecisionProposed:
    """Return the event that puts an offer of the run up for an approval."""
    rule = rule_for(state, None)
    return ev.DecisionProposed(
        operator=operator,
        decision="handover",
        reason=reason,
        group=rule.group,
        approvals=rule.count,
        within=rule.within,
        handing=handing,
    )


def _subject(state: RunState, decision: Decision) -> str | None:
    """Return the id of the step that `decision` is about; None if it is about no step."""
    match decision:
        case decisions.Insert() | decisions.RestartKernel():
            return None
        case decisions.Jump(step=step) | decisions.Undo(step=step):
            return step
        case decisions.Run(step=str(step)) | decisions.Edit(step=str(step)):
            return step
    return state.current.step.id if state.current is not None else None


def _source(state: RunState, decision: Decision) -> str | None:
    """Return the source that `decision` sends to the kernel, or that a person acts on."""
    match decision:
        case decisions.Insert(source=source):
            return source
        case decisions.Skip() | decisions.Jump() | decisions.RestartKernel():
            return None
    if target_step(state, decision) is None:
        return None
    arguments = (getattr(decision, "step", None), getattr(decision, "source", None))
    return planned_attempt(state, decision_name(decision), *arguments).source


def approval_events(
    state: RunState,
    operator: Operator,
    decision: decisions.Approve | decisions.Reject,
    now: Moment,
    signed: ApprovalSignature | None = None,
) -> list[Event]:
    """Return the events that follow when `operator`, who may, approves or rejects at `now`.

    The last approval that is needed ends the stop and carries out the proposed decision, if there
    is one. An approved handover is offered, and the run still waits. If a program proposed it and
    it needs another person's approval as well, it becomes the proposal of `operator`. `signed`: the
    checked signature of an approval that was given elsewhere.
    """
    pending = pending_approval(state)
    if pending is None:
        return []
    if isinstance(decision, decisions.Reject):
        rejected = ev.ApprovalRejected(
            operator=operator,
            step=pending.step,
            decision=pending.decision,
            reason=decision.reason,
        )
        return [rejected]
    reply = decision.reply
    until, until_mono = expiry(pending.rule, now, signed_at(reply) if reply else now.at)
    granted = ev.ApprovalGranted(
        operator=operator,
        step=pending.step,
        decision=pending.decision,
        group=pending.rule.group,
        binding=pending.binding,
        reason=decision.reason,
        until=until,
        until_mono=until_mono,
        signed=signed,
    )
    given = [*approvals_of(state, pending.binding), granted]
    if len(given) < pending.rule.count:
        return [granted]
    if state.proposal is None:
        return [granted, ev.Resumed()]
    if state.proposal.handing is not None:
        return [granted, _approved_offer(state.proposal, state.proposal.handing, given)]
    if state.proposal.operator.is_program:
        proposed = proposed_decision(state.proposal)
        required = required_approval(state, proposed)
        if required is not None:
            return [granted, proposal_event(state, proposed, operator, required)]
    return [granted, approved_decision(state.proposal), ev.Resumed()]


def _approved_offer(
    proposal: ev.DecisionProposed, handing: Handing, given: Sequence[ev.ApprovalGranted]
) -> ev.HandoverOffered:
    """Return the offer as the operator made it. It stands as long as each approval of `given`."""
    ends = [each.until_mono for each in given if each.until_mono is not None]
    return ev.HandoverOffered(
        operator=proposal.operator,
        to=handing.to,
        to_uid=handing.to_uid,
        reason=proposal.reason,
        binding=given[-1].binding,
        until=min((each.until for each in given if each.until), default=""),
        until_mono=min(ends, default=None),
    )


def proposed_decision(proposal: ev.DecisionProposed) -> Decision:
    """Return the decision that `proposal` holds."""
    fields = {"decision": proposal.decision, "reason": proposal.reason, "typed": proposal.typed}
    named = {"step": proposal.step, "source": proposal.source}
    given = fields | {name: value for name, value in named.items() if value is not None}
    made: Decision = msgspec.convert(given, Decision)
    return made


def approved_decision(proposal: ev.DecisionProposed) -> ev.Decided:
    """Return the proposed decision as the operator originally made it."""
    names_source = proposal.decision in ("edit", "insert")
    return ev.Decided(
        operator=proposal.operator,
        decision=proposal.decision,
        reason=proposal.reason,
        step=proposal.step,
        source=proposal.source if names_source else None,
        typed=proposal.typed,
    )
