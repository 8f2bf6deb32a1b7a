"""Phrases for the place where a run waits for a person, and the reason: for lists of runs."""

from nbrun.core.approval import approvals_of, pending_approval
from nbrun.core.choices.handover import operator_of
from nbrun.core.state import Phase, RunState
from nbrun.views.text.phrases import OUTCOMES

_REASONS = {
    "approval": "approved or rejected",  # pending ones are told apart before
    "kernel_died": "the kernel is dead",
    "kernel_restarted": "the kernel was restarted",
    "fill": "to be completed",
    "step_mode": "step by step",
    "paused": "paused",
    "returned": "paused",
    "undone": "undone",
    "moved": "moved here",
    "confirm": "asks for confirmation",
    "manual": "to be done by hand",
    "indeterminate": "nobody saw it end",
}


def place_and_reason(state: RunState) -> tuple[str, str] | None:
    """Return `step 4` and `failed`, where and why a run waits for a person; None if not waiting."""
    asked = state.input_wanted
    if asked is not None:
        return _place(state, asked.step) or "an inserted cell", "asks for input"
    if state.phase is not Phase.STOPPED or state.stop is None:
        return None
    return _place(state, state.stop.step) or "the end", _reason(state)


def _place(state: RunState, step: str | None) -> str:
    known = state.steps.get(step) if step is not None else None
    return f"step {known.step.number}" if known else ""


def _reason(state: RunState) -> str:
    pending = pending_approval(state)
    if pending is not None:
        so_far = f" ({len(approvals_of(state, pending.binding))} of {pending.rule.count})"
        return f"needs approval{so_far if pending.rule.count > 1 else ''}"
    if state.stop is not None and state.stop.reason != "step_failed":
        return _REASONS[state.stop.reason]
    outcome = state.current.outcome if state.current else None
    return "failed" if outcome in (None, "ok") else OUTCOMES[outcome].partition(":")[0]


def for_whom(state: RunState) -> str:
    """Return who has to act: those who are attached, else who started the run; or the approvers."""
    pending = pending_approval(state)
    is_of_program = state.proposal is not None and state.proposal.operator.is_program
    if pending is not None and state.input_wanted is None and not is_of_program:
        return f"the group {pending.rule.group}" if pending.rule.group else "another person"
    attached = dict.fromkeys(each.name for each in state.operators)
    return ", ".join(attached) or operator_of(state).name
