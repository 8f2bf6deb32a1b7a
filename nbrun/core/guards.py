"""Guards: whether a decision is allowed in the current state, and what it still needs.

The texts returned here are recorded, as the reason in `decision.refused`.
"""

from collections.abc import Collection

from nbrun.core import decisions, undo
from nbrun.core import events as ev
from nbrun.core.approval import pending_approval
from nbrun.core.approval_request import mismatch
from nbrun.core.choices.needs import reason_kinds, typed_text
from nbrun.core.decisions import Decision, decision_name
from nbrun.core.deviations import deviation_kinds
from nbrun.core.model import DeviationKind, Operator
from nbrun.core.planner import step_label, target_step
from nbrun.core.state import Phase, RunState

MAX_REASON = 10_000  # characters
# The phases in which each decision is possible; `decision_refusal` checks the finer conditions.
ALLOWED_PHASES: dict[type[Decision], frozenset[Phase]] = {
    decisions.Run: frozenset({Phase.STOPPED}),
    decisions.Continue: frozenset({Phase.STOPPED}),
    decisions.Retry: frozenset({Phase.STOPPED}),
    decisions.Done: frozenset({Phase.STOPPED}),
    decisions.Edit: frozenset({Phase.STOPPED}),
    decisions.Skip: frozenset({Phase.STOPPED}),
    decisions.Jump: frozenset({Phase.STOPPED}),
    decisions.Insert: frozenset({Phase.STOPPED}),
    decisions.Undo: frozenset({Phase.STOPPED}),
    decisions.RestartKernel: frozenset({Phase.STOPPED}),
    decisions.Withdraw: frozenset({Phase.STOPPED}),
    decisions.Approve: frozenset({Phase.STOPPED}),
    decisions.Reject: frozenset({Phase.STOPPED}),
    decisions.Settle: frozenset({Phase.STOPPED}),
    decisions.Handover: frozenset({Phase.READY, Phase.RUNNING, Phase.STOPPED}),
    decisions.AcceptHandover: frozenset({Phase.READY, Phase.RUNNING, Phase.STOPPED}),
    decisions.AddNote: frozenset({Phase.READY, Phase.RUNNING, Phase.STOPPED}),
    decisions.Detach: frozenset({Phase.READY, Phase.RUNNING, Phase.STOPPED}),
    decisions.Cancel: frozenset({Phase.READY, Phase.RUNNING, Phase.STOPPED}),
    decisions.Interrupt: frozenset({Phase.READY, Phase.RUNNING}),
    decisions.KillKernel: frozenset({Phase.READY, Phase.RUNNING}),
    decisions.Answer: frozenset({Phase.RUNNING}),
}
_RUNS_CODE = (
    decisions.Run
    | decisions.Continue
    | decisions.Retry
    | decisions.Edit
    | decisions.Insert
    | decisions.Undo
)
_CHANGES_COURSE = (
    _RUNS_CODE | decisions.Done | decisions.Skip | decisions.Jump | decisions.RestartKernel
)


def decision_refusal(state: RunState, decision: Decision) -> str | None:
    """Return why `decision` is not allowed in the current state; None if it is."""
    if len(decision.reason) > MAX_REASON:
        return f"its reason is longer than {MAX_REASON:,} characters"
    if state.phase not in ALLOWED_PHASES[type(decision)]:
        return f"{decision_name(decision)} is not possible now: the run is {state.phase.value}"
    if state.unsettled and isinstance(decision, _CHANGES_COURSE):
        return "say first what came of the attempt that nobody saw end"
    blocking = _blocking_proposal(state)
    if blocking is not None and isinstance(decision, _CHANGES_COURSE):
        return f"{blocking.decision} waits for an approval: withdraw it first"
    if isinstance(decision, _RUNS_CODE | decisions.RestartKernel) and state.plan.policy.by_hand:
        return "this run is done by hand: use done or skip"
    if isinstance(decision, _RUNS_CODE) and state.kernel != "alive":
        return "the kernel is dead: restart it first"
    return (
        _state_refusal(state, decision)
        or _undo_refusal(state, decision)
        or _manual_refusal(state, decision)
        or _approval_refusal(state, decision)
        or _policy_refusal(state, decision)
    )


def _undo_refusal(state: RunState, decision: Decision) -> str | None:
    """Refuse to undo a step that has no undo or no effect."""
    return undo.refusal(state, decision.step) if isinstance(decision, decisions.Undo) else None


def stale_refusal(state: RunState, decision: Decision, operator: Operator) -> str | None:
    """Return why `decision` is about a place where the run no longer stands; None if it is not.

    A person may decide although a program has proposed something meanwhile. A program may not
    decide about anything that it has not seen.
    """
    expected = decision.expect_seq
    if expected is None:
        return None
    is_current = expected == state.seq
    if is_current or (not operator.is_program and expected >= state.course_seq):
        return None
    return f"the run has moved since you looked: it stands at record {state.seq}, not {expected}"


def _blocking_proposal(state: RunState) -> ev.DecisionProposed | None:
    """Return the proposal that other decisions have to wait for: a person's, not a program's."""
    proposal = state.proposal
    return None if proposal is None or proposal.operator.is_program else proposal


def _manual_refusal(state: RunState, decision: Decision) -> str | None:
    """Refuse to run a manual step, and to call a step done where there is none."""
    if isinstance(decision, decisions.Insert):
        return None
    target = target_step(state, decision)
    if isinstance(decision, decisions.Done):
        return None if target is not None else "there is no step left"
    if target is not None and target.step.contract.manual:
        return f"{step_label(state, target.step.id)} is for a person to do: use done or skip"
    return None


def _approval_refusal(state: RunState, decision: Decision) -> str | None:
    """Refuse decisions that bypass a pending approval, and approvals of nothing.

    A step that waits for an approval of its own source need not be proposed for one again.
    """
    if isinstance(decision, decisions.Approve | decisions.Reject):
        return _stale_approval_refusal(state, decision)
    if isinstance(decision, decisions.Withdraw) and state.proposal is None:
        return "nothing that was decided waits for an approval"
    if state.proposal is not None and state.proposal.operator.is_program:
        return None
    target, pending = target_step(state, decision), pending_approval(state)
    if target is None or pending is None or pending.step != target.step.id:
        return None
    if isinstance(decision, decisions.Edit) and decision.source != pending.source:
        return None
    return f"{step_label(state, target.step.id)} waits for an approval: see nbrun approve"


def _stale_approval_refusal(
    state: RunState, decision: decisions.Approve | decisions.Reject
) -> str | None:
    """Refuse an approval if nothing waits for one, or if what waits has changed since."""
    pending = pending_approval(state)
    if pending is None:
        return "nothing waits for an approval"
    if isinstance(decision, decisions.Approve) and decision.reply is not None:
        if decision.reply.reason != decision.reason:
            return "the reason is not the one that was signed"
        return mismatch(state, pending, decision.reply)
    if isinstance(decision, decisions.Approve) and decision.binding != pending.binding:
        return "what waits for an approval has changed since you looked: look again"
    return None


def missing_input(state: RunState, decision: Decision) -> str | None:
    """Return what an otherwise allowed decision still needs; None if nothing.

    A decision may need the confirmation text that the step asks for, or a reason.
    """
    typed = typed_text(state, decision)
    if typed and getattr(decision, "typed", "") != typed:
        return f"type {typed!r} to confirm it"
    needed = reason_kinds(state, decision)
    if needed and not decision.reason.strip():
        return f"a reason is needed: {', '.join(needed)}"
    return None


def _state_refusal(state: RunState, decision: Decision) -> str | None:
    """Refuse decisions that make no sense where the run is, such as retrying a success."""
    current = state.current
    match decision:
        case decisions.Settle() if not state.unsettled:
            return "every attempt was seen to end"
        case decisions.KillKernel() if state.phase is Phase.READY and not state.kernel_busy:
            return "the kernel is doing nothing that could be ended"
        case decisions.Cancel() if state.cancelled:
            return "the run is being cancelled already"
        case decisions.Answer() if state.input_wanted is None:
            return "no cell is asking for input"
        case decisions.Edit(source=source) | decisions.Insert(source=source) if not source.strip():
            return "there is no code in it"
        case decisions.AddNote(text=text) if not text.strip():
            return "the note is empty"
        case (
            decisions.Run(step=str(step))
            | decisions.Edit(step=str(step))
            | decisions.Jump(step=step)
        ):
            return _target_refusal(state, step, jump=isinstance(decision, decisions.Jump))
        case decisions.Retry() if current is not None and not current.failed:
            return f"{step_label(state, current.step.id)} has not failed: use run"
        case decisions.Run() | decisions.Continue() if current is not None and current.failed:
            return f"{step_label(state, current.step.id)} has failed: use retry, edit or skip"
    return None


def _target_refusal(state: RunState, step: str, *, jump: bool) -> str | None:
    """Refuse a `step` that does not exist, must not run, or is the current one already."""
    if step not in state.steps:
        return f"there is no step {step!r}"
    if state.steps[step].declared_skip:
        return f"{step_label(state, step)} is tagged skip-execution: the runbook says not to run it"
    if jump and state.current is state.steps[step]:
        return f"the run already stands at {step_label(state, step)}"
    return None


def _policy_refusal(state: RunState, decision: Decision) -> str | None:
    """Refuse deviations that the run's policy does not allow."""
    return _disallowed(state, decision_name(decision), deviation_kinds(state, decision))


def _disallowed(state: RunState, subject: str, kinds: Collection[DeviationKind]) -> str | None:
    """Return why `--strict` or the team's policy does not allow `kinds`; None if it does."""
    policy = state.plan.policy
    allowed = () if policy.strict else policy.allow
    if allowed is None:
        return None
    disallowed = sorted({*kinds} - {*allowed})
    if not disallowed:
        return None
    by = "this run is --strict" if policy.strict else "the policy in nbrun.toml does not allow it"
    return f"{subject} would leave the script ({', '.join(disallowed)}), and {by}"


def new_runbook_refusal(state: RunState, reason: str) -> str | None:
    """Return why a resume may not take the runbook's new version; None if it may.

    `reason` is the reason that the operator gave for the resume.
    """
    kind: DeviationKind = "runbook_replaced"
    policy = state.plan.policy
    if state.plan.undoes:
        return "it undoes another run, and follows the record of that one: resume without"
    if kind in policy.need_approval:
        return (
            f"the policy in nbrun.toml wants an approval of {kind}, which nobody can give before "
            "the run goes on: resume without the new runbook, or start a new run"
        )
    if kind in policy.need_reason and not reason.strip():
        return f"a reason is needed: {kind}; say it with --reason"
    return _disallowed(state, "the new runbook", (kind,))
