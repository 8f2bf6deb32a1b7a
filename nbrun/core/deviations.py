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
    """The ways in which `event`, about to happen to `state`, leaves the script."""
    reason = _reason(state, event)
    return [
        msgspec.structs.replace(departure, reason=reason) for departure in _departures(state, event)
    ]


def _reason(state: RunState, event: Event) -> str:
    """What the operator said when deciding what leads to `event`."""
    match event:
        case ev.Decided(reason=reason) | ev.KernelRestarted(why=reason):
            return reason
        case ev.AttemptStarted(cause="operator") if state.decision is not None:
            return state.decision.reason
    return ""


def _departures(state: RunState, event: Event) -> list[Deviated]:
    match event:
        case ev.AttemptStarted():
            return _of_attempt(state, event)
        case ev.Decided(decision="skip") if state.current is not None:
            return [Deviated(kind="skipped", step=state.current.step.id)]
        case ev.Decided(decision="done") if state.current is not None and state.current.done:
            return [Deviated(kind="reran", step=state.current.step.id)]
        case ev.Decided(decision="jump", step=str(step)):
            return [Deviated(kind="skipped", step=passed) for passed in _between(state, step)]
        case ev.KernelRestarted():
            return [Deviated(kind="kernel_restarted")]
        case ev.RunbookReplaced(diff=changed):
            return [Deviated(kind="runbook_replaced", diff=changed)]
    return []


def _between(state: RunState, step: str) -> list[str]:
    """The steps not passed that a jump forward to `step` passes over."""
    upto = state.steps[step].step.number - 1
    return [id_ for id_ in state.order[state.position : upto] if not state.steps[id_].passed]


def _of_attempt(state: RunState, event: ev.AttemptStarted) -> list[Deviated]:
    step = state.steps.get(event.step)
    if step is None:
        return [Deviated(kind="inserted", step=event.step)]
    if event.cause in ("setup", "retry"):  # a part of the restart; declared by the runbook
        return []
    kinds: list[DeviationKind] = []
    if step.attempts:
        kinds.append("reran" if step.succeeded else "retried")
    current = state.current
    if current is not None and current.step.number < step.step.number:
        kinds.append("out_of_order")
    found = [Deviated(kind=kind, step=event.step) for kind in kinds]
    return found + _edit(step, event)


def _edit(step: StepState, event: ev.AttemptStarted) -> list[Deviated]:
    """An edit, unless it is what a `fill` step asks for."""
    if event.source == step.step.source or "fill" in step.step.tags:
        return []
    return [
        Deviated(kind="edited", step=event.step, diff=unified_diff(step.step.source, event.source))
    ]


def unified_diff(old: str, new: str) -> str:
    """A unified diff from the runbook's source to what ran."""
    lines = difflib.unified_diff(
        old.splitlines(), new.splitlines(), "runbook", "run", lineterm="", n=3
    )
    return "\n".join(lines)


def implied_deviations(state: RunState, decision: Decision) -> list[Deviated]:
    """The deviations that `decision`, an allowed one, leads to at once."""
    match decision:
        case decisions.Run(step=step):
            return _of_planned(state, "run", step, None)
        case decisions.Continue() | decisions.Retry():
            return _of_planned(state, decision_name(decision), None, None)
        case decisions.Edit(source=source, step=step):
            return _of_planned(state, "edit", step, source)
        case decisions.Insert(source=source):
            return _of_planned(state, "insert", None, source)
        case decisions.Skip() | decisions.Done():
            return deviations_of(
                state, ev.Decided(operator=_NOBODY, decision=decision_name(decision))
            )
        case decisions.Jump(step=step):
            jump = ev.Decided(operator=_NOBODY, decision="jump", step=step)
            return deviations_of(state, jump)
        case decisions.RestartKernel():
            return [Deviated(kind="kernel_restarted")]
    return []


_NOBODY = model.Operator(uid=-1, name="", via="")


def _of_planned(
    state: RunState, decision: str, step: str | None, source: str | None
) -> list[Deviated]:
    planned = planned_attempt(state, decision, step, source)
    return deviations_of(state, attempt_started_event(state, planned))


def deviation_kinds(state: RunState, decision: Decision) -> set[DeviationKind]:
    """How `decision`, an otherwise allowed one, leaves the script, at once or as soon as anything
    is run."""
    kinds = {each.kind for each in implied_deviations(state, decision)}
    if isinstance(decision, decisions.Jump) and _passed_from(state, decision.step):
        kinds.add("reran")
    return kinds


def _passed_from(state: RunState, step: str) -> bool:
    """Whether a step from `step` on was passed, which a move to `step` has run again."""
    behind = state.order[state.steps[step].step.number - 1 :]
    return any(state.steps[id_].passed and not state.steps[id_].declared_skip for id_ in behind)
