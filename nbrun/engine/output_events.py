"""What the kernel says, made into events: each message put to the attempt that caused it."""

import logging
import sys
from dataclasses import dataclass, field
from typing import Any

import msgspec

from nbrun.core import events as ev
from nbrun.core.events import Event
from nbrun.kernel.messages import (
    Capped,
    Cleared,
    Displayed,
    DisplayUpdated,
    InputWanted,
    Printed,
    WidgetChanged,
)

MAX_STREAM_CHARS = 2**20  # characters of stream text that become one event
COALESCE_SECONDS = 0.05  # seconds that stream text may wait for more of it

AttemptMessage = (
    Printed | Displayed | DisplayUpdated | Cleared | WidgetChanged | Capped | InputWanted
)


@dataclass
class _Stream:
    """Stream text held back for a moment, so that a loop that prints makes few events."""

    step: str
    attempt: int
    name: str
    late: bool
    due: float
    chunks: list[str] = field(default_factory=list)
    size: int = 0

    def add(self, text: str) -> None:
        self.chunks.append(text)
        self.size += len(text)

    def event(self) -> ev.Output:
        output = {"output_type": "stream", "name": self.name, "text": "".join(self.chunks)}
        return ev.Output(step=self.step, attempt=self.attempt, output=output, late=self.late)


@dataclass
class _Widgets:
    """Changes of widgets held back for a moment: a bar moves more often than anyone looks."""

    step: str
    attempt: int
    late: bool
    due: float
    models: dict[str, dict[str, Any]] = field(default_factory=dict)

    def event(self) -> ev.WidgetsChanged:
        return ev.WidgetsChanged(
            step=self.step, attempt=self.attempt, models=self.models, late=self.late
        )


class OutputCollector:
    """Knows which attempt each request was. Times are seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._requests: dict[str, ev.AttemptStarted] = {}
        self._last: ev.AttemptStarted | None = None
        self._held: _Stream | _Widgets | None = None

    def sent(self, request: str, attempt: ev.AttemptStarted) -> None:
        """From here on, messages about `request` belong to `attempt`."""
        self._requests[sys.intern(request)] = self._last = attempt

    def went_before(self, attempt: ev.AttemptStarted) -> None:
        """What ran last before this process: a message that names no request of ours is of it."""
        self._last = attempt

    def attempt_of(self, request: str) -> ev.AttemptStarted | None:
        """The attempt that `request` was; None for a request that was no attempt."""
        return self._requests.get(request)

    @property
    def due(self) -> float | None:
        """When what is held back must be let go."""
        return self._held.due if self._held else None

    def release(self) -> list[Event]:
        """What was held back."""
        held, self._held = self._held, None
        return [held.event()] if held else []

    def hear(
        self, said: AttemptMessage, running: ev.AttemptStarted | None, now: float
    ) -> list[Event]:
        """The events that `said` makes, in order, while `running` is in flight.

        A message that names no request of ours comes of what ran last.
        """
        attempt = self._requests.get(said.request, self._last)
        if attempt is None:
            logging.getLogger(__name__).warning("output before any step: %r", said)
            return []
        late = attempt is not running
        if isinstance(said, Printed):
            return self._gather(said, attempt, late, now)
        if isinstance(said, WidgetChanged):
            return self._merge(said, attempt, late, now)
        return self.release() + _as_events(said, attempt, late)

    def _gather(
        self, said: Printed, attempt: ev.AttemptStarted, late: bool, now: float
    ) -> list[Event]:
        events: list[Event] = []
        stream = _Stream(attempt.step, attempt.attempt, said.name, late, now + COALESCE_SECONDS)
        if not isinstance(self._held, _Stream) or not _same(self._held, stream):
            events = self.release()
            self._held = stream
        self._held.add(said.text)
        full = now >= self._held.due or self._held.size >= MAX_STREAM_CHARS
        return events + self.release() if full else events

    def _merge(
        self, said: WidgetChanged, attempt: ev.AttemptStarted, late: bool, now: float
    ) -> list[Event]:
        """The newest state of each model is what counts."""
        events: list[Event] = []
        key = (attempt.step, attempt.attempt, late)
        held = self._held
        if not isinstance(held, _Widgets) or (held.step, held.attempt, held.late) != key:
            events = self.release()
            self._held = held = _Widgets(*key, due=now + COALESCE_SECONDS)
        held.models.setdefault(said.model, {}).update(said.state)
        return events + self.release() if now >= held.due else events


def _same(held: _Stream, new: _Stream) -> bool:
    return (held.step, held.attempt, held.name, held.late) == (
        new.step,
        new.attempt,
        new.name,
        new.late,
    )


def _as_events(
    said: Displayed | DisplayUpdated | Cleared | Capped | InputWanted,
    by: ev.AttemptStarted,
    late: bool,
) -> list[Event]:
    step, attempt = by.step, by.attempt
    match said:
        case Displayed(output=output, display_id=name):
            return [
                ev.Output(step=step, attempt=attempt, output=output, display_id=name, late=late)
            ]
        case DisplayUpdated(display_id=name, data=data, metadata=metadata):
            return [
                ev.OutputUpdated(
                    step=step,
                    attempt=attempt,
                    display_id=name,
                    data=data,
                    metadata=metadata,
                    late=late,
                )
            ]
        case Cleared(wait=wait):
            return [ev.OutputCleared(step=step, attempt=attempt, wait=wait, late=late)]
        case Capped():
            told = msgspec.structs.asdict(said)
            del told["request"]
            return [ev.OutputCapped(step=step, attempt=attempt, late=late, **told)]
        case InputWanted(prompt=prompt, password=password) if not late:
            return [ev.InputRequested(step=step, attempt=attempt, prompt=prompt, password=password)]
    return []
