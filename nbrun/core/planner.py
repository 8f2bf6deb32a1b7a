"""The script: what a run does next, and how it ends where nobody is there to decide."""

from dataclasses import dataclass
from itertools import count, islice

from nbrun.core import decisions
from nbrun.core import events as ev
from nbrun.core.approval import is_approved
from nbrun.core.decisions import Decision
from nbrun.core.events import AttemptCause, RunOutcome, StopReason
from nbrun.core.state import RunState, StepState


@dataclass(frozen=True)
class NextAttempt:
    """`after`: seconds since the last attempt ended that have to pass first."""

    step: str
    source: str
    cause: AttemptCause
    after: float = 0.0


@dataclass(frozen=True)
class NextRestart:
    why: str


@dataclass(frozen=True)
class NextStop:
    reason: StopReason
    detail: str = ""
    step: str | None = None  # that it is about, if not the one the run stands at


@dataclass(frozen=True)
class NextFinish:
    outcome: RunOutcome
    why: str


Next = NextAttempt | NextRestart | NextStop | NextFinish


def what_next(state: RunState) -> Next:
    """What the engine does with a run that is ready: one rule a line, the first that fits."""
    current = state.current
    if state.cancel is not None:
        why = state.cancel.reason or "no reason was given"
        return NextFinish("cancelled", f"cancelled by {state.cancel.operator.name}: {why}")
    if state.ended_by is not None:
        return NextFinish(
            "completed", f"the runbook ended itself at {step_label(state, state.ended_by)}"
        )
    if state.unsettled:
        return NextStop("indeterminate", state.told, step=state.unsettled[0].step)
    if state.decision is not None:
        return _as_decided(state, state.decision)
    if current is None and not state.rebuild:
        return NextFinish("completed", "every step was passed")
    if state.kernel != "alive":
        return NextRestart(_KERNEL_GONE) if state.resumed else NextStop("kernel_died")
    if state.rebuild and state.steps[state.rebuild[0]].passed and not state.setup_failed:
        return _rebuilding(state.steps[state.rebuild[0]])
    return _retry(state, current) or _halt(state, current) or _scripted(_known(current), "script")


_KERNEL_GONE = "the kernel was gone when the run was resumed"


def _as_decided(state: RunState, decided: ev.Decided) -> Next:
    if decided.decision == "restart":
        return NextRestart(decided.reason)
    if state.kernel != "alive":
        return NextStop("kernel_died")
    return planned_attempt(state, decided.decision, decided.step, decided.source)


def _retry(state: RunState, current: StepState | None) -> NextAttempt | None:
    """The attempt that the runbook itself declares after one that did not succeed."""
    if current is None or not current.failed or not current.retries_left:
        return None
    if current.outcome not in ("error", "timed_out") or _waits_anyway(state):
        return None
    source = current.last_source or current.step.source
    return NextAttempt(current.step.id, source, "retry", after=current.step.contract.retry_delay)


def _waits_anyway(state: RunState) -> bool:
    """Something has happened since the last attempt that the operator has to be told first."""
    return state.paused or state.restarted or state.moved or state.aside or state.setup_failed


def _halt(state: RunState, current: StepState | None) -> NextStop | None:
    """Why the run waits here rather than going on by itself, if it does."""
    told = state.restarted or state.moved or _came_back(state, current)
    if state.setup_failed or (current and current.failed and not told):
        return NextStop("step_failed")
    if state.restarted:
        return NextStop("kernel_restarted")
    if state.moved:
        return NextStop("moved")
    if state.aside:
        return NextStop("returned")
    if state.paused:
        return NextStop("paused")
    if current and "fill" in current.step.tags:  # what is filled in is what needs an approval
        return NextStop("fill")
    if current and not is_approved(state, current, current.step.source):
        return NextStop("approval", current.step.contract.approve or "")
    if current and current.step.contract.manual:
        return NextStop("manual")
    if current and needs_confirmation(state, current):
        return NextStop("confirm", current.step.contract.confirm or "")
    return NextStop("step_mode") if state.stepping else None


def needs_confirmation(state: RunState, step: StepState) -> bool:
    """Whether the runbook asks for a confirmation that was not given beforehand.

    A step that says nothing of its impact is taken to change something.
    """
    policy, contract = state.plan.policy, step.step.contract
    if contract.confirm is None:
        return False
    destructive = contract.impact == "destructive"
    return not (policy.yes_destructive if destructive else policy.yes)


def _came_back(state: RunState, current: StepState | None) -> bool:
    """A step was run aside, and it is not the one that the run now stands at."""
    last = state.last_attempt
    return state.aside and not (current and last and last.step == current.step.id)


def _known(step: StepState | None) -> StepState:
    assert step is not None  # noqa: S101  what_next has finished a run with nothing left
    return step


def _scripted(step: StepState, cause: AttemptCause) -> NextAttempt:
    return NextAttempt(step.step.id, step.step.source, cause)


def _rebuilding(step: StepState) -> NextAttempt:
    """A setup step for a new kernel, as it succeeded in the old one: perhaps filled or edited."""
    return NextAttempt(step.step.id, step.last_source or step.step.source, "setup")


def target_step(state: RunState, decision: Decision) -> StepState | None:
    """The step of the runbook that `decision` runs or says to be done; None when it does not."""
    match decision:
        case decisions.Run(step=str(step)) | decisions.Edit(step=str(step)):
            return state.steps.get(step)
        case (
            decisions.Run()
            | decisions.Continue()
            | decisions.Retry()
            | decisions.Edit()
            | decisions.Done()
        ):
            return state.current
    return None


def planned_attempt(
    state: RunState, decision: str, step: str | None, source: str | None
) -> NextAttempt:
    """The attempt that a decision to run something leads to."""
    if decision == "insert":
        return NextAttempt(_inserted_id(state), source or "", "operator")
    target = state.steps[step] if step else _known(state.current)
    if decision == "retry":
        source = target.last_source
    return NextAttempt(target.step.id, source or target.step.source, "operator")


def _inserted_id(state: RunState) -> str:
    """One that neither a step nor an earlier inserted cell has."""
    free = (f"inserted-{number}" for number in count(1) if f"inserted-{number}" not in state.steps)
    return next(islice(free, state.inserted, None))


def attempt_started_event(state: RunState, planned: NextAttempt) -> ev.AttemptStarted:
    """The event that `planned` begins with."""
    step = state.steps.get(planned.step)
    return ev.AttemptStarted(
        step=planned.step,
        attempt=step.attempts + 1 if step else 1,
        source=planned.source,
        edited=step is not None and planned.source != step.step.source,
        cause=planned.cause,
    )


def waits_for_decision(state: RunState, stop: NextStop) -> bool:
    """Whether somebody is there to decide at this stop; else it ends the run as failed."""
    policy = state.plan.policy
    if policy.on_failure == "wait" or (state.operators and not policy.attended):
        return True
    if not policy.attended:
        return False
    asked_to_end = policy.on_failure == "stop" and stop.reason in ("step_failed", "kernel_died")
    return not asked_to_end or state.interrupted


def unattended_end(state: RunState, stop: NextStop) -> NextFinish:
    """How a run ends at a stop where nobody decides, or nobody has for as long as it may wait."""
    current = state.current
    step = step_label(state, current.step.id) if current else "the run"
    if state.proposal is not None:
        return NextFinish("failed", f"{_still_unapproved(step)}, and nobody was there to decide")
    if current is not None and current.outcome == "kernel_died":
        step = f"{step}, in which the kernel died,"
    what = {
        "step_failed": f"{step} did not succeed",
        "kernel_died": f"there was no kernel for {step}",
        "fill": f"{step} is for an operator to complete",
        "confirm": f"{step} asks to be confirmed",
        "manual": f"{step} is for a person to do",
        "approval": f"{step} waits for an approval",
    }.get(stop.reason, f"the run stopped at {step}")
    asked_to_end = state.plan.policy.attended and state.plan.policy.on_failure == "stop"
    ends = "--on-failure is stop" if asked_to_end else "nobody was there to decide"
    return NextFinish("failed", f"{what}, and {ends}")


def _still_unapproved(step: str) -> str:
    return f"what was decided at {step} waited for an approval"


def step_label(state: RunState, step: str) -> str:
    """How a step is named to a person: its number, or its id when it is not of the runbook."""
    known = state.steps.get(step)
    return f"step {known.step.number}" if known else f"cell {step}"
