"""The plan of a run: what it does next, and how it ends when nobody is there to decide."""

from dataclasses import dataclass
from itertools import count, islice

from nbrun.core import decisions
from nbrun.core import events as ev
from nbrun.core.approval import is_approved, rule_for
from nbrun.core.decisions import Decision
from nbrun.core.events import AttemptCause, RunOutcome, StopReason
from nbrun.core.includes import stale_setup
from nbrun.core.state import RunState, StepState


@dataclass(frozen=True)
class NextAttempt:
    """Run `source` as an attempt of `step`, at least `delay` seconds after the last attempt."""

    step: str
    source: str
    cause: AttemptCause
    delay: float = 0.0


@dataclass(frozen=True)
class NextRestart:
    """Restart the kernel."""

    why: str


@dataclass(frozen=True)
class NextStop:
    """Stop and wait for a decision."""

    reason: StopReason
    detail: str = ""
    step: str | None = None  # the step that the stop is about, if not the current one


@dataclass(frozen=True)
class NextFinish:
    """End the run."""

    outcome: RunOutcome
    why: str


@dataclass(frozen=True)
class NextSettle:
    """Take what the check says as the answer to what became of `attempt`."""

    attempt: ev.AttemptIndeterminate
    happened: bool


Next = NextAttempt | NextRestart | NextStop | NextSettle | NextFinish


def what_next(state: RunState) -> Next:
    """Return what the engine does with a run that is ready.

    One rule a line; the first that applies wins.
    """
    current = state.current
    if state.cancel is not None:
        why = state.cancel.reason or "no reason was given"
        return NextFinish("cancelled", f"cancelled by {state.cancel.operator.label}: {why}")
    if state.ended_by is not None:
        return NextFinish(
            "completed", f"the runbook ended itself at {step_label(state, state.ended_by)}"
        )
    if state.unsettled:
        return _settle_next(state, state.unsettled[0])
    if state.decision is not None:
        return _decided_next(state, state.decision)
    if current is None and not state.setup_queue:
        return NextFinish("completed", "every step was passed")
    if state.kernel != "alive" and not state.plan.policy.by_hand:
        return NextRestart(_KERNEL_WAS_GONE) if state.resumed else NextStop("kernel_died")
    return (
        _setup_attempt(state)
        or _included_attempt(state, current)
        or _check_attempt(state, current)
        or _retry(state, current)
        or _stop_before(state, current)
        or _script_attempt(_existing(current), "script")
    )


_KERNEL_WAS_GONE = "the kernel was gone when the run was resumed"


def _settle_next(state: RunState, attempt: ev.AttemptIndeterminate) -> Next:
    """Ask what became of `attempt`; first run the check of its step, if there is one."""
    step = state.steps.get(attempt.step)
    if step is None or step.step.check is None:
        return NextStop("indeterminate", state.kernel_report, step=attempt.step)
    may_check = step.check_answer is None and not (state.paused or state.setup_failed)
    if may_check and state.kernel != "alive" and state.resumed:
        return NextRestart(_KERNEL_WAS_GONE)
    if may_check and state.kernel == "alive":
        return _setup_attempt(state) or _setup_again(state, step) or _attempt_of_check(step)
    if step.step.check.settles and step.check_answer is not None:
        return NextSettle(attempt, step.check_answer)
    report = "; ".join(filter(None, (state.kernel_report, evidence(step))))
    return NextStop("indeterminate", report, step=attempt.step)


def evidence(step: StepState) -> str:
    """Return what the check of `step` says of an attempt; empty if it has said nothing."""
    if step.check_answer is None:
        return ""
    holds = "holds" if step.check_answer else "does not hold"
    return f"the check of step {step.step.number}, run just now, {holds}"


def _check_attempt(state: RunState, current: StepState | None) -> NextAttempt | None:
    """Return the check that is due: after its step, or before the current one."""
    if state.check_due is not None:
        return _attempt_of_check(state.check_due)
    if current is None or current.step.check is None or current.check_answer is not None:
        return None
    if current.outcome == "kernel_died" and current.failed:  # evidence for the stop that follows
        return None if state.setup_failed or state.paused else _attempt_of_check(current)
    if current.failed or _must_stop_first(state) or state.plan.policy.by_hand:
        return None
    return _attempt_of_check(current)


def _attempt_of_check(step: StepState) -> NextAttempt:
    """Return the next execution of the check of `step`, which has one."""
    check = step.step.check
    assert check is not None  # noqa: S101
    delay = check.interval if step.check_waited else 0.0
    return NextAttempt(check.id, check.source, "check", delay)


def _decided_next(state: RunState, decided: ev.Decided) -> Next:
    """Return the next action that the operator has decided on."""
    if decided.decision == "restart":
        return NextRestart(decided.reason)
    if state.kernel != "alive":
        return NextStop("kernel_died")
    planned = planned_attempt(state, decided.decision, decided.step, decided.source)
    step = state.steps.get(planned.step)
    if step is not None and not is_approved(state, step, planned.source):  # it has just expired
        return _stop_before(state, state.current) or NextStop("paused")
    owner = step or state.undos.get(planned.step)
    return (_setup_again(state, owner) if owner is not None else None) or planned


def _included_attempt(state: RunState, current: StepState | None) -> NextAttempt | None:
    """Return the setup that is due again before the script continues with an included step."""
    if current is None or current.failed or _must_stop_first(state):
        return None
    return _setup_again(state, current)


def _setup_again(state: RunState, step: StepState) -> NextAttempt | None:
    """Return an attempt that prepares the kernel again for the included runbook of `step`."""
    stale = stale_setup(state, step)
    if stale is None:
        return None
    return NextAttempt(stale.step.id, stale.last_source or stale.step.source, "setup")


def _retry(state: RunState, current: StepState | None) -> NextAttempt | None:
    """Return the automatic retry that the runbook declares after a failed attempt, if any."""
    if current is None or not current.failed or not current.retries_left:
        return None
    may_retry = current.outcome in ("error", "timed_out") or (current.refuted and not current.done)
    if not may_retry or _must_stop_first(state):
        return None
    source = current.last_source or current.step.source
    if not is_approved(state, current, source):  # its approval has expired
        return None
    return NextAttempt(current.step.id, source, "retry", delay=current.step.contract.retry_delay)


def _must_stop_first(state: RunState) -> bool:
    """Return True if something has happened since that the operator has to see first."""
    return state.paused or state.restarted or state.jumped or state.ran_aside or state.setup_failed


def _stop_before(state: RunState, current: StepState | None) -> NextStop | None:
    """Return why the run stops before `current`; None if it may run the step by itself."""
    explained = state.restarted or state.jumped or _returned_from_aside(state, current)
    if state.setup_failed or (current and current.failed and not explained):
        return NextStop("step_failed")
    if state.restarted:
        return NextStop("kernel_restarted", evidence(current) if current else "")
    if state.jumped:
        return NextStop("moved")
    if state.ran_aside or (current and current.undone):
        return _stop_aside(state, current)
    if state.paused:
        return NextStop("paused")
    by_hand = state.plan.policy.by_hand
    if current and "fill" in current.step.tags and not by_hand:  # before "approval", of the filled
        return NextStop("fill")
    if current and not is_approved(state, current, current.step.source):
        return NextStop("approval", rule_for(state, current).group)
    if current and (current.step.contract.manual or by_hand):
        return NextStop("manual")
    if current and needs_confirmation(state, current):
        return NextStop("confirm", current.step.contract.confirm or "")
    return NextStop("step_mode") if state.step_mode else None


def _stop_aside(state: RunState, current: StepState | None) -> NextStop:
    """Return the stop after a cell that is not the next step, or before a step that was undone.

    Nothing that was undone runs again unasked.
    """
    last = state.last_attempt if state.ran_aside else None
    owner = state.undos.get(last.step) if last is not None else current
    if owner is None or not (owner.undone or (last is not None and last.cause == "undo")):
        return NextStop("returned")
    number = owner.step.number
    failed = f"the undo of step {number} did not succeed"
    return NextStop("undone", f"step {number} is undone" if owner.undone else failed)


def needs_confirmation(state: RunState, step: StepState) -> bool:
    """Return True if the runbook asks for a confirmation that was not given in advance.

    A step that does not declare its impact is assumed to change something.
    """
    policy, contract = state.plan.policy, step.step.contract
    if contract.confirm is None:
        return False
    destructive = contract.impact == "destructive"
    return not (policy.yes_destructive if destructive else policy.yes)


def _returned_from_aside(state: RunState, current: StepState | None) -> bool:
    """Return True if the last attempt was of a cell other than the current step."""
    last = state.last_attempt
    return state.ran_aside and not (current and last and last.step == current.step.id)


def _existing(step: StepState | None) -> StepState:
    """Return `step`, which exists."""
    assert step is not None  # noqa: S101  what_next finishes a run with no step left
    return step


def _script_attempt(step: StepState, cause: AttemptCause) -> NextAttempt:
    """Return the attempt of `step` as the runbook has it."""
    return NextAttempt(step.step.id, step.step.source, cause)


def _setup_attempt(state: RunState) -> NextAttempt | None:
    """Return the next setup step for a new kernel, with the source that succeeded in the old one.

    None if there is none left, or none that may run.
    """
    if not state.setup_queue or state.setup_failed:
        return None
    step = state.steps[state.setup_queue[0]]
    if not step.passed:
        return None
    return NextAttempt(step.step.id, step.last_source or step.step.source, "setup")


def target_step(state: RunState, decision: Decision) -> StepState | None:
    """Return the step, or the undo, that `decision` runs or states to be done; None for neither."""
    match decision:
        case decisions.Run(step=str(step)) | decisions.Edit(step=str(step)):
            return state.steps.get(step)
        case decisions.Undo(step=step):
            owner = state.steps.get(step)
            return owner.undo if owner is not None else None
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
    """Return the attempt that a decision to run something leads to."""
    if decision == "insert":
        return NextAttempt(_next_inserted_id(state), source or "", "operator")
    if decision == "undo" and step:
        return _script_attempt(_existing(state.steps[step].undo), "undo")
    target = state.steps[step] if step else _existing(state.current)
    if decision == "retry":
        source = target.last_source
    return NextAttempt(target.step.id, source or target.step.source, "operator")


def _next_inserted_id(state: RunState) -> str:
    """Return an id that no step and no earlier inserted cell has."""
    free = (f"inserted-{number}" for number in count(1) if f"inserted-{number}" not in state.steps)
    return next(islice(free, state.inserted, None))


def attempt_started_event(state: RunState, planned: NextAttempt) -> ev.AttemptStarted:
    """Return the event that starts the attempt `planned`."""
    step = state.step_of(planned.step)
    return ev.AttemptStarted(
        step=planned.step,
        attempt=state.attempts_of(planned.step) + 1,
        source=planned.source,
        edited=step is not None and planned.source != step.step.source,
        cause=planned.cause,
    )


def waits_for_decision(state: RunState, stop: NextStop | ev.Stopped) -> bool:
    """Return True if somebody can decide at this stop; else the stop ends the run as failed."""
    policy = state.plan.policy
    if policy.on_failure == "wait" or (state.operators and not policy.attended):
        return True
    if not policy.attended:
        return False
    ends_on_failure = policy.on_failure == "stop" and stop.reason in ("step_failed", "kernel_died")
    return not ends_on_failure or state.interrupted


def unattended_end(state: RunState, stop: NextStop) -> NextFinish:
    """Return how a run ends at a stop where nobody decides, or nobody has in time."""
    current = state.current
    step = step_label(state, current.step.id) if current else "the run"
    if state.proposal is not None:
        return NextFinish("failed", f"{_unapproved(step)}, and nobody was there to decide")
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
    ends_on_failure = state.plan.policy.attended and state.plan.policy.on_failure == "stop"
    ends = "--on-failure is stop" if ends_on_failure else "nobody was there to decide"
    return NextFinish("failed", f"{what}, and {ends}")


def _unapproved(step: str) -> str:
    return f"what was decided at {step} waited for an approval"


def step_label(state: RunState, step: str) -> str:
    """Return how messages name a step: by its number, or by its id if the runbook lacks it."""
    found = state.steps.get(step)
    if found is not None:
        return f"step {found.step.number}"
    checked, undone = state.checked.get(step), state.undos.get(step)
    if undone is not None:
        return f"the undo of step {undone.step.number}"
    return f"the check of step {checked.step.number}" if checked else f"cell {step}"
