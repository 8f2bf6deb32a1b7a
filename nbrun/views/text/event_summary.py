"""What happened in a run beside attempts and outputs: in a word, in a sentence, and the reason."""

from dataclasses import dataclass

from nbrun.core import events as ev
from nbrun.core.events import Record
from nbrun.core.state import RunState
from nbrun.views.text import identities, kernel_status, phrases


@dataclass(frozen=True)
class Happening:
    """Something that is no attempt: `kind` in a word, what in a sentence, and the reason given.
    `step`: the step, or inserted cell, at which it happened; "" for what is the whole run's."""

    at: str
    kind: str
    what: str
    why: str = ""
    step: str = ""


_OF_THE_RUN = (
    ev.RunInterrupted,
    ev.RunResumed,
    ev.RunbookReplaced,
    ev.SealFailed,
    ev.ForwardingFailed,
    ev.ForwardingResumed,
)
_OF_ITS_STEP = (
    ev.Stopped,
    ev.Deviated,
    ev.AttemptSettled,
    ev.ProcessesLeft,
)


def happening(state: RunState, record: Record) -> Happening | None:
    """What is told of `record`, with the state that it led to; None for most."""
    told = _told(state, record.event)
    return Happening(record.at, *told, _step(state, record.event)) if told is not None else None


def _step(state: RunState, event: ev.Event) -> str:
    """Where it happened: of a decision, where it was made and not what it is about."""
    if isinstance(event, _OF_THE_RUN):
        return ""
    if isinstance(event, _OF_ITS_STEP):
        return event.step or ""
    if state.stop is not None:
        return state.stop.step or ""
    last = state.attempt or state.last_attempt
    return last.step if last is not None else ""


def _told(state: RunState, event: ev.Event) -> tuple[str, str, str] | None:
    match event:
        case ev.Stopped():
            where = phrases.step(state, event.step) if event.step else "the end"
            return "stop", f"{where}: {phrases.stop(state, event)}", event.detail
        case ev.Decided():
            told = phrases.decision(state, phrases.without_reason(event))
            return "decision", f"{event.operator.name}: {told}", event.reason
        case ev.DecisionRefused():
            return "refused", f"{event.operator.name}: {event.decision}", event.why
        case ev.Deviated():
            kind = phrases.DEVIATIONS[event.kind]
            where = phrases.step(state, event.step) if event.step else "the run"
            return "off script", f"{where}: {kind}", event.reason
        case ev.NoteAdded():
            return "note", f"{event.operator.name}: {event.text}", ""
        case ev.InputAnswered():
            answer = "a password, not recorded" if event.answer is None else event.answer
            return "answer", f"{event.operator.name}: {answer}", ""
        case ev.AttemptSettled():
            return "settled", f"{event.operator.name}: {phrases.settled(state, event)}", ""
    return _of_approval(state, event) or _kernel_or_process(state, event)


def _of_approval(state: RunState, event: ev.Event) -> tuple[str, str, str] | None:
    match event:
        case ev.DecisionProposed():
            told = phrases.decision(state, phrases.without_reason(event))
            return "waits for approval", f"{event.operator.name}: {told}", event.reason
        case ev.ApprovalGranted():
            return "approved", phrases.judged(state, event, "approved"), ""
        case ev.ApprovalRejected():
            return "rejected", phrases.judged(state, event, "rejected"), ""
    return None


def _kernel_or_process(state: RunState, event: ev.Event) -> tuple[str, str, str] | None:
    seen = kernel_status.fact(state, event)
    if seen:
        return "left running" if isinstance(event, ev.ProcessesLeft) else "kernel", seen, ""
    match event:
        case ev.KernelDied():
            return "kernel", "the kernel died", event.why
        case ev.KernelRestarted():
            return "kernel", f"kernel number {event.generation} was started", event.why
        case ev.KernelReattached():
            return "kernel", phrases.reattached(event), ""
        case ev.KernelInterrupted():
            what = "the kernel was killed" if event.kill else "the step was interrupted"
            return "kernel", what, event.why
        case ev.RunInterrupted():
            return "interrupted", "the process that ran it was gone", event.why
        case ev.RunResumed():
            return "resumed", f"by {phrases.operator(event.operator)}", event.reason
        case ev.RunbookReplaced():
            what = f"{event.operator.name}: the runbook's new version is followed from here on"
            return "runbook", what, ""
    return _of_role_or_record(event)


def _of_role_or_record(event: ev.Event) -> tuple[str, str, str] | None:
    match event:
        case ev.RoleRefreshed():
            return "role", identities.refreshed(event), ""
        case ev.RoleNotRefreshed():
            return "role", identities.not_refreshed(event), ""
        case ev.SealFailed():
            return "record", f"it could not be sealed up to line {event.upto + 1}", event.why
        case ev.ForwardingFailed():
            what = f"from line {event.since + 1} on it could not be sent to {event.target}"
            return "record", what, event.why
        case ev.ForwardingResumed():
            return "record", phrases.forwarded(event), ""
    return None
