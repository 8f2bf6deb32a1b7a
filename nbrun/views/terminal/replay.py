"""Replay of a journal on a view, and the table of what was done in a run."""

from collections.abc import Iterable
from typing import Protocol

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from nbrun.core import events as ev
from nbrun.core.events import Record
from nbrun.core.reducer import apply
from nbrun.core.state import RunState
from nbrun.errors import NbrunError
from nbrun.views.text import event_summary, phrases
from nbrun.views.text.event_summary import describe
from nbrun.views.text.sanitize import plain

_BATCH = 500  # records printed in one write


class RecordView(Protocol):
    """A view that shows records, such as `TerminalView`."""

    def show(self, state: RunState, record: Record) -> None: ...
    def flush(self) -> None: ...
    def tick(self) -> None: ...
    def close(self) -> None: ...


def replay(
    records: Iterable[Record], view: RecordView, *, step: str | None = None, each: bool = False
) -> RunState:
    """Show `records`, or only those about `step`, and return the state after them.

    `each`: print each record before the next one is taken. Else many are printed in one write,
    which is much faster. If `records` raises an error, the records before it are shown.

    Raises:
        NbrunError: `records` raised it.
        IllegalEventError: the records are not those of a run.
    """
    state = RunState()
    try:
        for number, record in enumerate(records, 1):
            apply(state, record.event)
            if step is None or _is_about(state, record, step):
                view.show(state, record)
            if each or number % _BATCH == 0:
                view.flush()
    except NbrunError:
        view.close()
        raise
    view.close()
    return state


def _is_about(state: RunState, record: Record, step: str) -> bool:
    match record.event:
        case ev.KernelStarted():  # the view needs its language
            return True
        case ev.Decided(step=None) | ev.DecisionRefused():
            return state.stop is not None and state.stop.step == step
    of = getattr(record.event, "step", None)
    owner = state.owner_of(of) if isinstance(of, str) else None
    return of == step or (owner is not None and owner.step.id == step)


def steps_table(records: Iterable[Record]) -> RenderableType:
    """Return a table with a row for each attempt, decision, deviation and note, in order."""
    table = Table(box=None, pad_edge=False)
    for heading in ("time", "step", "attempt", "outcome", "what"):
        table.add_column(heading, overflow="fold")
    state = RunState()
    for record in records:
        apply(state, record.event)
        row = _row(state, record)
        if row is not None:
            table.add_row(phrases.time_of_day(record.at), *(Text(plain(cell)) for cell in row))
    if state.attempt is not None:
        where = *_where(state, state.attempt.step), str(state.attempt.attempt)
        table.add_row(
            "", *map(Text, where), Text("no end"), Text("started, and no end is recorded")
        )
    for step in phrases.never_run(state):
        why = phrases.why_not_run(state, step)
        table.add_row("", Text(str(step.step.number)), "", Text(why), Text(plain(step.step.title)))
    return table


# The rows of the table, besides those of attempts.
_IN_TABLE = (
    ev.Decided,
    ev.Deviated,
    ev.NoteAdded,
    ev.KernelDied,
    ev.KernelDisconnected,
    ev.GatewayFailed,
    ev.KernelSuspended,
    ev.KernelContinued,
    ev.KernelUnresponsive,
    ev.KernelResponded,
    ev.InterruptUnheeded,
    ev.ProcessesLeft,
    ev.BackgroundEnded,
    ev.RoleNotRefreshed,
    ev.OutputCapped,
    ev.AttemptIndeterminate,
    ev.AttemptSettled,
    ev.RunInterrupted,
    ev.RunResumed,
)


def _row(state: RunState, record: Record) -> tuple[str, str, str, str] | None:
    match record.event:
        case ev.AttemptFinished() as event:
            return (*_where(state, event.step), str(event.attempt), *_outcome(state, event))
        case ev.RunFinished() as event:
            return ("", "", phrases.run_outcome(event), event.why)
    summary = describe(state, record) if isinstance(record.event, _IN_TABLE) else None
    return ("", "", summary.kind, event_summary.sentence(summary)) if summary else None


def _where(state: RunState, step: str) -> tuple[str]:
    known = state.steps.get(step)
    if known is not None:
        return (str(known.step.number),)
    owner, kind = state.owner_of(step), "check" if step in state.checked else "undo"
    return (f"{owner.step.number} {kind}" if owner else step,)


def _outcome(state: RunState, event: ev.AttemptFinished) -> tuple[str, str]:
    head, _, rest = phrases.attempt_result(state, event).partition(" · ")
    known = state.steps.get(event.step) or state.owner_of(event.step)
    return head, f"{known.step.title} · {rest}" if known else rest
