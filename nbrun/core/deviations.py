"""Deviations: the only module that decides whether a run has left the script."""

import difflib

import msgspec

from nbrun.core import decisions, model
from nbrun.core import events as ev
from nbrun.core.decisions import Decision, decision_name
from nbrun.core.events import Deviated, Event
from nbrun.core.model import DeviationKind
from nbrun.core.planner import attempt_started_event, planned_attempt
from nbrun.core.state import RunState, StepState


def deviations_of(state: RunState, event: Event) -> list[Deviated]:
    """Return the deviations that `event`, about to be applied to `state`, implies."""
    reason = _reason(state, event)
    return [
        msgspec.structs.replace(deviation, reason=reason)
        for deviation in _unexplained(state, event)
    ]


def _reason(state: RunState, event: Event) -> str:
    """Return the reason that the operator gave for the decision behind `event`."""
    match event:
        case ev.Decided(reason=reason) | ev.KernelRestarted(why=reason):
            return reason
        case ev.AttemptStarted(cause="operator" | "undo") if state.decision is not None:
            return state.decision.reason
    return ""


def _unexplained(state: RunState, event: Event) -> list[Deviated]:
    """Return the deviations that `event` implies, still without their reason."""
    match event:
        case ev.AttemptStarted():
            return _attempt_deviations(state, event)
        case ev.Decided(decision="skip") if state.current is not None:
            return [Deviated(kind="skipped", step=state.current.step.id)]
        case ev.Decided(decision="done") if state.current is not None:
            return _done_deviations(state.current)
        case ev.Decided(decision="jump", step=str(step)):
            return [
                Deviated(kind="skipped", step=id_) for id_ in _steps_skipped_by_jump(state, step)
            ]
        case ev.KernelRestarted():
            return [Deviated(kind="kernel_restarted")]
        case ev.RunbookReplaced(diff=changed):
            return [Deviated(kind="runbook_replaced", diff=changed)]
    return []


def _done_deviations(step: StepState) -> list[Deviated]:
    """Return the deviations of a step that a person has done."""
    kinds: list[DeviationKind] = ["reran"] if step.done and not step.refuted else []
    kinds += [] if step.step.contract.manual else ["by_hand"]
    return [Deviated(kind=kind, step=step.step.id) for kind in kinds]


def _steps_skipped_by_jump(state: RunState, step: str) -> list[str]:
    """Return the steps, not passed yet, that a jump forward to `step` skips."""
    upto = state.steps[step].step.number - 1
    return [id_ for id_ in state.order[state.position : upto] if not state.steps[id_].passed]


def _attempt_deviations(state: RunState, event: ev.AttemptStarted) -> list[Deviated]:
    if event.cause == "check":  # declared by the runbook
        return []
    if event.cause == "undo":
        return [Deviated(kind="undone", step=state.undos[event.step].step.id)]
    step = state.steps.get(event.step)
    if step is None:
        return [Deviated(kind="inserted", step=event.step)]
    if event.cause in ("setup", "retry"):  # part of a restart; declared by the runbook
        return []
    kinds: list[DeviationKind] = []
    if step.attempts or step.done or step.already_done:
        # A jump back was judged as "reran", whatever the step's check has said since.
        repeats = step.succeeded or step.already_done or (step.rerun_requested and step.ran_well)
        kinds.append("reran" if repeats else "retried")
    current = state.current
    if current is not None and current.step.number < step.step.number:
        kinds.append("out_of_order")
    found = [Deviated(kind=kind, step=event.step) for kind in kinds]
    return found + _edit_deviation(step, event)


def _edit_deviation(step: StepState, event: ev.AttemptStarted) -> list[Deviated]:
    """Return the deviation `edited`, unless a `fill` step asks for the edit."""
    if event.source == step.step.source or "fill" in step.step.tags:
        return []
    return [
        Deviated(kind="edited", step=event.step, diff=unified_diff(step.step.source, event.source))
    ]


def unified_diff(old: str, new: str) -> str:
    """Return a unified diff from the runbook's source to the source that ran."""
    lines = difflib.unified_diff(
        old.splitlines(), new.splitlines(), "runbook", "run", lineterm="", n=3
    )
    return "\n".join(lines)


def implied_deviations(state: RunState, decision: Decision) -> list[Deviated]:
    """Return the deviations that `decision`, an allowed one, implies at once."""
    match decision:
        case decisions.Run(step=step):
            return _planned_deviations(state, "run", step, None)
        case decisions.Continue() | decisions.Retry():
            return _planned_deviations(state, decision_name(decision), None, None)
        case decisions.Edit(source=source, step=step):
            return _planned_deviations(state, "edit", step, source)
        case decisions.Insert(source=source):
            return _planned_deviations(state, "insert", None, source)
        case decisions.Undo(step=step):
            return _planned_deviations(state, "undo", step, None)
        case decisions.Skip() | decisions.Done():
            return deviations_of(
                state, ev.Decided(operator=_ANYBODY, decision=decision_name(decision))
            )
        case decisions.Jump(step=step):
            jump = ev.Decided(operator=_ANYBODY, decision="jump", step=step)
            return deviations_of(state, jump)
        case decisions.RestartKernel():
            return [Deviated(kind="kernel_restarted")]
    return []


_ANYBODY = model.Operator(uid=-1, name="", via="")


def _planned_deviations(
    state: RunState, decision: str, step: str | None, source: str | None
) -> list[Deviated]:
    planned = planned_attempt(state, decision, step, source)
    return deviations_of(state, attempt_started_event(state, planned))


def deviation_kinds(state: RunState, decision: Decision) -> set[DeviationKind]:
    """Return the kinds of deviation that `decision`, otherwise allowed, leads to.

    They include those of a jump back, which are recorded only when the steps run again.
    """
    kinds = {each.kind for each in implied_deviations(state, decision)}
    if isinstance(decision, decisions.Jump) and _any_passed_from(state, decision.step):
        kinds.add("reran")
    return kinds


def _any_passed_from(state: RunState, step: str) -> bool:
    """Return True if a step from `step` on was passed, so that a jump there reruns it."""
    behind = state.order[state.steps[step].step.number - 1 :]
    return any(state.steps[id_].passed and not state.steps[id_].declared_skip for id_ in behind)
