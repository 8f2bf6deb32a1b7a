"""The single way into the record.

The order matters: an event is redacted, appended to the journal with the deviations it implies,
applied to the state, and only then published.
"""

from collections.abc import Callable, Sequence

from nbrun.core import events as ev
from nbrun.core.approval import Moment
from nbrun.core.deviations import deviations_of
from nbrun.core.events import Event, Record
from nbrun.core.redaction.redactor import Redaction
from nbrun.core.reducer import apply_record, changes_state, check_transition
from nbrun.core.state import RunState
from nbrun.journal.writer import Journal

# Events that the operator or the kernel acts on: synced to disk before anything else happens.
_SYNCED_EVENTS = (
    ev.RunStarted,
    ev.AttemptStarted,
    ev.AttemptFinished,
    ev.Stopped,
    ev.Decided,
    ev.DecisionProposed,
    ev.AttemptSettled,
    ev.ApprovalGranted,
    ev.ApprovalExpired,
    ev.HandoverOffered,
    ev.HandoverAccepted,
    ev.HandoverWithdrawn,
    ev.ApprovalRejected,
    ev.NoteAdded,
    ev.RunFinished,
)


class Recorder:
    """Records the events of one run and keeps its state.

    `state` is what the journal's events already lead to; only the recorder changes it. `publish`
    receives each batch of records once the journal has it.
    """

    def __init__(
        self,
        journal: Journal,
        state: RunState,
        redaction: Redaction,
        publish: Callable[[Sequence[Record]], None],
    ) -> None:
        self.state = state
        self.redaction = redaction
        self._journal = journal
        self._publish = publish

    def emit(self, event: Event) -> None:
        """Append `event` and the deviations it implies. Text that may begin a secret is held back.

        Raises:
            JournalError: the journal can't be written.
            IllegalEventError: the event is illegal in the current state.
        """
        self.emit_all([event])

    def emit_all(self, events: Sequence[Event]) -> None:
        """Append `events` in order, as `emit` does.

        Consecutive events that change no state, such as outputs, go to the journal in one write.
        """
        batch: list[Event] = []
        for event in events:
            for each in self.redaction.redact_event(event):
                if not changes_state(each):  # and so implies no deviation
                    check_transition(self.state, each)
                    batch.append(each)
                    continue
                self._append(batch)
                batch = []
                check_transition(self.state, each)
                self._append([each, *deviations_of(self.state, each)])
        self._append(batch)

    def flush(self) -> None:
        """Append text that was held back: nothing will complete it any more."""
        for held in self.redaction.flush():
            self._append([held])

    def elapsed(self) -> float:
        """Return the seconds since the run began."""
        return self._journal.elapsed()

    def now(self) -> Moment:
        """Return the time by the two clocks of the record."""
        return self._journal.now()

    def close(self) -> None:
        """Close the journal."""
        self._journal.close()

    def _append(self, events: Sequence[Event]) -> None:
        if not events:
            return
        sync = any(isinstance(event, _SYNCED_EVENTS) for event in events)
        records = self._journal.append(events, sync=sync)  # if this fails, nothing has changed
        for record in records:
            apply_record(self.state, record)
        self._publish(records)
