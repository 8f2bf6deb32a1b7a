"""Fold the records of a run into the spans of its trace. It does no I/O, and knows no library.

The run, each visit of a step, each attempt and each wait for a person is a span. Names and results
are those of OpenTelemetry's semantic conventions for CI/CD; what they do not know is `nbrun.…`.
Sources and outputs are in no span: the record has them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Literal

from nbrun.core import events as ev
from nbrun.core import trace_context
from nbrun.core.events import Record
from nbrun.core.model import Operator
from nbrun.core.reducer import apply
from nbrun.core.state import RunState, StepState

Value = str | int | float | bool
Result = Literal["success", "failure", "error", "timeout", "cancellation", "skip"]
_MAX_TEXT = 1000  # characters of an attribute

_RESULT_OF_RUN: Mapping[str, Result] = {
    "completed": "success",
    "cancelled": "cancellation",
    "failed": "failure",
}
_RESULT_OF_ATTEMPT: Mapping[str, Result] = {
    "ok": "success",
    "error": "failure",
    "timed_out": "timeout",
    "interrupted": "cancellation",
    "kernel_died": "error",
    "indeterminate": "error",
}


@dataclass(frozen=True)
class Fault:
    """Why a span did not succeed. `type` is the name of the error, `message` its text."""

    type: str
    message: str = ""


@dataclass(frozen=True)
class Span:
    """One span that has ended. `begin` and `end` are RFC 3339; `parent` is empty without one."""

    name: str
    trace_id: str
    span_id: str
    parent: str
    begin: str
    end: str
    attributes: Mapping[str, Value]
    fault: Fault | None = None
    is_root: bool = False


@dataclass
class _Open:
    """A span that goes on."""

    name: str
    span_id: str
    parent: str
    begin: str
    attributes: dict[str, Value] = field(default_factory=dict)
    is_root: bool = False


class TraceFold:
    """Take the records of a run in order, and return the spans that each of them ends.

    Only events that change the run's state matter (`reducer.changes_state`).
    """

    def __init__(self) -> None:
        self._state = RunState()
        self._run: _Open | None = None
        self._visit: _Open | None = None
        self._visited = ""  # the step of `_visit`
        self._visits: dict[str, int] = {}
        self._attempt: _Open | None = None
        self._wait: _Open | None = None
        self._input: _Open | None = None
        self._fault: Fault | None = None  # of the last attempt that did not succeed

    @property
    def open_spans(self) -> int:
        """The number of spans that have begun and not ended."""
        spans = (self._run, self._visit, self._attempt, self._wait, self._input)
        return sum(span is not None for span in spans)

    @property
    def host(self) -> str:
        """The machine that the run began on."""
        return self._state.plan.host

    def take(self, record: Record) -> list[Span]:
        """Apply a record, and return the spans that have ended with it."""
        apply(self._state, record.event)
        return list(self._take(record))

    def _take(self, record: Record) -> Iterator[Span]:
        match record.event:
            case ev.RunStarted() as event:
                self._begin_run(event, record)
            case ev.AttemptStarted() as event:
                yield from self._visit_step(self._step_of(event.step), record)
                self._begin_attempt(event, record)
            case ev.AttemptFinished() as event:
                yield from self._end_attempt(event.outcome, record, _facts(event), _fault_of(event))
            case ev.AttemptIndeterminate(why=why):
                fault = Fault("indeterminate", why)
                yield from self._end_attempt("indeterminate", record, {}, fault)
            case ev.InputRequested() as event:
                self._begin_input(event, record)
            case ev.InputAnswered(operator=operator):
                yield from self._end_input(record, _person(operator))
            case ev.Stopped() as event:
                yield from self._visit_step(event.step or "", record)
                self._begin_wait(event, record)
            case ev.Decided() as event if self._wait is not None:
                decided = {"nbrun.wait.decision": event.decision, **_person(event.operator)}
                self._wait.attributes |= decided
            case ev.ApprovalGranted(operator=operator) if self._wait is not None:
                self._wait.attributes["nbrun.wait.approved_by"] = operator.name
            case ev.Resumed() | ev.RunResumed() | ev.RunInterrupted():
                yield from self._end_wait(record)
            case ev.RunFinished() as event:
                yield from self._end_run(event, record)

    # ── the run ──────────────────────────────────────────────────────────────────────────────

    def _begin_run(self, event: ev.RunStarted, record: Record) -> None:
        parent = trace_context.parse(event.traceparent)
        name = pipeline_name(event)
        self._run = _Open(
            name=f"RUN {name}",
            span_id=trace_context.run_span(event.run),
            parent=parent.span_id if parent else "",
            begin=record.at,
            attributes={
                "cicd.pipeline.action.name": "RUN",
                "cicd.pipeline.name": name,
                "cicd.pipeline.run.id": event.run,
                "nbrun.runbook": event.runbook,
                "nbrun.runbook.sha256": event.runbook_sha256,
                **_given(
                    {
                        "vcs.ref.head.revision": event.git_commit or "",
                        "nbrun.reason": event.reason,
                        "nbrun.ticket": event.ticket,
                        "nbrun.role": event.role.name if event.role else "",
                    }
                ),
                **_person(event.operator),
            },
            is_root=True,
        )

    def _end_run(self, event: ev.RunFinished, record: Record) -> Iterator[Span]:
        yield from self._end_wait(record)
        yield from self._end_visit(record)
        if self._run is None:
            return
        result = _RESULT_OF_RUN[event.outcome]
        self._run.attributes |= {
            "cicd.pipeline.result": result,
            "nbrun.off_script": event.off_script,
            **{f"nbrun.count.{name}": number for name, number in event.counts.items()},
        }
        cause = self._fault.type if self._fault else "stopped"
        fault = Fault(cause, event.why) if result == "failure" else None
        run, self._run = self._run, None
        yield self._ended(run, record, fault)

    # ── steps ────────────────────────────────────────────────────────────────────────────────

    def _step_of(self, cell: str) -> str:
        """Return the step that a cell belongs to: its own, or that of its check or undo."""
        owner = self._state.owner_of(cell)
        return cell if owner is None else owner.step.id

    def _visit_step(self, step: str, record: Record) -> Iterator[Span]:
        """Begin the span of `step` unless the run is there already, and end that of another."""
        if step == self._visited and self._visit is not None:
            return
        yield from self._end_visit(record)
        if not step:
            return
        self._visited = step
        self._visits[step] = self._visits.get(step, 0) + 1
        known = self._state.steps.get(step)
        title = known.step.title if known else "inserted cell"
        attributes: dict[str, Value] = {
            "cicd.pipeline.task.name": _short(title),
            "cicd.pipeline.task.run.id": f"{step}/{self._visits[step]}",
            "nbrun.step.id": step,
        }
        if known is not None:
            attributes["nbrun.step.number"] = known.step.number
        span_id = trace_context.span_since(self._state.plan.run, record.seq, "step")
        self._visit = _Open(_short(title), span_id, self._run_id(), record.at, attributes)

    def _end_visit(self, record: Record) -> Iterator[Span]:
        visit, self._visit = self._visit, None
        if visit is None:
            return
        known = self._state.steps.get(self._visited)
        result = self._result_of(known)
        visit.attributes["cicd.pipeline.task.run.result"] = result
        if known is not None and known.already_done:
            visit.attributes["nbrun.step.already_done"] = True
        if known is not None and known.done:
            visit.attributes["nbrun.step.by_hand"] = True
        failed = result in ("failure", "error", "timeout")
        fault = (self._fault or Fault("stopped")) if failed else None
        yield self._ended(visit, record, fault)

    def _result_of(self, step: StepState | None) -> Result:
        """Return the result of a step that the run leaves; of an inserted cell without one."""
        if step is None:
            return "failure" if self._fault else "success"
        if step.skipped:
            return "skip"
        if step.passed:
            return "success"
        if step.outcome in (None, "ok"):  # left before it ran, or a check that does not hold
            ran = step.outcome is not None
            return "cancellation" if self._state.cancelled and not ran else "failure"
        return _RESULT_OF_ATTEMPT[step.outcome]

    # ── attempts ─────────────────────────────────────────────────────────────────────────────

    def _begin_attempt(self, event: ev.AttemptStarted, record: Record) -> None:
        self._fault = None
        known = self._state.steps.get(self._visited)
        task = _short(known.step.title) if known else "inserted cell"
        self._attempt = _Open(
            name="check" if event.cause == "check" else f"attempt {event.attempt}",
            span_id=trace_context.attempt_span(self._state.plan.run, event.step, event.attempt),
            parent=self._visit.span_id if self._visit else self._run_id(),
            begin=record.at,
            attributes={
                "cicd.pipeline.task.name": task,
                "nbrun.attempt.number": event.attempt,
                "nbrun.attempt.cause": event.cause,
                "nbrun.attempt.edited": event.edited,
            },
        )

    def _end_attempt(
        self, outcome: str, record: Record, facts: Mapping[str, Value], fault: Fault | None
    ) -> Iterator[Span]:
        yield from self._end_input(record, {})
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.attributes |= {"nbrun.attempt.outcome": outcome, **facts}
            self._fault = fault
            yield self._ended(attempt, record, fault)

    # ── waiting for a person ─────────────────────────────────────────────────────────────────

    def _begin_wait(self, event: ev.Stopped, record: Record) -> None:
        parent = self._visit.span_id if self._visit else self._run_id()
        span_id = trace_context.span_since(self._state.plan.run, record.seq, "wait")
        attributes: dict[str, Value] = {"nbrun.wait.reason": event.reason}
        self._wait = _Open(f"wait: {event.reason}", span_id, parent, record.at, attributes)

    def _end_wait(self, record: Record) -> Iterator[Span]:
        wait, self._wait = self._wait, None
        if wait is not None:
            yield self._ended(wait, record)

    def _begin_input(self, event: ev.InputRequested, record: Record) -> None:
        parent = self._attempt.span_id if self._attempt else self._run_id()
        span_id = trace_context.span_since(self._state.plan.run, record.seq, "input")
        attributes: dict[str, Value] = {
            "nbrun.wait.reason": "input",
            "nbrun.input.password": event.password,
        }
        self._input = _Open("wait: input", span_id, parent, record.at, attributes)

    def _end_input(self, record: Record, person: Mapping[str, Value]) -> Iterator[Span]:
        waiting, self._input = self._input, None
        if waiting is not None:
            waiting.attributes |= person
            yield self._ended(waiting, record)

    def _run_id(self) -> str:
        return trace_context.run_span(self._state.plan.run)

    def _ended(self, span: _Open, record: Record, fault: Fault | None = None) -> Span:
        plan = self._state.plan
        attributes = {
            name: _short(value) if isinstance(value, str) else value
            for name, value in span.attributes.items()
        }
        if fault is not None:
            attributes["error.type"] = _short(fault.type)
        return Span(
            name=_short(span.name),
            trace_id=trace_context.trace_of(plan.run, plan.traceparent),
            span_id=span.span_id,
            parent=span.parent,
            begin=span.begin,
            end=max(span.begin, record.at),  # a clock that was set back
            attributes=attributes,
            fault=fault and Fault(_short(fault.type), _short(fault.message)),
            is_root=span.is_root,
        )


def pipeline_name(event: ev.RunStarted) -> str:
    """Return the name of the runbook, which all its runs have in common."""
    return PurePath(event.runbook).stem


def _facts(event: ev.AttemptFinished) -> dict[str, Value]:
    """Return what the end of an attempt says besides its outcome."""
    facts: dict[str, Value] = {}
    if event.shell_exit is not None:
        facts["nbrun.attempt.shell_exit"] = event.shell_exit
    if event.holds is not None:
        facts["nbrun.check.holds"] = event.holds
    return facts


def _fault_of(event: ev.AttemptFinished) -> Fault | None:
    if event.outcome == "ok":
        return Fault("check", "the check does not hold") if event.holds is False else None
    return Fault(event.ename or event.outcome, event.evalue or "")


def _person(operator: Operator) -> dict[str, Value]:
    return {"user.id": str(operator.uid), "user.name": operator.name}


def _given(attributes: Mapping[str, str]) -> dict[str, Value]:
    """Return the attributes that are not empty."""
    return {name: value for name, value in attributes.items() if value}


def _short(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 1] + "…"
