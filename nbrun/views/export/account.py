"""A run as an account of it: each step with its attempts, and what happened between them, in order.

What the reports are made from. A function of the journal's records alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from nbrun.core import events as ev
from nbrun.core.events import Record
from nbrun.core.model import Step
from nbrun.core.reducer import apply
from nbrun.core.state import RunState
from nbrun.journal.codec import GENESIS, digest, encode
from nbrun.views.export.outputs import Outputs
from nbrun.views.text import phrases
from nbrun.views.text.event_summary import EventSummary, describe


@dataclass
class Attempt:
    """One attempt: `start` and `end` in seconds since the run began, `end` None without an end.
    `outputs` as a notebook shows them. `after`: what happened in its step from its beginning on,
    up to the next attempt."""

    started: ev.AttemptStarted
    at: str
    start: float
    outputs: list[dict[str, Any]]
    planned: str  # the runbook's own source at that time
    end: float | None = None
    finished: ev.AttemptFinished | None = None
    told: str = "no end is recorded"
    not_kept: str = ""
    deviations: list[ev.Deviated] = field(default_factory=list)
    after: list[EventSummary] = field(default_factory=list)

    @property
    def outcome(self) -> str:
        return self.finished.outcome if self.finished else "indeterminate"


@dataclass
class Section:
    """One step, or one inserted cell (`step` None), with all its attempts. `before`: what happened
    in it before there was one."""

    id: str
    title: str
    step: Step | None
    attempts: list[Attempt] = field(default_factory=list)
    why_not_run: str = ""
    before: list[EventSummary] = field(default_factory=list)


@dataclass(frozen=True)
class Wait:
    """The run stood still from `start` to `end`, waiting for the operator."""

    start: float
    end: float
    why: str


@dataclass
class Account:
    """`head`: the hash of the journal's last line; `end`: its time in seconds."""

    state: RunState = field(default_factory=RunState)
    began: str = ""
    last: str = ""
    end: float = 0.0
    head: str = GENESIS
    sections: list[Section] = field(default_factory=list)
    waits: list[Wait] = field(default_factory=list)
    events: list[EventSummary] = field(default_factory=list)

    @property
    def attempts(self) -> list[Attempt]:
        """All of them, in the order they began."""
        found = [attempt for section in self.sections for attempt in section.attempts]
        return sorted(found, key=lambda attempt: attempt.start)

    @property
    def waited(self) -> float:
        """Seconds that the run waited for its operator."""
        return sum(wait.end - wait.start for wait in self.waits)


def account(records: Iterable[Record]) -> Account:
    """The account of a run that may still go on.

    Raises:
        IllegalEventError: the records are no run's.
    """
    teller = _Teller()
    for record in records:
        teller.take(record)
    return teller.told()


# The attempt itself, or the stop that follows, already says so.
_NOT_LISTED = (
    ev.AttemptIndeterminate,
    ev.KernelIdle,
    ev.OperatorAttached,
    ev.OperatorDetached,
    ev.OutputCapped,
)


class _Teller:
    def __init__(self) -> None:
        self._account = Account()
        self._outputs = Outputs()
        self._sections: dict[str, Section] = {}
        self._stop: tuple[float, str] | None = None
        self._last: Record | None = None

    def take(self, record: Record) -> None:
        state = apply(self._account.state, record.event)
        self._last = record
        match record.event:
            case ev.RunStarted() as event:
                self._begin(event, record.at)
            case ev.RunbookReplaced() as event:
                self._replan(event.steps)
            case ev.AttemptStarted() as event:
                self._attempt(event, record)
            case (
                ev.Output() | ev.OutputUpdated() | ev.OutputCleared() | ev.WidgetsChanged() as event
            ):
                self._outputs.take(event)
            case ev.OutputCapped() as event:
                self._sections[event.step].attempts[
                    event.attempt - 1
                ].not_kept = phrases.capped_output(event)
            case ev.AttemptFinished() as event:
                self._end(event, phrases.attempt_result(state, event), record.mono)
            case ev.AttemptIndeterminate() as event:
                self._end(event, f"{phrases.OUTCOMES['indeterminate']}: {event.why}", record.mono)
            case ev.AttemptSettled() as event:
                self._sections[event.step].attempts[event.attempt - 1].told = (
                    f"{phrases.OUTCOMES['indeterminate']}; "
                    + phrases.with_reason(phrases.finding(state, event), event.reason)
                )
            case ev.Stopped() as event:
                self._stop = record.mono, phrases.stop_reason(state, event)
            case ev.Resumed() | ev.RunFinished():
                self._go_on(record.mono)
        self._tell(state, record)

    def told(self) -> Account:
        """A stop without an end lasts till the last record."""
        made = self._account
        if self._last is not None:
            made.last, made.end = self._last.at, self._last.mono
            made.head = digest(encode(self._last))
        self._go_on(made.end)
        for step in phrases.never_run(made.state) if made.state.started else ():
            self._sections[step.step.id].why_not_run = phrases.why_not_run(made.state, step)
        return made

    def _begin(self, event: ev.RunStarted, at: str) -> None:
        self._account.began = at
        for step in event.steps:
            self._section(Section(step.id, step.title, step))

    def _replan(self, steps: tuple[Step, ...]) -> None:
        """The steps in their new order, then what has an attempt and is no step any more."""
        before = self._account.sections
        self._account.sections = []
        for step in steps:
            known = self._sections.get(step.id) or Section(step.id, step.title, step)
            known.step, known.title = step, step.title
            self._section(known)
        left = [each for each in before if each.attempts and each not in self._account.sections]
        self._account.sections += left

    def _section(self, section: Section) -> Section:
        self._sections[section.id] = section
        self._account.sections.append(section)
        return section

    def _attempt(self, event: ev.AttemptStarted, record: Record) -> None:
        section = self._sections.get(event.step)
        if section is None:
            title = phrases.step(self._account.state, event.step)
            section = self._section(Section(event.step, title, None))
        outputs = self._outputs.of(event.step, event.attempt)
        known = self._account.state.steps.get(event.step)
        planned = known.step.source if known else event.source
        attempt = Attempt(event, record.at, record.mono, outputs, planned)
        section.attempts.append(attempt)

    def _end(
        self, event: ev.AttemptFinished | ev.AttemptIndeterminate, told: str, mono: float
    ) -> None:
        attempt = self._sections[event.step].attempts[-1]
        attempt.end, attempt.told = mono, told
        if isinstance(event, ev.AttemptFinished):
            attempt.finished = event

    def _go_on(self, mono: float) -> None:
        if self._stop is not None:
            start, why = self._stop
            self._account.waits.append(Wait(start, mono, why))
            self._stop = None

    def _tell(self, state: RunState, record: Record) -> None:
        told = None if isinstance(record.event, _NOT_LISTED) else describe(state, record)
        if told is not None:
            self._account.events.append(told)
        running = state.attempt
        if isinstance(record.event, ev.Deviated) and running and running.step == record.event.step:
            self._sections[running.step].attempts[-1].deviations.append(record.event)
        elif told is not None and told.step in self._sections:
            section = self._sections[told.step]
            (section.attempts[-1].after if section.attempts else section.before).append(told)
