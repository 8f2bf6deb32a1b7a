"""What may be decided where a run stands, and why not; what a decision still needs."""

from collections.abc import Collection

from nbrun.core import decisions
from nbrun.core.approval import pending_approval
from nbrun.core.decisions import Decision, decision_name
from nbrun.core.deviations import deviation_kinds
from nbrun.core.model import DeviationKind
from nbrun.core.planner import needs_confirmation, step_label, target_step
from nbrun.core.state import Phase, RunState, StepState

# The phases in which each decision is heard at all; `refusal` knows the finer conditions.
ALLOWED_PHASES: dict[type[Decision], frozenset[Phase]] = {
    decisions.Run: frozenset({Phase.STOPPED}),
    decisions.Continue: frozenset({Phase.STOPPED}),
    decisions.Retry: frozenset({Phase.STOPPED}),
    decisions.Done: frozenset({Phase.STOPPED}),
    decisions.Edit: frozenset({Phase.STOPPED}),
    decisions.Skip: frozenset({Phase.STOPPED}),
    decisions.Jump: frozenset({Phase.STOPPED}),
    decisions.Insert: frozenset({Phase.STOPPED}),
    decisions.RestartKernel: frozenset({Phase.STOPPED}),
    decisions.Withdraw: frozenset({Phase.STOPPED}),
    decisions.Approve: frozenset({Phase.STOPPED}),
    decisions.Reject: frozenset({Phase.STOPPED}),
    decisions.Settle: frozenset({Phase.STOPPED}),
    decisions.AddNote: frozenset({Phase.READY, Phase.RUNNING, Phase.STOPPED}),
    decisions.Detach: frozenset({Phase.READY, Phase.RUNNING, Phase.STOPPED}),
    decisions.Cancel: frozenset({Phase.READY, Phase.RUNNING, Phase.STOPPED}),
    decisions.Interrupt: frozenset({Phase.READY, Phase.RUNNING}),
    decisions.KillKernel: frozenset({Phase.READY, Phase.RUNNING}),
    decisions.Answer: frozenset({Phase.RUNNING}),
}
_RUNS_CODE = (
    decisions.Run | decisions.Continue | decisions.Retry | decisions.Edit | decisions.Insert
)
_CHANGES_COURSE = (
    _RUNS_CODE | decisions.Done | decisions.Skip | decisions.Jump | decisions.RestartKernel
)


def decision_refusal(state: RunState, decision: Decision) -> str | None:
    """Why `decision` is not allowed where the run stands; None when it is."""
    if state.phase not in ALLOWED_PHASES[type(decision)]:
        return f"{decision_name(decision)} is not possible now: the run is {state.phase.value}"
    if state.unsettled and isinstance(decision, _CHANGES_COURSE):
        return "say first what came of the attempt that nobody saw end"
    if state.proposal is not None and isinstance(decision, _CHANGES_COURSE):
        return f"{state.proposal.decision} waits for an approval: withdraw it first"
    if isinstance(decision, _RUNS_CODE) and state.kernel != "alive":
        return "the kernel is dead: restart it first"
    return (
        _misplaced(state, decision)
        or _by_hand(state, decision)
        or _unapproved(state, decision)
        or _not_allowed(state, decision)
    )


def _by_hand(state: RunState, decision: Decision) -> str | None:
    """A person's step can't be run, and another can't be said to be done."""
    if isinstance(decision, decisions.Insert):
        return None
    target = target_step(state, decision)
    if isinstance(decision, decisions.Done):
        if target is not None and not target.step.contract.manual:
            return f"{step_label(state, target.step.id)} is not for a person to do: use run or skip"
        return None if target is not None else "there is no step left"
    if target is not None and target.step.contract.manual:
        return f"{step_label(state, target.step.id)} is for a person to do: use done or skip"
    return None


def _unapproved(state: RunState, decision: Decision) -> str | None:
    """What is approved is what was looked at. What waits for an approval as it stands need not be
    put up for one."""
    if isinstance(decision, decisions.Approve | decisions.Reject):
        return _misdirected(state, decision)
    if isinstance(decision, decisions.Withdraw) and state.proposal is None:
        return "nothing that was decided waits for an approval"
    target, waiting = target_step(state, decision), pending_approval(state)
    if target is None or waiting is None or waiting.step != target.step.id:
        return None
    if isinstance(decision, decisions.Edit) and decision.source != waiting.source:
        return None
    return f"{step_label(state, target.step.id)} waits for an approval: see nbrun approve"


def _misdirected(state: RunState, decision: decisions.Approve | decisions.Reject) -> str | None:
    waiting = pending_approval(state)
    if waiting is None:
        return "nothing waits for an approval"
    if isinstance(decision, decisions.Approve) and decision.binding != waiting.binding:
        return "what waits for an approval has changed since you looked: look again"
    return None


def missing_input(state: RunState, decision: Decision) -> str | None:
    """What an otherwise allowed decision still needs: a text to be typed, or a reason."""
    target = target_step(state, decision)
    typed = target.step.contract.typed if target is not None and _asks(state, target) else ""
    if typed and getattr(decision, "typed", "") != typed:
        return f"type {typed!r} to confirm it"
    needed = set(state.plan.policy.need_reason) & deviation_kinds(state, decision)
    if needed and not decision.reason.strip():
        return f"a reason is needed: {', '.join(sorted(needed))}"
    return None


def _asks(state: RunState, step: StepState) -> bool:
    return step.step.contract.manual or needs_confirmation(state, step)


def _misplaced(state: RunState, decision: Decision) -> str | None:
    current = state.current
    match decision:
        case decisions.Settle() if not state.unsettled:
            return "every attempt was seen to end"
        case decisions.KillKernel() if state.phase is Phase.READY and not state.busy:
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
            return _bad_target(state, step, jump=isinstance(decision, decisions.Jump))
        case decisions.Retry() if current is not None and not current.failed:
            return f"{step_label(state, current.step.id)} has not failed: use run"
        case decisions.Run() | decisions.Continue() if current is not None and current.failed:
            return f"{step_label(state, current.step.id)} has failed: use retry, edit or skip"
    return None


def _bad_target(state: RunState, step: str, *, jump: bool) -> str | None:
    if step not in state.steps:
        return f"there is no step {step!r}"
    if state.steps[step].declared_skip:
        return f"{step_label(state, step)} is tagged skip-execution: the runbook says not to run it"
    if jump and state.current is state.steps[step]:
        return f"the run already stands at {step_label(state, step)}"
    return None


def _not_allowed(state: RunState, decision: Decision) -> str | None:
    return _left_by(state, decision_name(decision), deviation_kinds(state, decision))


def _left_by(state: RunState, what: str, kinds: Collection[DeviationKind]) -> str | None:
    """Why `--strict`, or the team's policy, does not allow `what` to leave the script so."""
    policy = state.plan.policy
    allowed = () if policy.strict else policy.allow
    if allowed is None:
        return None
    over = sorted({*kinds} - {*allowed})
    if not over:
        return None
    by = "this run is --strict" if policy.strict else "the policy in nbrun.toml does not allow it"
    return f"{what} would leave the script ({', '.join(over)}), and {by}"


def new_runbook_refusal(state: RunState, reason: str) -> str | None:
    """Why a resume, for this `reason`, may not take the runbook's new version; None when it may."""
    kind: DeviationKind = "runbook_replaced"
    policy = state.plan.policy
    if kind in policy.need_approval:
        return (
            f"the policy in nbrun.toml wants an approval of {kind}, which nobody can give before "
            "the run goes on: resume without the new runbook, or start a new run"
        )
    if kind in policy.need_reason and not reason.strip():
        return f"a reason is needed: {kind}; say it with --reason"
    return _left_by(state, "the new runbook", (kind,))
