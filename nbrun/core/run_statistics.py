"""Statistics over many runs of one runbook: where it fails, and where and why operators deviate.

`advice` derives from them how the runbook should change. Shown by `nbrun review`, whose `--json`
prints these structs: their field names are part of its interface.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from statistics import median

import msgspec

from nbrun.core import events as ev
from nbrun.core.events import Record
from nbrun.core.model import DeviationKind, Step

_OFTEN = 2  # runs that make a habit of what one run may do by accident


class DeviationInRun(msgspec.Struct, frozen=True, kw_only=True):
    """One deviation in one run.

    `by` is who decided it. `source` is the edited or inserted code that ran; empty for other kinds.
    """

    run: str
    at: str
    kind: DeviationKind
    by: str
    reason: str = ""
    diff: str = ""
    source: str = ""


class StepReview(msgspec.Struct, kw_only=True):
    """One step over all runs.

    - `runs`, `failed`, `cured`: counts of runs. `cured` counts those in which the step succeeded
      after it was only run again.
    - `attempts`: attempts in all runs.
    - `seconds`: the duration of each successful attempt.
    - `waited`: seconds that operators spent at its stops.
    - `errors`: how often each exception name or outcome occurred.
    """

    id: str
    title: str
    number: int
    runs: int = 0
    attempts: int = 0
    failed: int = 0
    cured: int = 0
    seconds: list[float] = []
    waited: float = 0.0
    errors: dict[str, int] = {}
    departures: list[DeviationInRun] = []

    @property
    def usual(self) -> float | None:
        """Return the median duration in seconds; None without a successful attempt."""
        return median(self.seconds) if self.seconds else None

    def left(self, kind: DeviationKind) -> int:
        """Return the number of runs that deviated here in this way."""
        return len({each.run for each in self.departures if each.kind == kind})


class Review(msgspec.Struct, kw_only=True):
    """All runs of one runbook.

    - `outcomes`: number of runs by outcome, `unfinished` for runs without an end.
    - `versions`: number of different texts that the runbook had.
    - `steps`: in the order of the newest run, then those that it lacks.
    """

    runs: int = 0
    off_script: int = 0
    outcomes: dict[str, int] = {}
    versions: int = 0
    first: str = ""
    last: str = ""
    steps: list[StepReview] = []


def review_runs(runs: Iterable[Iterable[Record]]) -> Review:
    """Return the review of `runs`, newest first; each item holds the records of one run.

    Raises:
        DamagedJournalError: a journal can't be read.
    """
    reviewer = _Collector()
    for records in runs:
        reviewer.add(records)
    return reviewer.result()


def advice(step: StepReview) -> list[str]:
    """Return what its runs suggest about a step: one rule a line."""
    rules = (
        (_same_edit(step), "{} runs made the same edit: take it into the runbook"),
        (step.cured, "{} runs had only to run it again: let it declare `retries`"),
        (step.left("skipped"), "{} runs passed over it: say when it is needed, or take it out"),
        (step.left("inserted"), "{} runs ran code of their own here: a step may be missing"),
        (step.left("reran"), "{} runs ran it again after it had succeeded: say when that is right"),
        (step.left("by_hand"), "{} runs did it by hand: mend its code, or tag it manual"),
        (step.left("undone"), "{} runs undid it: ask beforehand what made them"),
        (step.left("out_of_order"), "{} runs ran it before its turn: it may stand too late"),
        (step.left("kernel_restarted"), "{} runs lost or restarted the kernel here"),
    )
    return [text.format(count) for count, text in rules if count >= _OFTEN]


def _same_edit(step: StepReview) -> int:
    """Return how many runs made the most common edit of the step."""
    edits = {(each.run, each.source) for each in step.departures if each.kind == "edited"}
    most = Counter(source for _, source in edits).most_common(1)
    return most[0][1] if most else 0


class _Collector:
    """Collects the statistics of all runs."""

    def __init__(self) -> None:
        self._review = Review()
        self._steps: dict[str, StepReview] = {}
        self._outcomes: Counter[str] = Counter()
        self._versions: set[str] = set()

    def add(self, records: Iterable[Record]) -> None:
        run = _RunCollector(self._find_step)
        for record in records:
            run.add(record)
        run.add_run_counts()
        if run.started is None:
            return
        self._review.runs += 1
        self._review.off_script += run.off_script
        self._review.first = run.began
        self._review.last = self._review.last or run.began
        self._outcomes[run.outcome] += 1
        self._versions.add(run.started.runbook_sha256)

    def result(self) -> Review:
        result = self._review
        result.outcomes = dict(self._outcomes)
        result.versions = len(self._versions)
        result.steps = list(self._steps.values())
        return result

    def _find_step(self, step: Step) -> StepReview:
        """The review of it, which the newest run that has it begins."""
        new = StepReview(id=step.id, title=step.title, number=step.number)
        return self._steps.setdefault(step.id, new)


class _RunCollector:
    """Adds one run to the reviews of its steps, which `find_step` returns."""

    def __init__(self, find_step: Callable[[Step], StepReview]) -> None:
        self._find_step = find_step
        self.started: ev.RunStarted | None = None
        self.began = ""
        self.outcome = "unfinished"
        self.off_script = False
        self._steps: dict[str, StepReview] = {}
        self._stop: tuple[str | None, float] = (None, 0.0)  # the step and its `mono`
        self._decided_by = ""
        self._last: ev.AttemptStarted | None = None
        self._steps_run: set[str] = set()
        self._failed: set[str] = set()
        self._cured: set[str] = set()

    def add(self, record: Record) -> None:
        match record.event:
            case ev.RunStarted() as event:
                self.started, self.began = event, record.at
                self._add_steps(event.steps)
            case ev.RunbookReplaced(steps=steps):
                self._add_steps(steps)
            case ev.Stopped(step=step):
                self._stop = step, record.mono
            case ev.Resumed():
                self._end_stop(record.mono)
            case ev.Decided(operator=operator):
                self._decided_by = operator.label
            case ev.AttemptStarted() as event if event.cause not in ("check", "undo"):
                self._start_attempt(event)
            case ev.AttemptFinished() as event if event.holds is None:
                self._end_attempt(event)
            case ev.Deviated() as event:
                self._add_deviation(event, record.at)
            case ev.RunFinished(outcome=outcome):
                self.outcome = outcome

    def add_run_counts(self) -> None:
        for id_, step in self._steps.items():
            step.runs += id_ in self._steps_run
            step.failed += id_ in self._failed
            step.cured += id_ in self._cured

    def _add_steps(self, steps: tuple[Step, ...]) -> None:
        self._steps |= {step.id: self._find_step(step) for step in steps}

    def _end_stop(self, mono: float) -> None:
        step, since = self._stop
        if step in self._steps:
            self._steps[step].waited += mono - since

    def _start_attempt(self, event: ev.AttemptStarted) -> None:
        self._last = event
        self._steps_run.add(event.step)
        if event.step in self._steps:
            self._steps[event.step].attempts += 1

    def _end_attempt(self, event: ev.AttemptFinished) -> None:
        step = self._steps.get(event.step)
        if step is None or self._last is None:
            return
        if event.outcome != "ok":
            self._failed.add(event.step)
            what = event.ename or event.outcome
            step.errors[what] = step.errors.get(what, 0) + 1
            return
        step.seconds.append(event.duration)
        if event.step in self._failed and not self._last.edited:
            self._cured.add(event.step)

    def _add_deviation(self, event: ev.Deviated, at: str) -> None:
        """Count an inserted cell or a new kernel for the step that the run had stopped at."""
        self.off_script = True
        step = self._steps.get(event.step or "") or self._steps.get(self._stop[0] or "")
        if step is None or self.started is None:
            return
        step.departures.append(
            DeviationInRun(
                run=self.started.run,
                at=at,
                kind=event.kind,
                by=self._decided_by,
                reason=event.reason,
                diff=event.diff,
                source=self._source(event),
            )
        )

    def _source(self, event: ev.Deviated) -> str:
        ran = self._last is not None and event.kind in ("edited", "inserted")
        return self._last.source if ran and self._last is not None else ""
