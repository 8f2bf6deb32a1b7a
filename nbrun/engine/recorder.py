"""The one way into the record: an event is redacted, appended with the deviations that it entails,
folded into the state, and only then shown."""

from collections.abc import Callable, Sequence

from nbrun.core import events as ev
from nbrun.core.deviations import deviations_of
from nbrun.core.events import Event, Record
from nbrun.core.redaction import Redaction
from nbrun.core.reducer import apply, changes_state, check_transition
from nbrun.core.state import RunState
from nbrun.journal.writer import Journal

# Events after which the operator or the kernel acts: they are on disk before anything else happens.
_SYNCED = (
    ev.RunStarted,
    ev.AttemptStarted,
    ev.AttemptFinished,
    ev.Stopped,
    ev.Decided,
    ev.DecisionProposed,
    ev.AttemptSettled,
    ev.ApprovalGranted,
    ev.ApprovalRejected,
    ev.NoteAdded,
    ev.RunFinished,
)


class Recorder:
    """Keeps the record of one run. `state`: where it stands that the journal holds already; changed
    here alone. `publish` gets each batch of records after the journal has it."""

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
        """Record it, and what it entails. What may be a part of a secret is held back meanwhile.

        Raises:
            JournalError: it can't be kept.
            IllegalEventError: it can't happen where the run stands.
        """
        self.emit_all([event])

    def emit_all(self, said: Sequence[Event]) -> None:
        """The same, in order. Those that change no state, as outputs, go to the journal in one
        piece."""
        together: list[Event] = []
        for event in said:
            for each in self.redaction.redact_event(event):
                if not changes_state(each):  # and so entails nothing
                    check_transition(self.state, each)
                    together.append(each)
                    continue
                self._append(together)
                together = []
                check_transition(self.state, each)
                self._append([each, *deviations_of(self.state, each)])
        self._append(together)

    def release(self) -> None:
        """Record what was held back: nothing more will come."""
        for held in self.redaction.flush():
            self._append([held])

    def elapsed(self) -> float:
        """Seconds since the run began."""
        return self._journal.elapsed()

    def close(self) -> None:
        self._journal.close()

    def _append(self, events: Sequence[Event]) -> None:
        if not events:
            return
        sync = any(isinstance(event, _SYNCED) for event in events)
        records = self._journal.append(events, sync=sync)
        for event in events:
            apply(self.state, event)
        self._publish(records)
