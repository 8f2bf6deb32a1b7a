"""What the runs of one runbook tell of it: where it fails, where operators leave it and why, and
what that says of how it should change. A fold over the records of many runs."""

from collections import Counter
from collections.abc import Callable, Iterable
from statistics import median

import msgspec

from nbrun.core import events as ev
from nbrun.core.events import Record
from nbrun.core.model import DeviationKind, Step

_OFTEN = 2  # runs that make a habit of what one run may do by accident


class DeviationInRun(msgspec.Struct, frozen=True, kw_only=True):
    """One way in which a run left the script. `by`: who decided it; `source`: what was run in
    place of the runbook's, or beside it, and empty where nothing was."""

    run: str
    at: str
    kind: DeviationKind
    by: str
    reason: str = ""
    diff: str = ""
    source: str = ""


class StepReview(msgspec.Struct, kw_only=True):
    """One step over all runs. Each count is of runs, but for `attempts`; `seconds` are those of
    each attempt that succeeded, `waited` those that operators took at its stops; `errors` how often
    each came. `cured`: runs in which it succeeded when it was only run again."""

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
        """The median of its seconds."""
        return median(self.seconds) if self.seconds else None

    def left(self, kind: DeviationKind) -> int:
        """The runs that left the script here in this way."""
        return len({each.run for each in self.departures if each.kind == kind})


class Review(msgspec.Struct, kw_only=True):
    """`outcomes`: how many runs ended so, those without an end as `unfinished`; `versions`: how
    many texts the runbook had; `steps` in the order of the newest run, then those it lacks."""

    runs: int = 0
    off_script: int = 0
    outcomes: dict[str, int] = {}
    versions: int = 0
    first: str = ""
    last: str = ""
    steps: list[StepReview] = []


def review_runs(runs: Iterable[Iterable[Record]]) -> Review:
    """The review of `runs`, each the records of one, newest first.

    Raises:
        DamagedJournalError: one can't be read.
    """
    reviewer = _Reviewer()
    for records in runs:
        reviewer.take(records)
    return reviewer.told()


def advice(step: StepReview) -> list[str]:
    """What its runs say of how the runbook should change: one rule a line."""
    rules = (
        (_same_edit(step), "{} runs made the same edit: take it into the runbook"),
        (step.cured, "{} runs had only to run it again: let it declare `retries`"),
        (step.left("skipped"), "{} runs passed over it: say when it is needed, or take it out"),
        (step.left("inserted"), "{} runs ran code of their own here: a step may be missing"),
        (step.left("reran"), "{} runs ran it again after it had succeeded: say when that is right"),
        (step.left("out_of_order"), "{} runs ran it before its turn: it may stand too late"),
        (step.left("kernel_restarted"), "{} runs lost or restarted the kernel here"),
    )
    return [told.format(count) for count, told in rules if count >= _OFTEN]


def _same_edit(step: StepReview) -> int:
    """The runs that made the edit which most runs made."""
    edits = {(each.run, each.source) for each in step.departures if each.kind == "edited"}
    most = Counter(source for _, source in edits).most_common(1)
    return most[0][1] if most else 0


class _Reviewer:
    def __init__(self) -> None:
        self._review = Review()
        self._steps: dict[str, StepReview] = {}
        self._outcomes: Counter[str] = Counter()
        self._versions: set[str] = set()

    def take(self, records: Iterable[Record]) -> None:
        run = _OneRun(self._step)
        for record in records:
            run.take(record)
        run.close()
        if run.started is None:
            return
        self._review.runs += 1
        self._review.off_script += run.left_script
        self._review.first = run.began
        self._review.last = self._review.last or run.began
        self._outcomes[run.outcome] += 1
        self._versions.add(run.started.runbook_sha256)

    def told(self) -> Review:
        made = self._review
        made.outcomes = dict(self._outcomes)
        made.versions = len(self._versions)
        made.steps = list(self._steps.values())
        return made

    def _step(self, step: Step) -> StepReview:
        """The review of it, which the newest run that has it begins."""
        fresh = StepReview(id=step.id, title=step.title, number=step.number)
        return self._steps.setdefault(step.id, fresh)


class _OneRun:
    """Tells one run to the reviews of its steps, which `find` gives."""

    def __init__(self, find: Callable[[Step], StepReview]) -> None:
        self._find = find
        self.started: ev.RunStarted | None = None
        self.began = ""
        self.outcome = "unfinished"
        self.left_script = False
        self._steps: dict[str, StepReview] = {}
        self._stop: tuple[str | None, float] = (None, 0.0)  # where, and since when
        self._by = ""
        self._last: ev.AttemptStarted | None = None
        self._ran: set[str] = set()
        self._failed: set[str] = set()
        self._cured: set[str] = set()

    def take(self, record: Record) -> None:
        match record.event:
            case ev.RunStarted() as event:
                self.started, self.began = event, record.at
                self._plan(event.steps)
            case ev.RunbookReplaced(steps=steps):
                self._plan(steps)
            case ev.Stopped(step=step):
                self._stop = step, record.mono
            case ev.Resumed():
                self._go_on(record.mono)
            case ev.Decided(operator=operator):
                self._by = operator.name
            case ev.AttemptStarted() as event:
                self._begin(event)
            case ev.AttemptFinished() as event:
                self._end(event)
            case ev.Deviated() as event:
                self._depart(event, record.at)
            case ev.RunFinished(outcome=outcome):
                self.outcome = outcome

    def close(self) -> None:
        for id_, step in self._steps.items():
            step.runs += id_ in self._ran
            step.failed += id_ in self._failed
            step.cured += id_ in self._cured

    def _plan(self, steps: tuple[Step, ...]) -> None:
        self._steps |= {step.id: self._find(step) for step in steps}

    def _go_on(self, mono: float) -> None:
        where, since = self._stop
        if where in self._steps:
            self._steps[where].waited += mono - since

    def _begin(self, event: ev.AttemptStarted) -> None:
        self._last = event
        self._ran.add(event.step)
        if event.step in self._steps:
            self._steps[event.step].attempts += 1

    def _end(self, event: ev.AttemptFinished) -> None:
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

    def _depart(self, event: ev.Deviated, at: str) -> None:
        """An inserted cell, and a new kernel, are told of the step that the run stood at."""
        self.left_script = True
        where = self._steps.get(event.step or "") or self._steps.get(self._stop[0] or "")
        if where is None or self.started is None:
            return
        where.departures.append(
            DeviationInRun(
                run=self.started.run,
                at=at,
                kind=event.kind,
                by=self._by,
                reason=event.reason,
                diff=event.diff,
                source=self._source(event),
            )
        )

    def _source(self, event: ev.Deviated) -> str:
        ran = self._last is not None and event.kind in ("edited", "inserted")
        return self._last.source if ran and self._last is not None else ""
