"""An operator's terminal on a run: shows its records as they come, and sends decisions back."""

import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Protocol

from nbrun.core import decisions
from nbrun.core import events as ev
from nbrun.core.decisions import Decision
from nbrun.core.events import Record
from nbrun.core.model import Operator
from nbrun.core.reducer import apply
from nbrun.core.state import Phase, RunState
from nbrun.supervisor.client import Link

TICK = 0.1  # seconds between two looks at the clock of a running step
INTERJECTION = 5.0  # seconds between two times that late output breaks into a question
SECOND_PRESS = 2.0  # seconds within which a second Ctrl-C asks for more than an interrupt


# Called when something has come while a question waits. None: nothing was shown; True: something
# was; False: the question is moot.
News = Callable[[], bool | None]


class View(Protocol):
    """Shows records. Raises OSError when its screen is gone."""

    def show(self, state: RunState, record: Record) -> None: ...
    def flush(self) -> None: ...
    def tick(self) -> None: ...
    def interject(self) -> None: ...
    def suspend(self) -> None: ...
    def resume(self) -> None: ...
    def close(self) -> None: ...


class Asker(Protocol):
    """Puts the run's questions to a person (see `dialogue.Dialogue`)."""

    def at_stop(self, state: RunState, news: News) -> Decision | None:
        """A decision about the stop; None when the question became moot."""

    def for_input(self, state: RunState, news: News) -> Decision | None:
        """The line that a cell asks for."""

    def about_kill(self, state: RunState, news: News) -> Decision | None:
        """Whether to kill a kernel that has not answered an interrupt."""


class Console:
    """Follows a run to its end, or until it is left. `asker`: an operator, who decides at stops.
    Without one, `answerable` tells a console that stands for the run to whoever started it, and
    that a signal to end cancels the run; else it only looks on. `show_from`: records with lower
    numbers are not shown. `me`: the operator that the run knows this console as; nothing is asked
    before the record says that they are attached.
    """

    def __init__(
        self,
        link: Link,
        view: View,
        asker: Asker | None,
        *,
        answerable: bool = False,
        show_from: int = 0,
        me: Operator | None = None,
    ) -> None:
        self.state = RunState()
        self.left = ""  # why the run was left to go on
        self._answerable = answerable
        self._show_from = show_from
        self._me = me
        self._unseen: list[Record] = []  # the stop, and what was decided there, not shown yet
        self._link = link
        self._view: View | None = view
        self._asker = asker
        self._asking = False
        self._answered = False
        self._pressed = -SECOND_PRESS
        self._offer_kill = False
        self._interrupted = False
        self._continued = False
        self._interjected = -INTERJECTION

    def follow(self) -> RunState:
        """Show and decide until nothing more comes; the state that was seen last."""
        with self._signals():
            while not (self._link.closed or self.left):
                select.select([self._link], [], [], TICK)
                self._take()
                self._respond()
            self._with_view(lambda view: view.close())
        return self.state

    # ── showing ──────────────────────────────────────────────────────────────────────────────

    def _take(self) -> None:
        records = self._receive()
        if records:
            self._with_view(lambda view: view.flush())
        else:
            self._with_view(lambda view: view.tick())

    def _receive(self) -> list[Record]:
        """Take what has come; the view has it, and prints it when it is flushed."""
        records = self._link.receive()
        for record in records:
            apply(self.state, record.event)
            self._answered = self._answered and not _is_answer(record.event)
            if isinstance(record.event, ev.AttemptStarted):
                self._pressed = -SECOND_PRESS  # what was pressed before was no word about this one
            self._show(record)
        self._offer_kill = self._offer_kill and self.state.phase is Phase.RUNNING
        return records

    def _show(self, record: Record) -> None:
        seen = record.seq >= self._show_from
        if isinstance(record.event, ev.Stopped):
            self._unseen.clear()
        if isinstance(record.event, ev.Stopped | ev.DecisionProposed) and not seen:
            self._unseen.append(record)
        if not seen and not isinstance(record.event, _ALWAYS):
            return
        self._with_view(lambda view: view.show(self.state, record))

    def _with_view(self, act: Callable[[View], None]) -> None:
        """A screen that is gone is not written to again; the run and its record go on."""
        if self._view is None:
            return
        try:
            act(self._view)
        except OSError:
            self._view = None

    # ── deciding ─────────────────────────────────────────────────────────────────────────────

    def _respond(self) -> None:
        if self._asker is None:
            self._leave_a_stop()
            return
        if not self._is_asked():
            return
        if self._answered and not self._offer_kill:  # what was decided is on its way
            return
        decision = self._ask(self._asker)
        if isinstance(decision, decisions.Detach):
            self.left = self.left or "you detached"
        elif decision is not None:
            self._answered = not isinstance(decision, decisions.KillKernel)
            self._link.send(decision)

    def _leave_a_stop(self) -> None:
        """A run that waits for somebody to come is not waited for by whoever started it."""
        waits = self.state.phase is Phase.STOPPED and self.state.plan.policy.on_failure == "wait"
        if self._answerable and waits and not self.state.operators:
            self.left = "the run waits for a decision"

    def _is_asked(self) -> bool:
        if self._me is not None and self._me not in self.state.operators:
            return False
        stopped = self.state.phase is Phase.STOPPED and not self.state.cancelled
        return stopped or self.state.input_wanted is not None or self._offer_kill

    def _ask(self, asker: Asker) -> Decision | None:
        self._interrupted = False
        state = self.state
        question = state.proposal or state.stop or state.input_wanted or state.attempt
        ask = self._question(asker)
        self._show_unseen_stop()
        self._asking = True
        self._with_view(lambda view: view.suspend())
        try:
            return ask(self.state, lambda: self._still(question))
        except (OSError, EOFError):
            self.left = "the terminal was lost"
            return None
        except KeyboardInterrupt:
            return self._interrupted_while_asking()
        finally:
            self._asking = False
            self._offer_kill = False
            self._with_view(lambda view: view.resume())

    def _show_unseen_stop(self) -> None:
        """Why the run waits, and for what approval, to who has not seen it come to that."""
        unseen, self._unseen = self._unseen, []
        for record in unseen:
            if record.event in (self.state.stop, self.state.proposal):
                self._with_view(partial(_shown, self.state, record))

    def _question(self, asker: Asker) -> Callable[[RunState, News], Decision | None]:
        if self.state.phase is Phase.STOPPED:
            return asker.at_stop
        return asker.about_kill if self._offer_kill else asker.for_input

    def _still(self, question: object) -> bool | None:
        """Take what has come while a question waits. What changes the answer is shown at once, late
        output seldom: each time what has been typed so far is lost."""
        records = self._receive()
        if self._interrupted:  # looked at last: whatever woke this has been taken by now
            self._interrupted = False
            self._with_view(lambda view: view.interject())
            raise KeyboardInterrupt
        urgent = any(isinstance(record.event, _URGENT) for record in records)
        due = bool(records) and time.monotonic() - self._interjected >= INTERJECTION
        state = self.state
        now = (state.proposal or state.stop, state.input_wanted, state.attempt)
        stands = (
            not (self._link.closed or self.left) and not self.state.cancelled and question in now
        )
        again, self._continued = self._continued, False
        if stands and not (urgent or again or due):
            return None
        self._interjected = time.monotonic()
        self._with_view(lambda view: view.interject())
        self._with_view(lambda view: view.flush())
        return stands

    def _interrupted_while_asking(self) -> Decision | None:
        """Ctrl-C at a stop has nothing to interrupt; at a cell's question it has."""
        return None if self.state.phase is Phase.STOPPED else decisions.Interrupt()

    # ── signals ──────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def _signals(self) -> Iterator[None]:
        handlers = {
            signal.SIGINT: self._on_interrupt,
            signal.SIGTERM: self._on_end,
            signal.SIGHUP: self._on_leave,
            signal.SIGQUIT: self._on_leave,
            signal.SIGCONT: self._on_continue,
        }
        before = {number: signal.signal(number, act) for number, act in handlers.items()}
        try:
            yield
        finally:
            for number, act in before.items():
                signal.signal(number, act)

    def _on_interrupt(self, _number: int, _frame: object) -> None:
        if self._asking:  # said where it can do no harm: in `_still`
            self._interrupted = True
            self._link.wake()
            return
        if self._asker is None:
            self._end("interrupted, and nobody is there to decide")
            return
        now = time.monotonic()
        self._offer_kill = now - self._pressed < SECOND_PRESS
        self._pressed = now
        if not self._offer_kill:
            self._link.send(decisions.Interrupt())

    def _on_continue(self, _number: int, _frame: object) -> None:
        """Back from Ctrl-Z: the question is put again."""
        self._continued = True
        self._link.wake()

    def _on_end(self, number: int, _frame: object) -> None:
        self._end(f"nbrun got {signal.Signals(number).name}")

    def _end(self, reason: str) -> None:
        if self._answerable:
            self._link.send(decisions.Cancel(reason=reason))
        else:
            self._leave(reason)

    def _on_leave(self, number: int, _frame: object) -> None:
        self._leave(f"nbrun got {signal.Signals(number).name}")

    def _leave(self, reason: str) -> None:
        self.left = self.left or reason
        self._link.wake()


_ALWAYS = (ev.RunStarted, ev.KernelStarted)  # what a view has to know
_URGENT = (ev.ApprovalRejected, ev.KernelDied, ev.RunFinished, ev.DecisionRefused)
_ANSWERS = (
    ev.Stopped,
    ev.Resumed,
    ev.NoteAdded,
    ev.DecisionRefused,
    ev.DecisionProposed,
    ev.ApprovalRejected,
    ev.InputRequested,
    ev.RunFinished,
    ev.AttemptFinished,
)


def _is_answer(event: ev.Event) -> bool:
    """Whether the run has taken what was decided, or not, and may ask again."""
    stays = isinstance(event, ev.Decided) and event.decision == "withdraw"
    return stays or isinstance(event, _ANSWERS)


def _shown(state: RunState, record: Record, view: View) -> None:
    view.show(state, record)
