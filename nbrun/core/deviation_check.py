"""The check that a record has every deviation that its events imply, in its place."""

from collections import deque

from nbrun import __version__
from nbrun.core import events as ev
from nbrun.core.deviations import deviations_of
from nbrun.core.events import Event
from nbrun.core.reducer import apply, changes_state
from nbrun.core.state import RunState


class DeviationChecker:
    """Follows a record from its first event and derives its deviations again.

    Only events written by this version of nbrun are checked: other versions may have had other
    rules.
    """

    def __init__(self) -> None:
        self.state = RunState()
        self.is_checked = False
        self._missing: deque[ev.Deviated] = deque()

    @property
    def missing(self) -> list[ev.Deviated]:
        """Return the deviations that the last event implies and that have not followed yet."""
        return list(self._missing)

    def add(self, event: Event) -> str | None:
        """Take the record's next event; return what is wrong with it, or None.

        Raises:
            IllegalEventError: the event is illegal in the current state.
        """
        if not changes_state(event):
            return self._fault(event) if self._missing else None
        fault = self._fault(event) if self._missing or isinstance(event, ev.Deviated) else None
        implied = deviations_of(self.state, event)
        apply(self.state, event)
        self._check_version(event)
        self._missing.extend(implied if self.is_checked else ())
        return fault

    def _check_version(self, event: Event) -> None:
        if isinstance(event, ev.RunStarted | ev.RunResumed):
            self.is_checked = event.versions.get("nbrun") == __version__

    def _fault(self, event: Event) -> str | None:
        if not self.is_checked:
            return None
        expected = self._missing.popleft() if self._missing else None
        if event == expected:
            return None
        if expected is None:
            return "a deviation that no event before it implies"
        self._missing.clear()
        missing = f"{expected.kind} of {expected.step}" if expected.step else expected.kind
        return f"the deviation {missing} is missing, which an event before it implies"
