"""Checks: what a cell that reads whether a step's effect is there means for the step.

A check runs before its step, after it, and as evidence where nobody saw the step end. Which of
these it is follows from the state. These functions are parts of the reducer.
"""

from nbrun.core import events as ev
from nbrun.core.state import Phase, RunState, StepState


def pass_if_holds(state: RunState, step: StepState) -> None:
    """Pass `step`, which did what it should. If it has a check, that must hold first."""
    if step.step.check is None or state.plan.policy.by_hand:
        step.passed = True
        state.mark_setup_done(step)
        return
    state.mark_not_passed(step)
    step.awaits_check = True
    state.check_due = step


def finished(state: RunState, step: StepState, event: ev.AttemptFinished) -> None:
    """Take what a check of `step` said."""
    if event.outcome == "kernel_died":  # nothing: it runs again in the next kernel
        return
    is_evidence = state.is_unsettled(step) or step.outcome == "kernel_died"
    if step.awaits_check:
        _finished_after(state, step, event)
    elif event.outcome == "interrupted" or (is_evidence and event.outcome == "timed_out"):
        state.paused = True  # it has said nothing
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
    """Let `step` wait for its check no longer."""
    step.awaits_check = False
    if state.check_due is step:
        state.check_due = None


def forget(state: RunState, step: StepState) -> None:
    """Make the check of `step` run anew: what it said was about an earlier attempt."""
    step.check_answer, step.check_waited = None, 0.0
    end(state, step)


def give_up(state: RunState) -> None:
    """Stop waiting for a check between its executions: the operator has interrupted it."""
    if state.check_due is not None and state.phase is Phase.READY:
        state.check_due.check_answer = False
        end(state, state.check_due)
