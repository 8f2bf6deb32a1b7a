"""The run loop: the state says what comes next, the kernel does it, events say what happened."""

import queue
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain

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
    NextStop,
    attempt_started_event,
    step_label,
    unattended_end,
    waits_for_decision,
    what_next,
)
from nbrun.core.redaction import Redaction
from nbrun.core.state import Phase, RunState
from nbrun.engine.decision_handler import DecisionHandler
from nbrun.engine.kernel_controller import KernelController
from nbrun.engine.outcome import AttemptResult, attempt_result
from nbrun.engine.output_events import AttemptMessage, OutputCollector
from nbrun.engine.recorder import Recorder
from nbrun.errors import JournalError, KernelError
from nbrun.journal.writer import Journal
from nbrun.kernel.messages import (
    Died,
    Idled,
    Kernel,
    KernelOutput,
    Message,
    PrintedMuch,
    Replied,
    Responded,
    Suspended,
    Unresponsive,
)
from nbrun.kernel.output_limit import OutputCap


@dataclass(frozen=True)
class ReportedEvent:
    """What those who keep and send on the record have to say of it, for the record."""

    event: Event


@dataclass(frozen=True)
class SubmittedDecision:
    """A decision and who made it, as it waits in the engine's inbox."""

    decision: Decision
    operator: Operator


AttachmentEvent = ev.OperatorAttached | ev.OperatorDetached  # reported by whoever lets operators in
_MAX_OUTPUT_BATCH = 32  # outputs that are recorded in one piece: each may be of some megabytes

InboxMessage = Message | SubmittedDecision | AttachmentEvent | ReportedEvent
Inbox = queue.SimpleQueue[InboxMessage]


class Engine:
    """Runs one plan from its first event to its last. One thread calls `run`; anybody may put
    decisions into `inbox`. `kernel` sends its messages there too, through `output_cap`.
    `publish` gets each batch of records after the journal has it;
    `save_notebook` writes the output notebook as the journal has it, with the end that is about
    to be recorded if there is one, and returns its SHA-256, or None when it can't be written.
    `redaction` knows the run's secrets: only the kernel gets those.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        inbox: Inbox,
        kernel: Kernel,
        output_cap: OutputCap,
        publish: Callable[[Sequence[Record]], None],
        save_notebook: Callable[[ev.RunFinished | None], str | None],
        on_loss: Callable[[JournalError], None] = lambda _error: None,
        state: RunState | None = None,
        redaction: Redaction | None = None,
    ) -> None:
        """`state`: where the run stands that the journal holds already."""
        self.inbox = inbox
        self.state = state or RunState()
        redaction = redaction or Redaction(unknown=_secrets(self.state))
        self._recorder = Recorder(journal, self.state, redaction, publish)
        self._emit, self._emit_all = self._recorder.emit, self._recorder.emit_all
        self._cap = output_cap
        self._kernel = kernel
        self._control = KernelController(self._kernel, self._recorder, self._asked_to_stop)
        self._deciding = DecisionHandler(self._recorder, self._control, self._kernel.answer)
        self._save_notebook = save_notebook
        self._on_loss = on_loss
        self._transcript = OutputCollector()
        self._kept: deque[InboxMessage] = deque()  # taken from the inbox, and not heard yet
        self._stop_due: float | None = None
        self._attempt_began = 0.0
        self._attempt_ended = 0.0
        self._finish: NextFinish | None = None

    def run(self, started: ev.RunStarted) -> RunState:
        """Run `started` to its end and return the state it ended in.

        Raises:
            JournalError: the record can't be kept; the running step was interrupted and the
                kernel is gone.
        """
        self._cap.limit = started.policy.max_output
        self._to_the_end(lambda: self._begin(started))
        return self.state

    def resume(
        self, resumed: ev.RunResumed, seen: float, replaced: ev.RunbookReplaced | None = None
    ) -> RunState:
        """Go on to the run's end, with the kernel it had if that is still there. `seen`: when
        something was last seen of it, in seconds since it began. Raises as `run` does."""
        self._cap.limit = self.state.plan.policy.max_output
        self._to_the_end(lambda: self._begin_again(resumed, seen, replaced))
        return self.state

    def _to_the_end(self, begin: Callable[[], None]) -> None:
        try:
            begin()
            while self._finish is None:
                self._do_next()
            self._end(self._finish)
        except JournalError as error:
            lost = type(error)(f"{error}. {_fate(self.state)}")
            with suppress(KernelError):
                self._kernel.interrupt()
            self._on_loss(lost)  # the kernel may take seconds to end
            raise lost from error
        finally:
            self._kernel.shutdown()
            self._recorder.close()

    def _begin(self, started: ev.RunStarted) -> None:
        self._emit(started)
        self._save_notebook(None)
        self._control.start()

    def _begin_again(
        self, resumed: ev.RunResumed, seen: float, replaced: ev.RunbookReplaced | None
    ) -> None:
        self._emit(resumed)
        if replaced is not None:
            self._emit(replaced)
        if self.state.last_attempt is not None:
            self._transcript.went_before(self.state.last_attempt)
        self._save_notebook(None)
        if self.state.kernel == "alive":
            self._control.adopt(seen)

    # ── doing ────────────────────────────────────────────────────────────────────────────────

    def _do_next(self) -> None:
        self._hear_waiting()
        if self.state.kernel_busy:
            self._hear(self._wait())
            return
        following = what_next(self.state)
        match following:
            case NextAttempt():
                if self._waited(following):
                    self._attempt(following)
            case NextRestart():
                self._control.restart(following.why)
            case NextStop():
                self._stop(following)
            case NextFinish():
                self._finish = following

    def _waited(self, planned: NextAttempt) -> bool:
        """Let `planned.delay` pass; False when something else is to be done now."""
        due = self._attempt_ended + planned.delay
        while planned.delay and time.monotonic() < due:
            self._hear(self._wait(due))
            if what_next(self.state) != planned:
                return False
        return True

    def _attempt(self, planned: NextAttempt) -> None:
        """Send one step and see it through. Its start is on disk before the kernel has the code."""
        self._emit(attempt_started_event(self.state, planned))
        started = self.state.attempt  # as it is recorded
        assert started is not None  # noqa: S101  emitted above
        self._attempt_began = time.monotonic()
        self._control.begin(self._attempt_began)
        try:
            source = self._recorder.redaction.restore(planned.source)
            self._cap.next_request(goes_on=planned.cause == "retry")
            self._transcript.sent(self._kernel.execute(source), started)
        except (KernelError, UnicodeEncodeError) as error:  # it was not sent
            self._finished(
                AttemptResult(outcome="error", ename=type(error).__name__, evalue=str(error))
            )
            return
        while self.state.phase is Phase.RUNNING:
            self._hear(self._wait())

    def _stop(self, stop: NextStop) -> None:
        """Say why the run waits, write the notebook, and wait, where somebody can decide."""
        current = self.state.current
        wait = waits_for_decision(self.state, stop)
        step = stop.step or (current.step.id if current else None)
        self._emit(ev.Stopped(reason=stop.reason, step=step, detail=stop.detail))
        if not wait:
            self._finish = unattended_end(self.state, stop)
            return
        self._save_notebook(None)
        self._await_somebody()
        while self.state.phase is Phase.STOPPED and self._finish is None:
            self._hear(self._wait())
            if self._stop_due is not None and time.monotonic() >= self._stop_due:
                self._finish = unattended_end(self.state, stop)
        self._stop_due = None

    def _await_somebody(self) -> None:
        """Begin the time that a stop waits with nobody attached, or end it."""
        patience = self.state.plan.policy.wait_for
        alone = self.state.phase is Phase.STOPPED and not self.state.operators
        self._stop_due = time.monotonic() + patience if patience is not None and alone else None

    def _end(self, finish: NextFinish) -> None:
        """The kernel ends first: what it still has to say belongs to the run."""
        self._kernel.shutdown()
        self._cap.tell_all()
        self._hear_waiting()
        self._release()
        self._recorder.release()
        self._control.look_last()
        finished = ev.RunFinished(
            outcome=finish.outcome,
            off_script=self.state.off_script,
            counts=self.state.counts(),
            duration=round(self._recorder.elapsed(), 6),
            why=finish.why,
        )
        digest = self._save_notebook(finished)
        self._emit(msgspec.structs.replace(finished, notebook_sha256=digest))

    # ── hearing ──────────────────────────────────────────────────────────────────────────────

    def _wait(self, until: float | None = None) -> InboxMessage | None:
        """What comes in next; None when something is due, at `until` at the latest. What is due
        goes first: a kernel that never stops to speak must not keep a time limit waiting."""
        moments = (self._transcript.due, *self._control.due, self._stop_due, until)
        due = [moment for moment in moments if moment is not None]
        timeout = min(due) - time.monotonic() if due else None
        if timeout is not None and timeout <= 0:
            return None
        if self._kept:
            return self._kept.popleft()
        try:
            return self.inbox.get(timeout=timeout)
        except queue.Empty:
            return None

    def _asked_to_stop(self) -> bool:
        """Whether the operator has interrupted or cancelled; heard properly a little later."""
        while not self.inbox.empty():
            self._kept.append(self.inbox.get())
        return any(
            isinstance(kept, SubmittedDecision)
            and isinstance(kept.decision, decisions.Interrupt | decisions.Cancel)
            for kept in self._kept
        )

    def _hear_waiting(self) -> None:
        while self._kept or not self.inbox.empty():
            self._hear(self._kept.popleft() if self._kept else self.inbox.get())

    def _outputs_behind(self) -> list[KernelOutput]:
        """Of a kernel that puts out more than is written one by one, what waits already: it is
        recorded in one piece with what came before."""
        found: list[KernelOutput] = []
        while len(found) < _MAX_OUTPUT_BATCH and not self._kept and not self.inbox.empty():
            following = self.inbox.get()
            if not isinstance(following, KernelOutput):
                self._kept.append(following)
                break
            found.append(following)
        return found

    def _hear(self, message: InboxMessage | None) -> None:
        now = time.monotonic()
        match message:
            case None:
                self._overdue(now)
            case SubmittedDecision():
                self._release()
                self._decide(message)
            case ReportedEvent(event=event):
                self._emit(event)
            case Suspended() | Unresponsive() | Responded():
                self._control.seen(message)
            case Replied():
                self._release()
                self._replied(message)
            case Died():
                self._release()
                self._died(message)
            case Idled():
                self._release()
                self._idled(message)
            case ev.OperatorAttached() | ev.OperatorDetached():
                self._release()
                self._emit(message)
                self._await_somebody()
            case PrintedMuch():
                for piece in message.pieces():
                    self._put_down(piece)
                    self._overdue(time.monotonic())
            case _:
                self._put_down(message, *self._outputs_behind())

    def _put_down(self, *said: AttemptMessage) -> None:
        now = time.monotonic()
        heard = (self._transcript.hear(each, self.state.attempt, now) for each in said)
        self._emit_all(list(chain.from_iterable(heard)))

    def _overdue(self, now: float) -> None:
        if self._transcript.due is not None and now >= self._transcript.due:
            self._release()
        self._control.act_if_due(now)

    def _release(self) -> None:
        self._emit_all(self._transcript.release())

    def _replied(self, reply: Replied) -> None:
        attempt = self.state.attempt
        if attempt is None or self._transcript.attempt_of(reply.request) is not attempt:
            return
        step = self.state.steps.get(attempt.step)
        excused = step is not None and "shell-errors-ok" in step.step.tags
        strict = self.state.plan.policy.shell_errors == "fail" and not excused
        self._finished(
            attempt_result(
                reply,
                interrupted=self.state.interrupted,
                shell_errors_fail=strict,
                timeout=self._control.limit if self.state.timed_out else None,
            )
        )

    def _died(self, death: Died) -> None:
        if death.generation < self.state.generation:  # it was ended to start the one that runs
            return
        self._emit(ev.KernelDied(generation=death.generation, why=death.why))
        if self.state.phase is Phase.RUNNING:
            self._finished(
                AttemptResult(outcome="kernel_died", ename="KernelDied", evalue=death.why)
            )

    def _idled(self, idled: Idled) -> None:
        if self.state.kernel_busy and idled.generation == self.state.generation:
            self._control.ended()
            told = _told(self.state, idled)
            self._emit(ev.KernelIdle(generation=idled.generation, told=told))

    def _finished(self, verdict: AttemptResult) -> None:
        self._control.ended()
        self._attempt_ended = time.monotonic()
        attempt = self.state.attempt
        if attempt is None:
            return
        self._emit(
            ev.AttemptFinished(
                step=attempt.step,
                attempt=attempt.attempt,
                duration=round(time.monotonic() - self._attempt_began, 6),
                **msgspec.structs.asdict(verdict),
            )
        )
        self._control.attempt_ended(verdict.outcome)

    def _decide(self, ordered: SubmittedDecision) -> None:
        decision, operator = ordered.decision, ordered.operator
        if isinstance(decision, decisions.Detach) and self._finish is None:
            why = decision.reason or "as they asked"
            self._hear(ev.OperatorDetached(operator=operator, why=why))
            return
        self._deciding.take(decision, operator, ending=self._finish is not None)


def _told(state: RunState, idled: Idled) -> str:
    """What a kernel knows of the attempt that nobody saw end: requests go one at a time, so it was
    the last of those that were recorded as sent."""
    if not state.unsettled or idled.ended is None:
        return ""
    if idled.ended == state.attempts_sent - 1:
        return "this code never reached it"
    if idled.ended != state.attempts_sent:
        return ""
    return f"it ended in {idled.error}" if idled.error else "it ran to its end, without an error"


def _fate(state: RunState) -> str:
    """What is safe and what is not when the record can't go on."""
    if state.attempt is None:
        return "No step was running, and none was sent"
    running = f"{step_label(state, state.attempt.step)}, attempt {state.attempt.attempt}"
    return (
        f"Not recorded: how {running} ended. It was running and was interrupted, and may have "
        "happened, wholly or in part"
    )


def _secrets(state: RunState) -> tuple[str, ...]:
    """The parameters whose values the record of the run so far does not hold."""
    return state.started.secrets if state.started is not None else ()
