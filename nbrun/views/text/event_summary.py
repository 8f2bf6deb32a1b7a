"""One event of a run summarised in words, for every view to render: who did what, when and why.

Views of the terminal, the report and the output notebook render these summaries; none of them
has wording of its own for an event, except the output notebook (see `notebook_cells.remark`).
"""

from dataclasses import dataclass, replace
from typing import Literal

from nbrun.core import events as ev
from nbrun.core.approval import pending_approval
from nbrun.core.events import Event, TimestampedEvent
from nbrun.core.model import Operator
from nbrun.core.planner import step_label
from nbrun.core.state import RunState
from nbrun.views.text import identities, kernel_status, phrases, runbook_facts

Severity = Literal["detail", "info", "good", "notice", "warning", "error"]


@dataclass(frozen=True)
class EventSummary:
    """The meaning of one event to a reader.

    `kind`: one to three words, for the column of a table. `what`: a phrase without the person, the
    time and the reason. `who`: the person who did it, or None. `why`: a person's reason or a cause.
    `step`: the id of the step or inserted cell where it happened; "" for the run as a whole. For a
    decision, that is the step at which it was made. `at`: RFC 3339 UTC. `hints`: what the operator
    of a live run needs to know next. `diff`: a unified diff to show below it.
    """

    kind: str
    what: str
    who: Operator | None = None
    why: str = ""
    severity: Severity = "notice"
    step: str = ""
    at: str = ""
    hints: tuple[str, ...] = ()
    diff: str = ""


def describe(state: RunState, record: TimestampedEvent) -> EventSummary | None:
    """Return the summary of `record`, or None for events that only outputs and attempts show.

    `state` is the state after the event.
    """
    event = record.event
    for group in (_decision, _answer, _approval, _handover, _kernel, _run, _record):
        found = group(state, event)
        if found is not None:
            return replace(found, at=record.at, step=_step(state, event))
    return None


def who(summary: EventSummary) -> str:
    """Return the person's account name; with uid and terminal for people who come to the run.

    The operator's own uid and terminal stand in the header of every view.
    """
    if summary.who is None:
        return ""
    if summary.kind in _COMING_OR_GOING:
        return phrases.operator(summary.who)
    return summary.who.label


_COMING_OR_GOING = frozenset(
    {"approved", "rejected", "resumed", "attached", "detached", "handover"}
)


def who_and_what(summary: EventSummary) -> str:
    """Return `ada: retry step 3`, or the phrase alone if no person did it."""
    return f"{who(summary)}: {summary.what}" if summary.who else summary.what


def what_and_why(summary: EventSummary) -> str:
    """Return `retry step 3 (a person's reason)` or `the kernel died: a cause`."""
    if summary.who or summary.kind == "off script":
        return phrases.with_reason(summary.what, summary.why)
    return f"{summary.what}: {summary.why}" if summary.why else summary.what


def sentence(summary: EventSummary) -> str:
    """Return `ada: retry step 3 (the disk is free again)`: person, phrase and reason."""
    text = what_and_why(summary)
    return f"{who(summary)}: {text}" if summary.who else text


# ── the wording of each event ────────────────────────────────────────────────────────────────


def _decision(state: RunState, event: Event) -> EventSummary | None:
    match event:
        case ev.Stopped():
            where = phrases.step(state, event.step) if event.step else "the end"
            what = f"{where}: {phrases.stop_reason(state, event)}"
            return EventSummary("stop", what, why=event.detail)
        case ev.Decided(operator=operator):
            what = phrases.decision(state, event)
            return EventSummary("decision", what, operator, event.reason, "info")
        case ev.DecisionRefused(operator=operator):
            why = phrases.refusal(event)
            return EventSummary("refused", event.decision, operator, why)
        case ev.ConnectionRefused(operator=operator):
            what = f"process {operator.pid}, {operator.program or 'an unknown program'}"
            return EventSummary("refused", what, operator, phrases.refusal(event), "warning")
        case ev.Deviated():
            return EventSummary("off script", phrases.deviation(state, event), why=event.reason)
        case ev.NoteAdded(operator=operator):
            return EventSummary("note", event.text, operator, severity="info")
    return None


def _answer(state: RunState, event: Event) -> EventSummary | None:
    match event:
        case ev.InputAnswered(operator=operator):
            answer = "(a password, not recorded)" if event.answer is None else event.answer
            return EventSummary("answer", answer, operator, severity="detail")
        case ev.AttemptSettled(operator=operator):
            what = phrases.finding(state, event)
            return EventSummary("settled", what, operator, event.reason, "info")
    return None


def _approval(state: RunState, event: Event) -> EventSummary | None:
    match event:
        case ev.DecisionProposed(operator=operator):
            what, hints = phrases.decision(state, event), (phrases.approval_needed(state, event),)
            return EventSummary(
                "waits for approval", what, operator, event.reason, "warning", hints=hints
            )
        case ev.ApprovalGranted(operator=operator):
            what = phrases.approval_subject(state, event)
            return EventSummary(
                "approved", what, operator, event.reason, "good", hints=_approvals_so_far(state)
            )
        case ev.ApprovalExpired(approver=approver):
            what = f"the approval of {phrases.approval_subject(state, event)} by {approver.name}"
            return EventSummary(
                "expired",
                f"{what} has expired",
                severity="warning",
                hints=_approvals_so_far(state),
            )
        case ev.ApprovalRejected(operator=operator):
            what = phrases.approval_subject(state, event)
            return EventSummary("rejected", what, operator, event.reason, "error")
    return None


def _handover(_state: RunState, event: Event) -> EventSummary | None:
    match event:
        case ev.HandoverOffered(operator=operator):
            until = f" until {phrases.timestamp(event.until)}" if event.until else ""
            approved = ", as approved" if event.binding else ""
            what = f"offered the run to {event.to}{approved}: they accept it with nbrun attach"
            what += until
            return EventSummary("handover", what, operator, event.reason, "warning")
        case ev.HandoverAccepted(operator=operator):
            return EventSummary("handover", "operates the run from here on", operator)
        case ev.HandoverWithdrawn(operator=operator):
            return EventSummary("handover", "withdrew the offer", operator, event.reason)
    return None


def _approvals_so_far(state: RunState) -> tuple[str, ...]:
    """Return a hint with the approvals of what waits, if more are needed."""
    so_far = phrases.approvals_so_far(state, pending_approval(state))
    return (so_far,) if so_far else ()


def _kernel(state: RunState, event: Event) -> EventSummary | None:
    match event:
        case ev.KernelStarted(doubts=doubts) if doubts:
            what = "an ok from this kernel does not cover"
            return EventSummary("kernel", what, why="; ".join(doubts), severity="detail")
        case ev.KernelDied(may_run=True):
            what = "the kernel is out of reach"
            return EventSummary("kernel", what, why=event.why, severity="error")
        case ev.KernelDied():
            return EventSummary("kernel", "the kernel died", why=event.why, severity="error")
        case ev.KernelRestarted():
            what = f"a new kernel is ready (number {event.generation} of this run)"
            hints = (phrases.lost_variables(event),)
            return EventSummary("kernel", what, why=event.why, hints=hints)
        case ev.KernelReattached():
            return EventSummary("kernel", phrases.reattachment(event))
        case ev.KernelIdle() if event.told:
            return EventSummary("kernel", f"the kernel says: {event.told}", severity="info")
        case ev.KernelInterrupted():
            what = "killing the kernel" if event.kill else "interrupting the step"
            return EventSummary("kernel", what, why=event.why)
    return _role(event) or _gateway(event) or _kernel_status(state, event)


def _role(event: Event) -> EventSummary | None:
    match event:
        case ev.RoleRefreshed():
            return EventSummary("role", identities.refreshed(event), severity="detail")
        case ev.RoleNotRefreshed():
            what = identities.not_refreshed(event)
            return EventSummary("role", what, why=event.why, severity="warning")
    return None


def _gateway(event: Event) -> EventSummary | None:
    match event:
        case ev.KernelDisconnected():
            what = "the connection to the kernel is lost; nbrun connects again"
            return EventSummary("kernel", what, why=event.why, severity="warning")
        case ev.GatewayFailed():
            what = f"the gateway did not {event.action}"
            return EventSummary("kernel", what, why=event.why, severity="warning")
    return None


def _kernel_status(state: RunState, event: Event) -> EventSummary | None:
    fact, advice = kernel_status.fact(state, event), kernel_status.advice(event)
    if not fact:
        return None
    kinds = {ev.ProcessesLeft: "left running", ev.BackgroundEnded: "ended early"}
    kind = kinds.get(type(event), "kernel")
    severity: Severity = "warning" if kernel_status.needs_action(event) else "notice"
    return EventSummary(kind, fact, severity=severity, hints=(advice,) if advice else ())


def _run(state: RunState, event: Event) -> EventSummary | None:
    match event:
        case ev.AttemptIndeterminate():
            what = f"{phrases.step(state, event.step)}: {phrases.OUTCOMES['indeterminate']}"
            return EventSummary("indeterminate", what, why=event.why, severity="error")
        case ev.RunInterrupted():
            why = phrases.interruption(event)
            return EventSummary("interrupted", "the run was interrupted", None, why, "error")
        case ev.RunResumed(operator=operator):
            hints = (*identities.resumed(event), "looking for its kernel …")
            what = f"resumed on {event.host}"
            return EventSummary("resumed", what, operator, event.reason, "info", hints=hints)
        case ev.RunbookReplaced(operator=operator):
            what = "the run follows the new version of the runbook from here on"
            how = ", ".join(" ".join(runbook_facts.proof(each)) for each in event.proofs)
            what += f" ({how})" if how else ""
            return EventSummary("runbook", what, operator, diff=event.diff)
        case ev.OperatorAttached(operator=operator):
            return EventSummary("attached", "attached", operator, severity="detail")
        case ev.OperatorDetached(operator=operator):
            return EventSummary("detached", "detached", operator, event.why, "detail")
    return None


def _record(state: RunState, event: Event) -> EventSummary | None:
    match event:
        case ev.OutputCapped():
            where = f"{step_label(state, event.step)}, attempt {event.attempt}"
            return EventSummary("output", f"{where}: {phrases.capped_output(event)}")
        case ev.SealFailed():
            what = f"the record is not sealed up to line {event.upto + 1}"
            return EventSummary("record", what, why=event.why)
        case ev.IndexFailed():
            what = "the run is not in the index of runs"
            return EventSummary("record", what, why=event.why)
        case ev.ForwardingFailed():
            what = f"the record from line {event.since + 1} on waits to be sent to {event.target}"
            return EventSummary("record", what, why=event.why)
        case ev.TraceFailed():
            what = (
                f"the trace can't be sent to {event.target}"
                if event.target
                else "there is no trace"
            )
            return EventSummary("record", what, why=event.why)
        case ev.ForwardingResumed():
            what = f"the record up to line {event.upto + 1} has been sent to {event.target}"
            return EventSummary("record", what)
        case ev.NotificationSent():
            what = f"{event.target} was told of the {_OCCASIONS[event.on]}"
            return EventSummary("notified", what, severity="detail")
        case ev.NotificationFailed():
            what = f"{event.target} could not be told of the {_OCCASIONS[event.on]}"
            return EventSummary("not notified", what, why=event.why, severity="warning")
    return None


_OCCASIONS = {"stopped": "stop", "proposed": "proposal", "finished": "end"}


# ── where ────────────────────────────────────────────────────────────────────────────────────

_OF_THE_RUN = (
    ev.RunInterrupted,
    ev.RunResumed,
    ev.RunbookReplaced,
    ev.SealFailed,
    ev.IndexFailed,
    ev.ForwardingFailed,
    ev.TraceFailed,
    ev.ForwardingResumed,
)
_OF_ITS_STEP = (
    ev.Stopped,
    ev.Deviated,
    ev.AttemptIndeterminate,
    ev.AttemptSettled,
    ev.OutputCapped,
    ev.ProcessesLeft,
)


def _step(state: RunState, event: Event) -> str:
    if isinstance(event, _OF_THE_RUN):
        return ""
    if isinstance(event, _OF_ITS_STEP):
        return event.step or ""
    if state.stop is not None:
        return state.stop.step or ""
    last = state.attempt or state.last_attempt
    return last.step if last is not None else ""
