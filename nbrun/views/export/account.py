"""A run as data for the report and the ticket: each step with its attempts, and the events between.

An account is a function of the journal's records alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from nbrun.core import events as ev
from nbrun.core.events import Record
from nbrun.core.model import Step
from nbrun.core.reducer import apply
from nbrun.core.state import RunState
from nbrun.journal.codec import GENESIS
from nbrun.views.export.outputs import Outputs
from nbrun.views.text import phrases
from nbrun.views.text.event_summary import EventSummary, describe


@dataclass
class AttemptAccount:
    """One attempt of a step.

    `start` and `end` are seconds since the run began; `end` is None if no end is recorded.
    `allowed`: it failed with an error that the runbook allows.
    `outputs` are nbformat outputs, as they are at the end of the run. `planned` is the runbook's
    own source at that time. `refutes`: a check that ends the wait for its step's effect without
    success. `after` holds the events of the step from the start of this attempt up
    to the next one.
    """

    started: ev.AttemptStarted
    at: str
    start: float
    planned: str
    outputs: list[dict[str, Any]] = field(default_factory=list)
    end: float | None = None
    finished: ev.AttemptFinished | None = None
    result: str = "no end is recorded"
    allowed: bool = False
    not_kept: str = ""
    refutes: bool = False
    deviations: list[ev.Deviated] = field(default_factory=list)
    after: list[EventSummary] = field(default_factory=list)

    @property
    def outcome(self) -> str:
        """An `Outcome`, or `indeterminate`."""
        return self.finished.outcome if self.finished else "indeterminate"


@dataclass
class StepAccount:
    """One step, or one check, undo or inserted cell (`step` is None), with all its attempts.

    `before` holds the events of the step before its first attempt. `done`: a person has done it.
    """

    id: str
    title: str
    step: Step | None
    attempts: list[AttemptAccount] = field(default_factory=list)
    why_not_run: str = ""
    done: bool = False
    before: list[EventSummary] = field(default_factory=list)


@dataclass(frozen=True)
class Wait:
    """A time in which the run waited for its operator, in seconds since the run began."""

    start: float
    end: float
    why: str


@dataclass
class RunAccount:
    """A run. `began`, `last`: when its first and last record were written, RFC 3339 UTC.

    `end`: the time of the last record, in seconds since the run began. `head`: the hash of the
    journal's last line.
    """

    state: RunState = field(default_factory=RunState)
    began: str = ""
    last: str = ""
    end: float = 0.0
    head: str = GENESIS
    sections: list[StepAccount] = field(default_factory=list)
    waits: list[Wait] = field(default_factory=list)
    events: list[EventSummary] = field(default_factory=list)

    @property
    def attempts(self) -> list[AttemptAccount]:
        """All attempts, in the order in which they began."""
        found = [attempt for section in self.sections for attempt in section.attempts]
        return sorted(found, key=lambda attempt: attempt.start)

    @property
    def waited(self) -> float:
        """Seconds in which the run waited for its operator."""
        return sum(wait.end - wait.start for wait in self.waits)


def account(records: Iterable[Record]) -> RunAccount:
    """Return the account of a run, which may still be going on.

    Raises:
        IllegalEventError: the records are not those of a run.
    """
    builder = _Builder()
    for record in records:
        builder.take(record)
    return builder.finish()


# Events that an attempt, or the stop that follows them, shows already.
_NOT_LISTED = (
    ev.AttemptIndeterminate,
    ev.KernelIdle,
    ev.OperatorAttached,
    ev.OperatorDetached,
    ev.OutputCapped,
)


class _Builder:
    def __init__(self) -> None:
        self._account = RunAccount()
        self._outputs = Outputs()
        self._sections: dict[str, StepAccount] = {}
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
                self._begin_attempt(event, record)
            case (
                ev.Output() | ev.OutputUpdated() | ev.OutputCleared() | ev.WidgetsChanged() as event
            ):
                self._outputs.take(event)
            case ev.OutputCapped() as event:
                self._attempt(event).not_kept = phrases.capped_output(event)
            case ev.AttemptFinished() as event:
                self._end_attempt(event, phrases.attempt_result(state, event), record.mono)
                checked = state.checked.get(event.step)
                if checked is not None and checked.failed and checked.refuted:
                    self._sections[event.step].attempts[-1].refutes = True
                attempt = self._sections[event.step].attempts[-1]
                attempt.allowed = phrases.is_allowed_error(state, event)
            case ev.AttemptIndeterminate() as event:
                self._end_attempt(
                    event, f"{phrases.OUTCOMES['indeterminate']}: {event.why}", record.mono
                )
            case ev.AttemptSettled() as event:
                finding = phrases.with_reason(phrases.finding(state, event), event.reason)
                self._attempt(event).result = f"{phrases.OUTCOMES['indeterminate']}; {finding}"
            case ev.Stopped() as event:
                self._stop = record.mono, phrases.stop_reason(state, event)
            case ev.Resumed() | ev.RunFinished():
                self._end_wait(record.mono)
        self._add_event(state, record)

    def finish(self) -> RunAccount:
        """Return the account. A stop that has not ended lasts until the last record."""
        made = self._account
        if self._last is not None:
            made.last, made.end = self._last.at, self._last.mono
            made.head = self._last.hash
        self._end_wait(made.end)
        for each in made.attempts:
            each.outputs = self._outputs.of(each.started.step, each.started.attempt)
        for step in phrases.never_run(made.state) if made.state.started else ():
            self._sections[step.step.id].why_not_run = phrases.why_not_run(made.state, step)
        for id_, known in made.state.steps.items():
            self._sections[id_].done = known.done
        return made

    def _begin(self, event: ev.RunStarted, at: str) -> None:
        self._account.began = at
        for step in event.steps:
            self._add_section(StepAccount(step.id, step.title, step))

    def _replan(self, steps: tuple[Step, ...]) -> None:
        """Put the steps into their new order; removed steps that have an attempt come last."""
        before = self._account.sections
        self._account.sections = []
        for step in steps:
            known = self._sections.get(step.id) or StepAccount(step.id, step.title, step)
            known.step, known.title = step, step.title
            self._add_section(known)
        removed = [each for each in before if each.attempts and each not in self._account.sections]
        self._account.sections += removed

    def _add_section(self, section: StepAccount) -> StepAccount:
        self._sections[section.id] = section
        self._account.sections.append(section)
        return section

    def _attempt(self, event: ev.OutputCapped | ev.AttemptSettled) -> AttemptAccount:
        return self._sections[event.step].attempts[event.attempt - 1]

    def _begin_attempt(self, event: ev.AttemptStarted, record: Record) -> None:
        section = self._sections.get(event.step)
        if section is None:
            title = phrases.step(self._account.state, event.step)
            section = self._add_section(StepAccount(event.step, title, None))
            self._move_to_its_step(section)
        known = self._account.state.steps.get(event.step)
        planned = known.step.source if known else event.source
        attempt = AttemptAccount(event, record.at, record.mono, planned)
        section.attempts.append(attempt)

    def _move_to_its_step(self, section: StepAccount) -> None:
        """Put a check or an undo below its step."""
        owner = self._account.state.owner_of(section.id)
        if owner is not None:
            sections = self._account.sections
            sections.remove(section)
            sections.insert(sections.index(self._sections[owner.step.id]) + 1, section)

    def _end_attempt(
        self, event: ev.AttemptFinished | ev.AttemptIndeterminate, result: str, mono: float
    ) -> None:
        attempt = self._sections[event.step].attempts[-1]
        attempt.end, attempt.result = mono, result
        if isinstance(event, ev.AttemptFinished):
            attempt.finished = event

    def _end_wait(self, mono: float) -> None:
        if self._stop is not None:
            start, why = self._stop
            self._account.waits.append(Wait(start, mono, why))
            self._stop = None

    def _add_event(self, state: RunState, record: Record) -> None:
        listed = not isinstance(record.event, _NOT_LISTED)
        summary = describe(state, record) if listed else None
        if summary is None:
            return
        self._account.events.append(summary)
        running = state.attempt
        if isinstance(record.event, ev.Deviated) and running and running.step == record.event.step:
            self._sections[running.step].attempts[-1].deviations.append(record.event)
        elif summary.step in self._sections:
            section = self._sections[summary.step]
            story = section.attempts[-1].after if section.attempts else section.before
            if isinstance(record.event, ev.Stopped):  # the section has the step's title already
                summary = replace(summary, what=phrases.stop_reason(state, record.event))
            story.append(summary)
