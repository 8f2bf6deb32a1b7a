"""The run loop: the state says what comes next, the kernel does it, events record what happened."""

import queue
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import Any

import msgspec

from nbrun.core import decisions
from nbrun.core import events as ev
from nbrun.core.decisions import Decision
from nbrun.core.events import Event, Record
from nbrun.core.model import Operator
from nbrun.core.planner import (
    NextAttempt,
    NextFinish,
    NextRestart,
    NextSettle,
    NextStop,
    attempt_started_event,
    step_label,
    unattended_end,
    waits_for_decision,
    what_next,
)
from nbrun.core.redaction.redactor import Redaction
from nbrun.core.state import Phase, RunState
from nbrun.engine.decision_handler import CheckSignature, DecisionHandler, no_keys
from nbrun.engine.kernel_controller import KernelController
from nbrun.engine.outcome import AttemptResult, attempt_result
from nbrun.engine.output_events import AttemptMessage, OutputCollector, is_false, last_value
from nbrun.engine.recorder import Recorder
from nbrun.errors import DamagedJournalError, JournalError, KernelError
from nbrun.journal.writer import Journal
from nbrun.kernel.messages import (
    Died,
    Disconnected,
    GatewayTrouble,
    Idled,
    Kernel,
    KernelOutput,
    LeftInBackground,
    LongTextPrinted,
    Message,
    Reconnected,
    Replied,
    ReplyLost,
    Responded,
    Suspended,
    Unresponsive,
)
from nbrun.kernel.output_limit import OutputLimiter


@dataclass(frozen=True)
class ReportedEvent:
    """An event that a subscriber of the record (signing, forwarding) asks the engine to record."""

    event: Event


@dataclass(frozen=True)
class SubmittedDecision:
    """A decision and the operator who made it, as the engine's inbox holds them."""

    decision: Decision
    operator: Operator


# Sent by the supervisor's server
AttachmentEvent = ev.OperatorAttached | ev.OperatorDetached
ServerRefusal = ev.ConnectionRefused | ev.DecisionRefused
_MAX_OUTPUT_BATCH = 32  # outputs per journal write: each may have several megabytes

InboxMessage = Message | SubmittedDecision | AttachmentEvent | ServerRefusal | ReportedEvent
Inbox = queue.SimpleQueue[InboxMessage]


class Engine:
    """Runs one plan from its first event to its last.

    One thread calls `run` or `resume`. Any thread may put decisions into `inbox`; `kernel` puts its
    messages there too, through `output_limiter`. `publish` receives each batch of records once the
    journal has it. `save_notebook` writes the output notebook as of the journal, plus the end about
    to be recorded if there is one. It returns the notebook's SHA-256, or None if it could not be
    written. Only the kernel receives the secrets that `redaction` knows.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        inbox: Inbox,
        kernel: Kernel,
        output_limiter: OutputLimiter,
        publish: Callable[[Sequence[Record]], None],
        save_notebook: Callable[[ev.RunFinished | None], str | None],
        on_journal_error: Callable[[JournalError], None] = lambda _error: None,
        state: RunState | None = None,
        redaction: Redaction | None = None,
        check_signature: CheckSignature = no_keys,
    ) -> None:
        """Create the engine. `state` is the state that the journal's events already lead to.

        `on_journal_error` is called when the journal can't be written, before the kernel is shut
        down.
        """
        self.inbox = inbox
        self.state = state or RunState()
        redaction = redaction or Redaction(unknown=_secret_names(self.state))
        self._recorder = Recorder(journal, self.state, redaction, publish)
        self._emit, self._emit_all = self._recorder.emit, self._recorder.emit_all
        self._output_limiter = output_limiter
        self._kernel = kernel
        self._controller = KernelController(self._kernel, self._recorder, self._stop_requested)
        self._decision_handler = DecisionHandler(
            self._recorder, self._controller, self._kernel.answer, check_signature
        )
        self._save_notebook = save_notebook
        self._on_journal_error = on_journal_error
        self._collector = OutputCollector()
        self._pending: deque[InboxMessage] = deque()  # taken from the inbox, not handled yet
        self._stop_deadline: float | None = None
        self._attempt_began = 0.0
        self._attempt_ended = 0.0
        self._last_value: Mapping[str, Any] | None = None  # of the running attempt, by mime type
        self._finish: NextFinish | None = None

    def run(self, started: ev.RunStarted) -> RunState:
        """Run the plan `started` to its end and return the final state.

        Raises:
            JournalError: the journal can't be written. By then the running step has been
                interrupted and the kernel shut down.
        """
        self._output_limiter.limit = started.policy.max_output
        self._run_loop(lambda: self._begin(started))
        return self.state

    def resume(
        self, resumed: ev.RunResumed, last_seen: float, replaced: ev.RunbookReplaced | None = None
    ) -> RunState:
        """Continue an interrupted run to its end, with the kernel it had if that still exists.

        `last_seen` is when the run's last sign of life was, in seconds since it began.

        Raises:
            JournalError: as in `run`.
        """
        self._output_limiter.limit = self.state.plan.policy.max_output
        self._run_loop(lambda: self._begin_resumed(resumed, last_seen, replaced))
        return self.state

    def _run_loop(self, begin: Callable[[], None]) -> None:
        try:
            begin()
            while self._finish is None:
                self._do_next()
            self._end(self._finish)
        except JournalError as error:
            loss = type(error)(f"{error}. {_describe_loss(self.state)}{_way_on(error, self.state)}")
            with suppress(KernelError):
                self._kernel.interrupt()
            self._on_journal_error(loss)  # before the shutdown below, which may take seconds
            raise loss from error
        finally:
            self._kernel.shutdown()
            self._recorder.close()

    def _begin(self, started: ev.RunStarted) -> None:
        self._emit(started)  # first: no kernel starts for a run that can't be recorded
        self._save_notebook(None)
        if not started.policy.by_hand:
            self._controller.start()

    def _begin_resumed(
        self, resumed: ev.RunResumed, last_seen: float, replaced: ev.RunbookReplaced | None
    ) -> None:
        self._emit(resumed)
        if replaced is not None:
            self._emit(replaced)
        if self.state.last_attempt is not None:
            self._collector.set_previous(self.state.last_attempt)
        self._save_notebook(None)
        if self.state.may_have_kernel:
            self._controller.adopt(last_seen)

    # ── the loop ────────────────────────────────────────────────────────────────────────────────

    def _do_next(self) -> None:
        self._handle_queued()
        self._decision_handler.expire_approvals()
        if self.state.kernel_busy:
            self._handle(self._wait())
            return
        next_action = what_next(self.state)
        match next_action:
            case NextAttempt():
                if self._wait_before(next_action) and not self._decision_handler.expire_approvals():
                    self._attempt(next_action)
            case NextRestart():
                self._controller.restart(next_action.why)
            case NextStop():
                self._stop(next_action)
            case NextSettle():
                self._emit(_settled_by_check(self.state, next_action))
            case NextFinish():
                self._finish = next_action

    def _wait_before(self, attempt: NextAttempt) -> bool:
        """Wait for `attempt.delay`; return False if something else has to be done first."""
        due = self._attempt_ended + attempt.delay
        while attempt.delay and time.monotonic() < due:
            self._handle(self._wait(due))
            if what_next(self.state) != attempt:
                return False
        return True

    def _attempt(self, attempt: NextAttempt) -> None:
        """Execute one step to its end. Its start is on disk before the kernel receives the code."""
        self._emit(attempt_started_event(self.state, attempt))
        started = self.state.attempt  # with its source redacted
        assert started is not None  # noqa: S101  emitted above
        self._last_value = None
        self._attempt_began = time.monotonic()
        self._controller.attempt_started(self._attempt_began)
        try:
            source = self._recorder.redaction.restore(attempt.source)
            self._output_limiter.start_request(continues=attempt.cause == "retry")
            self._collector.add_request(self._kernel.execute(source), started)
        except (KernelError, UnicodeEncodeError) as error:  # the code was not sent
            self._finish_attempt(
                AttemptResult(
                    outcome="error", ename=type(error).__name__, evalue=str(error), sent=False
                )
            )
            return
        while self.state.phase is Phase.RUNNING:
            self._handle(self._wait())

    def _stop(self, stop: NextStop) -> None:
        """Record why the run stops, save the notebook and wait, if somebody can decide."""
        current = self.state.current
        can_wait = waits_for_decision(self.state, stop)
        step = stop.step or (current.step.id if current else None)
        self._emit(ev.Stopped(reason=stop.reason, step=step, detail=stop.detail))
        if not can_wait:
            self._finish = unattended_end(self.state, stop)
            return
        self._save_notebook(None)
        self._update_stop_deadline()
        while self.state.phase is Phase.STOPPED and self._finish is None:
            self._handle(self._wait())
            if self._stop_deadline is not None and time.monotonic() >= self._stop_deadline:
                self._finish = unattended_end(self.state, stop)
        self._stop_deadline = None

    def _update_stop_deadline(self) -> None:
        """Start the deadline of a stop that nobody attends, or cancel it."""
        limit = self.state.plan.policy.wait_for
        unattended = self.state.phase is Phase.STOPPED and not self.state.operators
        self._stop_deadline = time.monotonic() + limit if limit is not None and unattended else None

    def _end(self, finish: NextFinish) -> None:
        """Shut down the kernel, record its last output, then record the run's end."""
        self._kernel.shutdown()  # delivers the kernel's last messages to the inbox
        self._output_limiter.report_all_dropped()
        self._handle_queued()
        self._flush_outputs()  # into the recorder, which may hold back a part of them
        self._recorder.flush()
        self._controller.report_leftovers()
        finished = ev.RunFinished(
            outcome=finish.outcome,
            off_script=self.state.off_script,
            counts=self.state.counts(),
            duration=round(self._recorder.elapsed(), 6),
            why=finish.why,
        )
        digest = self._save_notebook(finished)  # before the event, which records its SHA-256
        self._emit(msgspec.structs.replace(finished, notebook_sha256=digest))

    # ── messages ──────────────────────────────────────────────────────────────────────────────

    def _wait(self, until: float | None = None) -> InboxMessage | None:
        """Return the next message; None if a deadline, `until` at the latest, comes first.

        Deadlines go first: a kernel that never stops printing must not delay a time limit.
        """
        deadlines = (
            self._collector.deadline,
            *self._controller.deadlines,
            self._decision_handler.deadline,
            self._stop_deadline,
            until,
        )
        due = [moment for moment in deadlines if moment is not None]
        timeout = min(due) - time.monotonic() if due else None
        if timeout is not None and timeout <= 0:
            return None
        if self._pending:
            return self._pending.popleft()
        try:
            return self.inbox.get(timeout=timeout)
        except queue.Empty:
            return None

    def _stop_requested(self) -> bool:
        """Return True if the operator has interrupted or cancelled; that is handled later."""
        while not self.inbox.empty():
            self._pending.append(self.inbox.get())
        return any(
            isinstance(pending, SubmittedDecision)
            and isinstance(pending.decision, decisions.Interrupt | decisions.Cancel)
            for pending in self._pending
        )

    def _handle_queued(self) -> None:
        while self._pending or not self.inbox.empty():
            self._handle(self._pending.popleft() if self._pending else self.inbox.get())

    def _take_queued_outputs(self) -> list[KernelOutput]:
        """Take the outputs that are queued already, up to `_MAX_OUTPUT_BATCH`.

        They are written in one batch, since a kernel may print faster than single writes.
        """
        found: list[KernelOutput] = []
        while len(found) < _MAX_OUTPUT_BATCH and not self._pending and not self.inbox.empty():
            message = self.inbox.get()
            if not isinstance(message, KernelOutput):
                self._pending.append(message)
                break
            found.append(message)
        return found

    def _handle(self, message: InboxMessage | None) -> None:
        """Handle one message; None when a deadline has passed.

        Stream text that the collector still buffers is recorded before whatever came after it.
        """
        now = time.monotonic()
        match message:
            case None:
                self._act_on_deadlines(now)
            case SubmittedDecision():
                self._flush_outputs()
                self._decide(message)
            case ReportedEvent(event=event):
                self._emit(event)
            case Suspended() | Unresponsive() | Responded() | LeftInBackground():
                self._controller.record_status(message, at_end=self._finish is not None)
            case Replied() | ReplyLost() | Died() | Idled():
                self._flush_outputs()
                self._handle_end(message)
            case Disconnected() | Reconnected() | GatewayTrouble():
                self._flush_outputs()
                self._controller.record_connection(message)
            case ev.OperatorAttached() | ev.OperatorDetached():
                self._flush_outputs()
                self._emit(message)
                self._update_stop_deadline()
            case ev.ConnectionRefused() | ev.DecisionRefused():
                self._flush_outputs()
                self._emit(message)
            case LongTextPrinted():
                for piece in message.pieces():
                    self._record_outputs(piece)
                    self._act_on_deadlines(time.monotonic())
            case _:
                self._record_outputs(message, *self._take_queued_outputs())

    def _handle_end(self, message: Replied | ReplyLost | Died | Idled) -> None:
        """Handle the end of a request or of the kernel."""
        match message:
            case Replied():
                self._handle_reply(message)
            case ReplyLost():
                self._handle_lost_reply(message)
            case Died():
                self._handle_death(message)
            case Idled():
                self._handle_idle(message)

    def _record_outputs(self, *messages: AttemptMessage) -> None:
        now = time.monotonic()
        collected = (self._collector.collect(each, self.state.attempt, now) for each in messages)
        events = list(chain.from_iterable(collected))
        if self.state.attempt is not None and self.state.attempt.cause == "check":
            self._last_value = last_value(events) or self._last_value
        self._emit_all(events)

    def _act_on_deadlines(self, now: float) -> None:
        if self._collector.deadline is not None and now >= self._collector.deadline:
            self._flush_outputs()
        self._controller.act_on_deadlines(now)
        self._decision_handler.expire_approvals()

    def _flush_outputs(self) -> None:
        self._emit_all(self._collector.flush())

    def _handle_reply(self, reply: Replied) -> None:
        attempt = self.state.attempt
        if attempt is None or self._collector.attempt_of(reply.request) is not attempt:
            return
        tags = _tags(self.state, attempt.step)
        policy = self.state.plan.policy
        self._finish_attempt(
            attempt_result(
                reply,
                interrupted=self.state.interrupted,
                shell_errors_fail=policy.shell_errors == "fail" and "shell-errors-ok" not in tags,
                nested_errors_fail=policy.nested_errors == "fail"
                and "nested-errors-ok" not in tags,
                timeout=self._controller.time_limit if self.state.timed_out else None,
            )
        )

    def _handle_lost_reply(self, lost: ReplyLost) -> None:
        """End the attempt as indeterminate: it may have happened, wholly or in part."""
        attempt = self.state.attempt
        if attempt is None or self._collector.attempt_of(lost.request) is not attempt:
            return
        self._controller.clear_deadlines()
        self._attempt_ended = time.monotonic()
        self._emit(
            ev.AttemptIndeterminate(step=attempt.step, attempt=attempt.attempt, why=lost.why)
        )

    def _handle_death(self, died: Died) -> None:
        if died.generation < self.state.generation:  # a restart ended that kernel
            return
        self._emit(ev.KernelDied(**msgspec.structs.asdict(died)))
        if self.state.phase is Phase.RUNNING:
            self._finish_attempt(
                AttemptResult(outcome="kernel_died", ename="KernelDied", evalue=died.why)
            )

    def _handle_idle(self, idled: Idled) -> None:
        if self.state.kernel_busy and idled.generation == self.state.generation:
            self._controller.clear_deadlines()
            report = _describe_idle(self.state, idled)
            self._emit(ev.KernelIdle(generation=idled.generation, told=report))

    def _finish_attempt(self, result: AttemptResult) -> None:
        self._controller.clear_deadlines()
        self._attempt_ended = time.monotonic()
        attempt = self.state.attempt
        if attempt is None:
            return
        holds = None
        if attempt.cause == "check":
            holds = result.outcome == "ok" and not is_false(self._last_value)
        self._emit(
            ev.AttemptFinished(
                step=attempt.step,
                attempt=attempt.attempt,
                duration=round(time.monotonic() - self._attempt_began, 6),
                holds=holds,
                **msgspec.structs.asdict(result),
            )
        )
        self._controller.watch_leftovers(result.outcome)

    def _decide(self, submitted: SubmittedDecision) -> None:
        decision, operator = submitted.decision, submitted.operator
        if isinstance(decision, decisions.Detach) and self._finish is None:
            why = decision.reason or "as they asked"
            self._handle(ev.OperatorDetached(operator=operator, why=why, lost=decision.lost))
            return
        self._decision_handler.handle(decision, operator, ending=self._finish is not None)


def _tags(state: RunState, cell: str) -> tuple[str, ...]:
    """Return the tags of a step, an undo or a check; none for an inserted cell."""
    step = state.step_of(cell)
    if step is not None:
        return step.step.tags
    check = state.checked[cell].step.check if cell in state.checked else None
    return check.tags if check else ()


def _settled_by_check(state: RunState, settle: NextSettle) -> ev.AttemptSettled:
    return ev.AttemptSettled(
        step=settle.attempt.step,
        attempt=settle.attempt.attempt,
        finding="happened" if settle.happened else "did_not_happen",
        operator=state.plan.operator,
        by_check=True,
    )


def _describe_idle(state: RunState, idled: Idled) -> str:
    """Return what an idle kernel knows about the attempt whose end nobody saw.

    Requests are sent one at a time, so it was the last of those recorded as sent.
    """
    if not state.unsettled or idled.ended is None:
        return ""
    if idled.ended == state.attempts_sent - 1:
        return "this code never reached it"
    if idled.ended != state.attempts_sent:
        return ""
    return f"it ended in {idled.error}" if idled.error else "it ran to its end, without an error"


def _way_on(error: JournalError, state: RunState) -> str:
    """Return what becomes of the kernel of a run that has begun, and how to continue the run."""
    if state.started is None:
        return ""
    ended = ". The kernel is ended, and its variables are lost"
    if isinstance(error, DamagedJournalError):
        return ended
    run = state.started.run
    return f"{ended}. When the journal can be written again, continue with: nbrun resume {run}"


def _describe_loss(state: RunState) -> str:
    """Return what is and is not certain about the running step when the journal fails."""
    if state.attempt is None:
        return "No step was running, and none was sent"
    running = f"{step_label(state, state.attempt.step)}, attempt {state.attempt.attempt}"
    return (
        f"Not recorded: how {running} ended. It was running and was interrupted, and may have "
        "happened, wholly or in part"
    )


def _secret_names(state: RunState) -> tuple[str, ...]:
    """Return the names of the parameters whose values the record does not hold."""
    return state.started.secrets if state.started is not None else ()
