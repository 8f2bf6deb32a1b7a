"""The effect of a check's results on the state of its step.

A check runs before its step, after it, and as evidence where nobody saw the step end. The
state determines which of these it is. These functions are parts of the reducer.
"""

from nbrun.core import events as ev
from nbrun.core.state import Phase, RunState, StepState


def pass_if_holds(state: RunState, step: StepState) -> None:
    """Pass `step`, which succeeded. If the step has a check, wait until the check holds."""
    if step.step.check is None or state.plan.policy.by_hand:
        step.passed = True
        state.mark_setup_done(step)
        return
    state.mark_not_passed(step)
    step.awaits_check = True
    state.check_due = step


def finished(state: RunState, step: StepState, event: ev.AttemptFinished) -> None:
    """Apply the result of an execution of the check of `step`."""
    if event.outcome == "kernel_died":  # no result: the check runs again in the next kernel
        return
    is_evidence = state.is_unsettled(step) or step.outcome == "kernel_died"
    if step.awaits_check:
        _finished_after(state, step, event)
    elif event.outcome == "interrupted" or (is_evidence and event.outcome == "timed_out"):
        state.paused = True  # no result
    else:
        step.check_answer = bool(event.holds)
        if step.check_answer and not is_evidence:
            step.passed = step.already_done = True
            step.skipped = step.rerun_requested = False


def _finished_after(state: RunState, step: StepState, event: ev.AttemptFinished) -> None:
    check = step.step.check
    assert check is not None  # noqa: S101  it has just run
    step.check_answer = bool(event.holds)
    step.check_waited += event.duration + check.interval
    if step.check_answer:
        step.passed = True
        end(state, step)
    elif event.outcome == "interrupted" or step.check_waited > check.timeout:
        end(state, step)


def end(state: RunState, step: StepState) -> None:
    """Stop waiting for the check of `step`."""
    step.awaits_check = False
    if state.check_due is step:
        state.check_due = None


def forget(state: RunState, step: StepState) -> None:
    """Discard the result of the check of `step`, which is about an earlier attempt."""
    step.check_answer, step.check_waited = None, 0.0
    end(state, step)


def give_up(state: RunState) -> None:
    """Stop waiting for a check that the operator interrupted between its executions."""
    if state.check_due is not None and state.phase is Phase.READY:
        state.check_due.check_answer = False
        end(state, state.check_due)
