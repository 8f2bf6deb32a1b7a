"""A console: it shows a run's records on a terminal, and sends the operator's decisions."""

import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Protocol

import msgspec

from nbrun.core import decisions
from nbrun.core import events as ev
from nbrun.core.decisions import Decision
from nbrun.core.events import Record
from nbrun.core.model import Operator
from nbrun.core.reducer import apply_record
from nbrun.core.state import Phase, RunState
from nbrun.supervisor.client import RunClient
from nbrun.views.terminal.typed_lines.question import PollUpdates

TICK = 0.1  # seconds between two updates of a running step's clock
DOUBLE_PRESS = 2.0  # seconds within which a second Ctrl-C offers to kill the kernel


class View(Protocol):
    """Shows records on a screen. Each method raises OSError if the screen is gone."""

    def show(self, state: RunState, record: Record) -> None: ...
    def flush(self) -> None: ...
    def tick(self) -> None: ...
    def interject(self, hide: Callable[[], None]) -> None: ...
    def suspend(self) -> None: ...
    def resume(self) -> None: ...
    def close(self) -> None: ...


class Asker(Protocol):
    """Asks the operator the run's questions (implemented by `dialogue.Dialogue`)."""

    def at_stop(self, state: RunState, poll: PollUpdates) -> Decision | None:
        """Ask for a decision about the stop; None if the question became obsolete."""

    def for_input(self, state: RunState, poll: PollUpdates) -> Decision | None:
        """Ask for the line that a cell waits for."""

    def about_kill(self, state: RunState, poll: PollUpdates) -> Decision | None:
        """Ask whether to kill a kernel that has not reacted to an interrupt."""


class Console:
    """Follow a run until it ends, or until the operator or a signal detaches this console.

    A console is one of three kinds:
    - with an `asker`, an operator's: it asks at stops, and sends the decisions;
    - `answerable`, without an asker: `nbrun start` without a terminal. SIGTERM and Ctrl-C cancel
      the run, and a stop that waits for an operator detaches;
    - neither: it only shows the run.

    With `needs_view`, the console ends as soon as the screen is gone.

    `show_from` is the number of the first record to show. `me` is the operator that this console is
    attached as: it asks nothing before the journal says that `me` is attached.

    Attributes:
        detach_reason: why the console detached while the run continues; empty if it did not.
        was_lost: the operator did not ask for that.
    """

    def __init__(
        self,
        client: RunClient,
        view: View,
        asker: Asker | None,
        *,
        answerable: bool = False,
        needs_view: bool = False,
        show_from: int = 0,
        me: Operator | None = None,
    ) -> None:
        self.state = RunState()
        self.detach_reason = ""
        self.was_lost = False
        self._answerable = answerable
        self._needs_view = needs_view
        self._show_from = show_from
        self._me = me
        self._unseen_stop: list[Record] = []  # the stop before `show_from`, and its proposals
        self._client = client
        self._view: View | None = view
        self._asker = asker
        self._is_asking = False
        self._answer_sent = False
        self._last_press = -DOUBLE_PRESS
        self._offer_kill = False
        self._interrupted = False

    def follow(self) -> RunState:
        """Show records and ask questions until the end; return the last state."""
        with self._signal_handlers():
            while not (self._client.closed or self.detach_reason):
                select.select([self._client], [], [], TICK)
                self._update()
                self._respond()
            self._with_view(lambda view: view.close())
        return self.state

    # ── showing ──────────────────────────────────────────────────────────────────────────────

    def _update(self) -> None:
        records = self._receive()
        if records:
            self._with_view(lambda view: view.flush())
        else:
            self._with_view(lambda view: view.tick())

    def _receive(self) -> list[Record]:
        """Apply the new records and pass them to the view, which prints them when flushed."""
        records = self._client.receive()
        for record in records:
            apply_record(self.state, record)
            self._answer_sent = self._answer_sent and not _may_ask_again(record.event)
            if isinstance(record.event, ev.AttemptStarted):
                self._last_press = -DOUBLE_PRESS  # an earlier Ctrl-C was not about this attempt
            self._show(record)
        self._offer_kill = self._offer_kill and self.state.phase is Phase.RUNNING
        return records

    def _show(self, record: Record) -> None:
        is_shown = record.seq >= self._show_from
        if isinstance(record.event, ev.Stopped):
            self._unseen_stop.clear()
        if isinstance(record.event, ev.Stopped | ev.DecisionProposed) and not is_shown:
            self._unseen_stop.append(record)
        if not is_shown and not isinstance(record.event, _ALWAYS_SHOWN):
            return
        self._with_view(lambda view: view.show(self.state, record))

    def _with_view(self, act: Callable[[View], None]) -> None:
        """Call `act` with the view. If the screen is gone, continue without it: the run does."""
        if self._view is None:
            return
        try:
            act(self._view)
        except OSError:
            self._view = None
            if self._needs_view:
                self._detach("the screen is gone", lost=True)

    # ── asking ───────────────────────────────────────────────────────────────────────────────

    def _respond(self) -> None:
        if self._asker is None:
            self._detach_from_waiting_run()
            return
        if not self._has_question():
            return
        if self._answer_sent and not self._offer_kill:  # the run has not acted on it yet
            return
        decision = self._ask(self._asker)
        if isinstance(decision, decisions.Detach):
            self.detach_reason = self.detach_reason or "you detached"
        elif decision is not None:
            self._answer_sent = not isinstance(decision, decisions.KillKernel)
            self._client.send(self._located(decision))

    def _located(self, decision: Decision) -> Decision:
        """Return `decision` with the place that it is about: a program may have moved the run.

        To end a run, to interrupt it and to note something is meant wherever the run stands.
        """
        if isinstance(decision, _ABOUT_ANY_PLACE):
            return decision
        return msgspec.structs.replace(decision, expect_seq=self.state.seq)

    def _detach_from_waiting_run(self) -> None:
        """Detach from a stop that waits for an operator, if `nbrun start` has no terminal."""
        waits = self.state.phase is Phase.STOPPED and self.state.plan.policy.on_failure == "wait"
        if self._answerable and waits and not self.state.operators:
            self.detach_reason = "the run waits for a decision"

    def _has_question(self) -> bool:
        if self._me is not None and self._me not in self.state.operators:
            return False
        stopped = self.state.phase is Phase.STOPPED and not self.state.cancelled
        return stopped or self.state.input_wanted is not None or self._offer_kill

    def _ask(self, asker: Asker) -> Decision | None:
        self._interrupted = False
        state = self.state
        subject = _stop_subject(state) or state.input_wanted or state.attempt
        ask = self._question(asker)
        self._show_unseen_stop()
        self._is_asking = True
        self._with_view(lambda view: view.suspend())
        try:
            return ask(self.state, partial(self._poll_updates, subject))
        except (OSError, EOFError):
            self._detach("the terminal was lost", lost=True)
            return None
        except KeyboardInterrupt:
            return self._on_interrupt_while_asking()
        finally:
            self._is_asking = False
            self._offer_kill = False
            self._with_view(lambda view: view.resume())
            self._with_view(lambda view: view.flush())

    def _show_unseen_stop(self) -> None:
        """Show why the run waits, and for which approval, if that happened before `show_from`."""
        unseen, self._unseen_stop = self._unseen_stop, []
        for record in unseen:
            if record.event in (self.state.stop, self.state.proposal):
                self._with_view(partial(_show_record, self.state, record))

    def _question(self, asker: Asker) -> Callable[[RunState, PollUpdates], Decision | None]:
        if self.state.phase is Phase.STOPPED:
            return asker.at_stop
        return asker.about_kill if self._offer_kill else asker.for_input

    def _poll_updates(self, subject: object, hide: Callable[[], None]) -> bool:
        """Receive records while a question about `subject` waits, and show them above it."""
        self._receive()
        # Checked after `_receive`, which has drained the wake-up that Ctrl-C caused: checked
        # before, a Ctrl-C during `_receive` would be noticed only at the next record.
        if self._interrupted:
            self._interrupted = False
            raise KeyboardInterrupt
        state = self.state
        subjects = (_stop_subject(state), state.input_wanted, state.attempt)
        if self._client.closed or self.detach_reason or state.cancelled or subject not in subjects:
            return False
        self._with_view(lambda view: view.interject(hide))
        return True

    def _on_interrupt_while_asking(self) -> Decision | None:
        """Handle Ctrl-C at a question: a cell that waits for input is running, a stop is not."""
        return None if self.state.phase is Phase.STOPPED else decisions.Interrupt()

    # ── signals ──────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def _signal_handlers(self) -> Iterator[None]:
        handlers = {
            signal.SIGINT: self._on_sigint,
            signal.SIGTERM: self._on_sigterm,
            signal.SIGHUP: self._on_hangup,
            signal.SIGQUIT: self._on_hangup,
        }
        # A signal that was ignored stays so, as after `nohup` or `trap '' INT` in a script.
        before = {number: signal.getsignal(number) for number in handlers}
        heeded = [number for number in handlers if before[number] is not signal.SIG_IGN]
        for number in heeded:
            signal.signal(number, handlers[number])
        try:
            yield
        finally:
            for number in heeded:
                signal.signal(number, before[number])

    def _on_sigint(self, _number: int, _frame: object) -> None:
        if self._is_asking:  # raised in `_poll_updates`, where no half-done work is lost
            self._interrupted = True
            self._client.wake()
            return
        if self._asker is None:
            self._end("interrupted, and nobody is there to decide")
            return
        now = time.monotonic()
        self._offer_kill = now - self._last_press < DOUBLE_PRESS
        self._last_press = now
        if not self._offer_kill:
            self._client.send(decisions.Interrupt())

    def _on_sigterm(self, number: int, _frame: object) -> None:
        self._end(f"nbrun got {signal.Signals(number).name}")

    def _end(self, reason: str) -> None:
        """Cancel the run if this console answers for it, else detach."""
        if self._answerable:
            self._client.send(decisions.Cancel(reason=reason))
        else:
            self._detach(reason, lost=True)

    def _on_hangup(self, number: int, _frame: object) -> None:
        asked = number == signal.SIGQUIT  # Ctrl-\
        self._detach(f"nbrun got {signal.Signals(number).name}", lost=not asked)

    def _detach(self, reason: str, *, lost: bool) -> None:
        self.was_lost = self.was_lost or (lost and not self.detach_reason)
        self.detach_reason = self.detach_reason or reason
        self._client.wake()


_ALWAYS_SHOWN = (ev.RunStarted, ev.KernelStarted)  # a view needs them, whatever `show_from` is
_ACKNOWLEDGEMENTS = (
    ev.Stopped,
    ev.Resumed,
    ev.NoteAdded,
    ev.DecisionRefused,
    ev.DecisionProposed,
    ev.ApprovalRejected,
    ev.HandoverOffered,
    ev.InputRequested,
    ev.RunFinished,
    ev.AttemptFinished,
)


_ABOUT_ANY_PLACE = decisions.AddNote | decisions.Cancel | decisions.Interrupt | decisions.KillKernel


def _stop_subject(state: RunState) -> object:
    """Return what a question at a stop is about: the stop, or a decision that waits.

    What a program proposes is shown, and takes neither the question nor a half-typed line away.
    """
    proposal = state.proposal
    return proposal if proposal is not None and not proposal.operator.is_program else state.stop


def _may_ask_again(event: ev.Event) -> bool:
    """Return True if `event` says that the run has accepted or refused the last decision."""
    who = getattr(event, "operator", None)
    if who is not None and who.is_program:  # what became of a program's decision
        return False
    withdrawn = isinstance(event, ev.Decided) and event.decision == "withdraw"
    return withdrawn or isinstance(event, _ACKNOWLEDGEMENTS)


def _show_record(state: RunState, record: Record, view: View) -> None:
    view.show(state, record)
