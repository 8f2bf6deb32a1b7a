"""Whether a record tells the deviations that its events entail, each where it belongs."""

from collections import deque

from nbrun import __version__
from nbrun.core import events as ev
from nbrun.core.deviations import deviations_of
from nbrun.core.events import Event
from nbrun.core.reducer import apply, changes_state
from nbrun.core.state import RunState


class DeviationChecker:
    """Follows a record from its first event, and derives again what is off script.

    What another version of nbrun wrote is followed and not judged: its rules may have been others.
    """

    def __init__(self) -> None:
        self.state = RunState()
        self.is_judged = False
        self._due: deque[ev.Deviated] = deque()

    @property
    def due(self) -> list[ev.Deviated]:
        """What the last event entails and the record does not tell yet: it was cut short there."""
        return list(self._due)

    @property
    def awaits(self) -> bool:
        """Whether the next event must be one of those."""
        return bool(self._due)

    def take(self, event: Event) -> str | None:
        """Go on with the record's next event; what is wrong with it, if something is.

        Raises:
            IllegalEventError: it can't happen there.
        """
        if not changes_state(event):
            return self._wrong(event) if self._due else None
        wrong = self._wrong(event) if self._due or isinstance(event, ev.Deviated) else None
        entailed = deviations_of(self.state, event)
        apply(self.state, event)
        self._heed_version(event)
        self._due.extend(entailed if self.is_judged else ())
        return wrong

    def _heed_version(self, event: Event) -> None:
        if isinstance(event, ev.RunStarted | ev.RunResumed):
            self.is_judged = event.versions.get("nbrun") == __version__

    def _wrong(self, event: Event) -> str | None:
        if not self.is_judged:
            return None
        expected = self._due.popleft() if self._due else None
        if event == expected:
            return None
        if expected is None:
            return "a deviation that nothing before it led to"
        self._due.clear()
        what = f"{expected.kind} of {expected.step}" if expected.step else expected.kind
        return f"it does not tell what came before it entails: the deviation {what}"
