"""The lines in which events that print nothing themselves are told on a terminal, styled."""

from rich.text import Text

from nbrun.core import events as ev
from nbrun.core.state import RunState
from nbrun.views.text import identities, kernel_status, phrases
from nbrun.views.text.sanitize import plain

Lines = list[tuple[str, str]]


def line(text: str, style: str = "") -> Text:
    """A line of nbrun's own; what it quotes takes no effect."""
    return Text(plain(text), style=style)


def lines(state: RunState, event: ev.Event, at: str) -> Lines:
    """What is said of `event`, with the state that it led to; nothing for most."""
    when = phrases.clock(at)
    match event:
        case ev.Decided():
            told = phrases.decision(state, event)
            return [(f"{when} {event.operator.name}: {told}", "cyan")]
        case ev.DecisionRefused():
            return [(f"refused: {event.why}", "yellow")]
        case ev.Deviated():
            return [(f"off script: {phrases.deviation(state, event)}", "yellow")]
        case ev.NoteAdded():
            return [(f"{when} note by {event.operator.name}: {event.text}", "cyan")]
        case ev.InputAnswered():
            answer = "(a password, not recorded)" if event.answer is None else event.answer
            return [(f"answered: {answer}", "dim")]
        case ev.AttemptSettled():
            told = phrases.settled(state, event)
            return [(f"{when} {event.operator.name}: {told}", "cyan")]
    return (
        _of_approval(state, event, when)
        or _of_kernel(state, event)
        or _of_process(event, at)
        or _of_record(event)
    )


def _of_approval(state: RunState, event: ev.Event, when: str) -> Lines:
    match event:
        case ev.DecisionProposed():
            told = phrases.decision(state, event)
            return [
                (f"{when} {event.operator.name} wants to: {told}", "cyan"),
                (phrases.waits(state, event), "bold yellow"),
            ]
        case ev.ApprovalGranted():
            return [(f"{when} {phrases.judged(state, event, 'approved')}", "green")]
        case ev.ApprovalRejected():
            return [(f"{when} {phrases.judged(state, event, 'rejected')}", "bold red")]
    return []


def _of_kernel(state: RunState, event: ev.Event) -> Lines:
    match event:
        case ev.KernelRestarted():
            told = f"a new kernel is ready (number {state.generation} of this run)"
            return [(told, "yellow"), (phrases.lost(event), "yellow")]
        case ev.KernelReattached():
            return [(phrases.reattached(event), "yellow")]
        case ev.KernelInterrupted():
            what = "killing the kernel" if event.kill else "interrupting the step"
            return [(f"{what}: {event.why}", "yellow")]
        case ev.RoleRefreshed():
            return [(identities.refreshed(event), "dim")]
        case ev.RoleNotRefreshed():
            return [(identities.not_refreshed(event), "bold yellow")]
    fact, advice = kernel_status.fact(state, event), kernel_status.advice(event)
    return [(f"{fact}: {advice}" if advice else fact, _style(event))] if fact else []


def _style(event: ev.Event) -> str:
    """What needs no act is not bold."""
    match event:
        case ev.KernelContinued() | ev.KernelResponded():
            return "yellow"
        case ev.KernelUnresponsive() if kernel_status.is_at_work(event):
            return "yellow"
    return "bold yellow"


def _of_process(event: ev.Event, at: str) -> Lines:
    when = phrases.clock(at)
    match event:
        case ev.RunInterrupted():
            return [(f"{when} the run was interrupted: {phrases.interrupted(event)}", "bold red")]
        case ev.RunResumed():
            why = f": {event.reason}" if event.reason else ""
            who = phrases.operator(event.operator)
            told = f"{phrases.moment(at)} resumed by {who} on {event.host}{why}"
            acts = identities.resumed(event)
            as_whom = [(f"its role was taken again: {acts}", "cyan")] if acts else []
            return [(told, "cyan"), *as_whom, ("looking for its kernel …", "dim")]
        case ev.OperatorAttached():
            return [(f"{when} {phrases.operator(event.operator)} attached", "dim")]
        case ev.OperatorDetached():
            who = phrases.operator(event.operator)
            return [(f"{when} {who} detached: {event.why}", "dim")]
    return []


def _of_record(event: ev.Event) -> Lines:
    match event:
        case ev.SealFailed():
            return [(phrases.unsealed(event), "yellow")]
        case ev.ForwardingFailed():
            return [(phrases.unforwarded(event), "yellow")]
        case ev.ForwardingResumed():
            return [(phrases.forwarded(event), "yellow")]
    return []
