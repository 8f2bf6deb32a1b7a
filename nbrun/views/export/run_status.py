"""The status of a run, as data for programs: the step, what broke, and what may be decided.

Text that a cell wrote is shown as far as a person needs it for a decision. It was redacted when it
was recorded.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec

from nbrun.core import events as ev
from nbrun.core.approval import PendingApproval, pending_approval
from nbrun.core.choices.options import Option, options
from nbrun.core.events import Record
from nbrun.core.planner import step_label
from nbrun.core.reducer import apply_record
from nbrun.core.state import Phase, RunState, StepState
from nbrun.views.export.output_text import output_text
from nbrun.views.export.outputs import Outputs
from nbrun.views.text import phrases, waiting
from nbrun.views.text.sanitize import visible

LONGEST_OUTPUT = 4_000  # characters of what the failed attempt printed, from its end

RunPhase = Literal["running", "waiting", "interrupted", "ended", "never began", "unreadable"]


class _Part(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a status. All texts are plain: they hold no control characters but newlines."""


class StepStatus(_Part, frozen=True, kw_only=True):
    """The step that the run is about. `number` counts from 1, up to `of`."""

    number: int
    of: int
    id: str
    title: str
    impact: str | None
    attempts: int
    outcome: str | None


class Failure(_Part, frozen=True, kw_only=True):
    """A failure. `printed` is the end of what the attempt printed; `cut`: there was more."""

    step: str
    attempt: int
    how: str
    printed: str
    cut: bool


class Waiting(_Part, frozen=True, kw_only=True):
    """The thing that the run waits for.

    `reason` is a `StopReason`, or `input`. `why` says the same in words, `since` when it began, RFC
    3339 UTC. `whom`: who has to act. `prompt` is the text of a cell that asks for input.
    """

    reason: str
    why: str
    since: str
    whom: str
    prompt: str = ""
    password: bool = False


class Proposal(_Part, frozen=True, kw_only=True):
    """A decision, or a step, that waits for an approval. `by` is empty for the step itself.

    `allows`: in words, what an approval of a handover allows.
    """

    decision: str
    step: str | None
    by: str
    reason: str
    group: str
    binding: str
    allows: str = ""


class OptionStatus(_Part, frozen=True, kw_only=True):
    """One decision, and what it would lead to and need.

    - `possible`: it is allowed here; else `why_not` says why not.
    - `off_script`: how it would leave the script.
    - `reason`: a reason is required; `typed`: the text to type; `question`: the question to answer.
    - `approval`: who has to approve it; empty for nobody.
    - `program`: `decides` or `proposes`: what becomes of it from a program; else empty, and
      `program_why_not` says why.
    """

    decision: str
    step: str | None
    possible: bool
    why_not: str = ""
    off_script: tuple[str, ...] = ()
    reason: bool = False
    typed: str = ""
    question: str = ""
    approval: str = ""
    program: str = ""
    program_why_not: str = ""


class RunStatus(_Part, frozen=True, kw_only=True):
    """The status of a run. `seq` is the number that `nbrun decide --expect-seq` takes.

    `detail` says what to do about a run that is interrupted or can't be read, and why a run ended.
    """

    run: str
    phase: RunPhase
    detail: str = ""
    seq: int = -1
    runbook: str = ""
    step: StepStatus | None = None
    waiting: Waiting | None = None
    failure: Failure | None = None
    proposal: Proposal | None = None
    off_script: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()
    outcome: str = ""
    decisions: tuple[OptionStatus, ...] = ()


class StatusFold:
    """Fold the records of a run. `state` and `status` are as of the last record so far."""

    def __init__(self) -> None:
        self.state = RunState()
        self._outputs = Outputs()
        self._failed: ev.AttemptFinished | ev.AttemptIndeterminate | None = None
        self._since = ""

    def add(self, record: Record) -> None:
        apply_record(self.state, record)
        match record.event:
            case ev.AttemptStarted():
                self._outputs, self._failed = Outputs(), None  # of the last attempt alone
            case ev.Output() | ev.OutputUpdated() | ev.OutputCleared() | ev.WidgetsChanged():
                self._outputs.take(record.event)
            case ev.AttemptFinished(outcome=outcome) if outcome != "ok":
                self._failed = record.event
            case ev.AttemptIndeterminate():
                self._failed = record.event
            case ev.Stopped() | ev.InputRequested():
                self._since = record.at

    def status(self, *, alive: bool, step: str | None = None) -> RunStatus:
        """Return the status. `alive`: a supervisor hosts the run. `step`: the step to decide about.

        The options of a decision that names a step are about `step`, an id, if it is given.
        """
        state = self.state
        if state.started is None:
            return RunStatus(run="", phase="never began")
        return RunStatus(
            run=state.plan.run,
            phase=_phase(state, alive=alive),
            detail=_detail(state, alive=alive),
            seq=state.seq,
            runbook=state.plan.runbook,
            step=_step(state),
            waiting=self._waiting() if alive else None,
            failure=self._failure(),
            proposal=_proposal(state),
            off_script=tuple(
                phrases.deviation_and_reason(state, each) for each in state.deviations
            ),
            operators=tuple(map(phrases.operator, state.operators)) if alive else (),
            outcome=phrases.run_outcome(state.finished) if state.finished else "",
            decisions=tuple(_options(state, step)) if alive and not state.finished else (),
        )

    def printed(self) -> tuple[str, str]:
        """Return the last attempt in words, and what it printed as text that is safe to show."""
        last = self.state.attempt or self.state.last_attempt
        if last is None:
            return "", ""
        where = f"{step_label(self.state, last.step)}, attempt {last.attempt}"
        return where, _text(self._outputs, last.step, last.attempt)

    def _waiting(self) -> Waiting | None:
        state = self.state
        asked, stop = state.input_wanted, state.stop
        whom = waiting.for_whom(state)
        if asked is not None:
            return Waiting(
                reason="input",
                why=f"{step_label(state, asked.step)} asks for input",
                since=self._since,
                whom=whom,
                prompt=visible(asked.prompt),
                password=asked.password,
            )
        if stop is None or state.phase is not Phase.STOPPED:
            return None
        why = phrases.stop_reason(state, stop)
        return Waiting(reason=stop.reason, why=why, since=self._since, whom=whom)

    def _failure(self) -> Failure | None:
        failed, state = self._failed, self.state
        if failed is None:
            return None
        how = phrases.OUTCOMES["indeterminate"]
        if isinstance(failed, ev.AttemptFinished):
            how = phrases.attempt_result(state, failed)
        printed = _text(self._outputs, failed.step, failed.attempt)
        return Failure(
            step=step_label(state, failed.step),
            attempt=failed.attempt,
            how=how,
            printed=printed[-LONGEST_OUTPUT:],
            cut=len(printed) > LONGEST_OUTPUT,
        )


def fold_status(records: Iterable[Record]) -> StatusFold:
    """Return the fold of all `records` of a run."""
    fold = StatusFold()
    for record in records:
        fold.add(record)
    return fold


def _text(outputs: Outputs, step: str, attempt: int) -> str:
    texts = (output_text(each, "nbrun log shows it") for each in outputs.of(step, attempt))
    return "\n".join(filter(None, texts)).strip("\n")


def _phase(state: RunState, *, alive: bool) -> RunPhase:
    if state.finished is not None:
        return "ended"
    if not alive:
        return "interrupted"
    waits = state.phase is Phase.STOPPED or state.input_wanted is not None
    return "waiting" if waits else "running"


def _detail(state: RunState, *, alive: bool) -> str:
    if state.finished is not None:
        return state.finished.why
    return (
        "" if alive else f"the run was interrupted. To continue it: nbrun resume {state.plan.run}"
    )


def _step(state: RunState) -> StepStatus | None:
    step = _subject(state)
    if step is None:
        return None
    return StepStatus(
        number=step.step.number,
        of=len(state.steps),
        id=step.step.id,
        title=step.step.title,
        impact=step.step.contract.impact,
        attempts=step.attempts,
        outcome=step.outcome,
    )


def _subject(state: RunState) -> StepState | None:
    """Return the step that runs, that the run stopped at, or that comes next."""
    at = state.attempt or state.stop
    if at is not None and at.step in state.steps:
        return state.steps[at.step]
    return state.current


def _proposal(state: RunState) -> Proposal | None:
    pending: PendingApproval | None = pending_approval(state)
    if pending is None:
        return None
    by = state.proposal
    return Proposal(
        decision=pending.decision,
        step=step_label(state, pending.step) if pending.step else None,
        by=by.operator.label if by else "",
        reason=by.reason if by else "",
        group=pending.rule.group,
        binding=pending.binding,
        allows=phrases.handing(pending.handing) if pending.handing is not None else "",
    )


def _options(state: RunState, step: str | None) -> Iterable[OptionStatus]:
    for option in options(state, step):
        yield _option(state, option)


def _option(state: RunState, option: Option) -> OptionStatus:
    needs, named = option.needs, option.step
    approval = needs.approval
    return OptionStatus(
        decision=option.name,
        step=step_label(state, named) if named else None,
        possible=option.refusal is None,
        why_not=option.refusal or "",
        off_script=needs.off_script,
        reason=bool(needs.reason),
        typed=needs.typed,
        question=needs.question,
        approval=_whom(approval.rule.group, approval.rule.count) if approval is not None else "",
        program=option.program,
        program_why_not=option.program_refusal or "",
    )


def _whom(group: str, count: int) -> str:
    whose = f"the group {group}" if group else "another person"
    return whose if count == 1 else f"{whose}, {count} people"
