"""Undoing steps: which can be undone, in which order, and what an undo changes.

An undo is a step of its own (`StepState.undo`), outside the order of the run. These functions are
parts of the reducer and of the guards.
"""

from nbrun.core import checks
from nbrun.core import events as ev
from nbrun.core.state import RunState, StepState


def offered(state: RunState) -> list[StepState]:
    """Return the steps that can be undone, the one that ran last first."""
    steps = (step for step in state.steps.values() if step.undo and step.may_have_effect)
    return sorted(steps, key=lambda step: step.last_run, reverse=True)


def refusal(state: RunState, step: str) -> str | None:
    """Return why `step` can't be undone; None if it can."""
    found = state.steps.get(step)
    if found is None:
        return f"there is no step {step!r}"
    where = f"step {found.step.number}"
    if found.undo is None:
        return f"{where} has no undo: edit or insert a cell that takes it back"
    if found.undone:
        return f"{where} has been undone already"
    return None if found.may_have_effect else f"{where} was not run: there is nothing to undo"


def started(state: RunState, owner: StepState, event: ev.AttemptStarted) -> None:
    """Apply the start of the undo of `owner`."""
    undo = _undo_of(owner)
    undo.attempts += 1
    undo.last_source = event.source
    undo.settled_as_happened = False
    state.last_attempt = event
    state.ran_aside = True


def finished(state: RunState, owner: StepState, event: ev.AttemptFinished) -> None:
    """Apply the end of the undo of `owner`: if it succeeded, the run has the step before it."""
    undo = _undo_of(owner)
    undo.outcome, undo.ran_to_end = event.outcome, event.ran_to_end
    if undo.succeeded:
        take_back(state, owner)


def indeterminate(owner: StepState) -> None:
    """Note that nobody saw the undo of `owner` end."""
    undo = _undo_of(owner)
    undo.outcome, undo.ran_to_end = "indeterminate", False


def settled(state: RunState, owner: StepState, event: ev.AttemptSettled) -> None:
    """Apply what an operator says of an undo that nobody saw end."""
    if event.finding == "happened":
        _undo_of(owner).settled_as_happened = True
        take_back(state, owner)


def take_back(state: RunState, step: StepState) -> None:
    """Put the run before `step`, whose effect is undone."""
    step.may_have_effect = step.done = step.already_done = step.skipped = False
    step.rerun_requested = False
    checks.forget(state, step)
    state.mark_not_passed(step)


def _undo_of(owner: StepState) -> StepState:
    assert owner.undo is not None  # noqa: S101  `RunState.undos` has only steps with one
    return owner.undo
