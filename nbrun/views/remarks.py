"""The lines in which events that print nothing themselves are told on a terminal, styled."""

from rich.text import Text

from nbrun import events as ev
from nbrun.state import RunState
from nbrun.views import acting, kernel_words, wording
from nbrun.views.ansi import plain

Lines = list[tuple[str, str]]


def line(text: str, style: str = "") -> Text:
    """A line of nbrun's own; what it quotes takes no effect."""
    return Text(plain(text), style=style)


def lines(state: RunState, event: ev.Event, at: str) -> Lines:
    """What is said of `event`, with the state that it led to; nothing for most."""
    when = wording.clock(at)
    match event:
        case ev.Decided():
            told = wording.decision(state, event)
            return [(f"{when} {event.operator.name}: {told}", "cyan")]
        case ev.DecisionRefused():
            return [(f"refused: {event.why}", "yellow")]
        case ev.Deviated():
            return [(f"off script: {wording.deviation(state, event)}", "yellow")]
        case ev.NoteAdded():
            return [(f"{when} note by {event.operator.name}: {event.text}", "cyan")]
        case ev.InputAnswered():
            answer = "(a password, not recorded)" if event.answer is None else event.answer
            return [(f"answered: {answer}", "dim")]
        case ev.AttemptSettled():
            told = wording.settled(state, event)
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
            told = wording.decision(state, event)
            return [
                (f"{when} {event.operator.name} wants to: {told}", "cyan"),
                (wording.waits(state, event), "bold yellow"),
            ]
        case ev.ApprovalGranted():
            return [(f"{when} {wording.judged(state, event, 'approved')}", "green")]
        case ev.ApprovalRejected():
            return [(f"{when} {wording.judged(state, event, 'rejected')}", "bold red")]
    return []


def _of_kernel(state: RunState, event: ev.Event) -> Lines:
    match event:
        case ev.KernelRestarted():
            told = f"a new kernel is ready (number {state.generation} of this run)"
            return [(told, "yellow"), (wording.lost(event), "yellow")]
        case ev.KernelReattached():
            return [(wording.reattached(event), "yellow")]
        case ev.KernelInterrupted():
            what = "killing the kernel" if event.kill else "interrupting the step"
            return [(f"{what}: {event.why}", "yellow")]
        case ev.RoleRefreshed():
            return [(acting.refreshed(event), "dim")]
        case ev.RoleNotRefreshed():
            return [(acting.not_refreshed(event), "bold yellow")]
    fact, advice = kernel_words.fact(state, event), kernel_words.advice(event)
    return [(f"{fact}: {advice}" if advice else fact, _style(event))] if fact else []


def _style(event: ev.Event) -> str:
    """What needs no act is not bold."""
    match event:
        case ev.KernelContinued() | ev.KernelResponded():
            return "yellow"
        case ev.KernelUnresponsive() if kernel_words.is_at_work(event):
            return "yellow"
    return "bold yellow"


def _of_process(event: ev.Event, at: str) -> Lines:
    when = wording.clock(at)
    match event:
        case ev.RunInterrupted():
            return [(f"{when} the run was interrupted: {wording.interrupted(event)}", "bold red")]
        case ev.RunResumed():
            why = f": {event.reason}" if event.reason else ""
            who = wording.operator(event.operator)
            told = f"{wording.moment(at)} resumed by {who} on {event.host}{why}"
            acts = acting.resumed(event)
            as_whom = [(f"its role was taken again: {acts}", "cyan")] if acts else []
            return [(told, "cyan"), *as_whom, ("looking for its kernel …", "dim")]
        case ev.OperatorAttached():
            return [(f"{when} {wording.operator(event.operator)} attached", "dim")]
        case ev.OperatorDetached():
            who = wording.operator(event.operator)
            return [(f"{when} {who} detached: {event.why}", "dim")]
    return []


def _of_record(event: ev.Event) -> Lines:
    match event:
        case ev.SealFailed():
            return [(wording.unsealed(event), "yellow")]
        case ev.ForwardingFailed():
            return [(wording.unforwarded(event), "yellow")]
        case ev.ForwardingResumed():
            return [(wording.forwarded(event), "yellow")]
    return []
