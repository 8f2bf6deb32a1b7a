"""Programs as operators: what they may decide on behalf of an account, and what they propose.

`Policy.programs` says how far that goes. What a program may not decide alone, a person of the same
account approves. While a person's console is attached, that person is the operator: programs then
decide nothing, whatever the policy says.
"""

from nbrun.core import decisions
from nbrun.core.approval import ApprovalRule
from nbrun.core.decisions import Decision, decision_name
from nbrun.core.deviations import deviation_kinds
from nbrun.core.model import Impact
from nbrun.core.planner import step_label, target_step
from nbrun.core.proposals import RequiredApproval, required_approval
from nbrun.core.state import Phase, RunState, StepState

# The decisions that a program may make without a person, as nbrun.toml names them.
DECISIONS = (
    "run",
    "retry",
    "done",
    "continue",
    "edit",
    "insert",
    "skip",
    "jump",
    "undo",
    "restart",
    "settle",
    "answer",
    "interrupt",
    "kill",
    "cancel",
    "approve",
    "reject",
)
IMPACTS: tuple[Impact, ...] = ("none", "changes", "destructive")  # the gravest last

_OF_RECORD = decisions.AddNote | decisions.Withdraw  # they change nothing but the record
_OF_APPROVER = decisions.Approve | decisions.Reject
_PROPOSABLE = (
    decisions.Run
    | decisions.Continue
    | decisions.Retry
    | decisions.Done
    | decisions.Edit
    | decisions.Insert
    | decisions.Skip
    | decisions.Jump
    | decisions.Undo
    | decisions.RestartKernel
    | decisions.Cancel
)


def program_refusal(state: RunState, decision: Decision) -> str | None:
    """Return why a program may neither make nor propose `decision`, otherwise allowed."""
    name, policy = decision_name(decision), state.plan.policy.programs
    if not policy.propose and not policy.decide:
        return "the policy in nbrun.toml lets programs decide nothing in this run"
    if isinstance(decision, decisions.Withdraw) and not _is_own_proposal(state):
        return "a program can't withdraw what a person has decided"
    if isinstance(decision, _OF_RECORD) or may_decide(state, decision):
        return None
    if not policy.propose or not isinstance(decision, _PROPOSABLE):
        return _left_to_person(state, name)
    return _proposal_refusal(state)


def may_decide(state: RunState, decision: Decision) -> bool:
    """Return True if a program may make `decision`, otherwise allowed, without a person."""
    if isinstance(decision, _OF_RECORD):
        return True
    policy = state.plan.policy.programs
    if decision_name(decision) not in policy.decide:
        return False
    if IMPACTS.index(impact(state, decision)) > IMPACTS.index(policy.impact):
        return False
    if isinstance(decision, _OF_APPROVER):
        return True
    return not state.operators and required_approval(state, decision) is None


def own_approval(state: RunState, decision: Decision) -> RequiredApproval:
    """Return the approval by a person of its account that a program's `decision` waits for."""
    return RequiredApproval(tuple(sorted(deviation_kinds(state, decision))), ApprovalRule())


def impact(state: RunState, decision: Decision) -> Impact:
    """Return the gravest impact of what `decision` runs, passes over or interrupts.

    A step that does not declare its impact is assumed to change something. Code that is not the
    runbook's may do anything.
    """
    match decision:
        case decisions.Edit() | decisions.Insert():
            return "destructive"
        case decisions.AddNote() | decisions.Withdraw() | decisions.Detach():
            return "none"
        case decisions.RestartKernel():
            return "changes"
        case decisions.Continue():
            return _gravest([step for step in state.steps.values() if not step.passed])
        case decisions.Jump(step=step):
            return _gravest(_between(state, step))
        case decisions.Retry() if state.current is not None and _is_edited(state.current):
            return "destructive"
        case decisions.Cancel() if state.attempt is None:
            return "none"
    subject = target_step(state, decision) or _subject(state)
    return _gravest([subject]) if subject is not None else "changes"


def _gravest(steps: list[StepState]) -> Impact:
    declared = [step.step.contract.impact or "changes" for step in steps]
    return max(declared, key=IMPACTS.index, default="none")


def _between(state: RunState, step: str) -> list[StepState]:
    """Return the steps that a jump to `step` passes over or lets run again."""
    target, current = state.steps.get(step), state.current
    here = current.step.number if current is not None else len(state.order) + 1
    there = target.step.number if target is not None else here
    ids = state.order[there - 1 :] if there < here else state.order[here - 1 : there - 1]
    return [state.steps[id_] for id_ in ids]


def _is_edited(step: StepState) -> bool:
    return step.last_source is not None and step.last_source != step.step.source


def _subject(state: RunState) -> StepState | None:
    """Return the step or undo that the run is about: unsettled, running, or the current one."""
    if state.unsettled:
        return state.step_of(state.unsettled[0].step)
    if state.attempt is not None:
        return state.step_of(state.attempt.step)
    return state.current


def _is_own_proposal(state: RunState) -> bool:
    return state.proposal is not None and state.proposal.operator.is_program


def _left_to_person(state: RunState, name: str) -> str:
    if name in state.plan.policy.programs.decide and state.operators:
        who = state.operators[-1]
        return f"{who.name} ({who.via}) operates this run: {name} is theirs to decide"
    return f"the policy in nbrun.toml leaves {name} to a person here"


def _proposal_refusal(state: RunState) -> str | None:
    """Return why a program can't propose anything now; None if it can."""
    if state.phase is not Phase.STOPPED:
        return f"a program may propose only while the run waits, and it is {state.phase.value}"
    if state.proposal is not None:
        return f"{state.proposal.decision} waits for an approval already"
    stop, current = state.stop, state.current
    if stop is not None and stop.reason == "approval" and current is not None:
        return f"{step_label(state, current.step.id)} waits for an approval of its own"
    return None
