"""Conversion of kernel messages to events, each attributed to the attempt that caused it."""

import logging
import sys
from collections.abc import Mapping, Sequence
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
    KernelOutput,
    TextPrinted,
    WidgetChanged,
)

MAX_STREAM_CHARS = 2**20  # stream text in one event
MAX_DELAY = 0.05  # how long stream text is buffered for more

AttemptMessage = KernelOutput | InputWanted

# A value that is false, as kernels print it: Python, NumPy 2, JavaScript, R
_FALSE = frozenset({"False", "np.False_", "false", "[1] FALSE"})


def last_value(events: Sequence[Event]) -> Mapping[str, Any] | None:
    """Return the mime bundle of the last value of a cell among `events`; None if there is none."""
    for event in reversed(events):
        if isinstance(event, ev.Output) and event.output["output_type"] == "execute_result":
            found: Mapping[str, Any] = event.output["data"]
            return found
    return None


def is_false(value: Mapping[str, Any] | None) -> bool:
    """Return True if a mime bundle is that of a value that is false. No value is not false."""
    text = "" if value is None else value.get("text/plain", "")
    return isinstance(text, str) and text.strip() in _FALSE


@dataclass
class _StreamBuffer:
    """Stream text buffered briefly, so that a loop that prints makes few events."""

    step: str
    attempt: int
    name: str
    late: bool
    widget: str
    deadline: float
    chunks: list[str] = field(default_factory=list)
    size: int = 0

    def add(self, text: str) -> None:
        self.chunks.append(text)
        self.size += len(text)

    def event(self) -> ev.Output:
        output = {"output_type": "stream", "name": self.name, "text": "".join(self.chunks)}
        return ev.Output(
            step=self.step,
            attempt=self.attempt,
            output=output,
            late=self.late,
            widget=self.widget,
        )


@dataclass
class _WidgetBuffer:
    """Widget changes buffered briefly: a progress bar may change more often than anyone can see."""

    step: str
    attempt: int
    late: bool
    deadline: float
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    closed: list[str] = field(default_factory=list)

    def add(self, message: WidgetChanged) -> None:
        if message.closed:
            self.closed.append(message.model)
        else:
            self.models.setdefault(message.model, {}).update(message.state)

    def event(self) -> ev.WidgetsChanged:
        return ev.WidgetsChanged(
            step=self.step,
            attempt=self.attempt,
            models=self.models,
            late=self.late,
            closed=tuple(self.closed),
        )


class OutputCollector:
    """Converts messages to events. It knows which attempt each request belongs to.

    Times are seconds of one monotonic clock.
    """

    def __init__(self) -> None:
        self._requests: dict[str, ev.AttemptStarted] = {}
        self._last: ev.AttemptStarted | None = None
        self._buffer: _StreamBuffer | _WidgetBuffer | None = None

    def add_request(self, request: str, attempt: ev.AttemptStarted) -> None:
        """Attribute messages about `request` to `attempt` from now on."""
        self._requests[sys.intern(request)] = self._last = attempt

    def set_previous(self, attempt: ev.AttemptStarted) -> None:
        """Attribute messages that name no known request to `attempt`.

        It is the last attempt that ran before this process.
        """
        self._last = attempt

    def attempt_of(self, request: str) -> ev.AttemptStarted | None:
        """Return the attempt that `request` executes; None if it executes none."""
        return self._requests.get(request)

    @property
    def deadline(self) -> float | None:
        """Return when buffered output must be flushed; None without any."""
        return self._buffer.deadline if self._buffer else None

    def flush(self) -> list[Event]:
        """Return the event for buffered output, if any."""
        buffer, self._buffer = self._buffer, None
        return [buffer.event()] if buffer else []

    def collect(
        self, message: AttemptMessage, running: ev.AttemptStarted | None, now: float
    ) -> list[Event]:
        """Return the events that `message` makes, in order, while `running` is in flight.

        A message that names no known request is attributed to the last attempt.
        """
        attempt = self._requests.get(message.request, self._last)
        if attempt is None:
            logging.getLogger(__name__).warning("output before any step: %r", message)
            return []
        late = attempt is not running
        if isinstance(message, TextPrinted):
            return self._buffer_stream(message, attempt, late, now)
        if isinstance(message, WidgetChanged):
            return self._buffer_widgets(message, attempt, late, now)
        return self.flush() + _as_events(message, attempt, late)

    def _buffer_stream(
        self, message: TextPrinted, attempt: ev.AttemptStarted, late: bool, now: float
    ) -> list[Event]:
        events: list[Event] = []
        stream = _StreamBuffer(
            attempt.step, attempt.attempt, message.name, late, message.widget, now + MAX_DELAY
        )
        if not isinstance(self._buffer, _StreamBuffer) or not _same_stream(self._buffer, stream):
            events = self.flush()
            self._buffer = stream
        self._buffer.add(message.text)
        full = now >= self._buffer.deadline or self._buffer.size >= MAX_STREAM_CHARS
        return events + self.flush() if full else events

    def _buffer_widgets(
        self, message: WidgetChanged, attempt: ev.AttemptStarted, late: bool, now: float
    ) -> list[Event]:
        """Merge changes: only the newest state of each model counts."""
        events: list[Event] = []
        key = (attempt.step, attempt.attempt, late)
        buffer = self._buffer
        if (
            not isinstance(buffer, _WidgetBuffer)
            or (buffer.step, buffer.attempt, buffer.late) != key
        ):
            events = self.flush()
            self._buffer = buffer = _WidgetBuffer(*key, deadline=now + MAX_DELAY)
        buffer.add(message)
        return events + self.flush() if now >= buffer.deadline else events


def _same_stream(buffer: _StreamBuffer, new: _StreamBuffer) -> bool:
    return (buffer.step, buffer.attempt, buffer.name, buffer.late, buffer.widget) == (
        new.step,
        new.attempt,
        new.name,
        new.late,
        new.widget,
    )


def _as_events(
    message: Displayed | DisplayUpdated | Cleared | Capped | InputWanted,
    source_attempt: ev.AttemptStarted,
    late: bool,
) -> list[Event]:
    step, attempt = source_attempt.step, source_attempt.attempt
    match message:
        case Displayed(output=output, display_id=name, widget=widget):
            return [
                ev.Output(
                    step=step,
                    attempt=attempt,
                    output=output,
                    display_id=name,
                    late=late,
                    widget=widget,
                )
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
        case Cleared(wait=wait, widget=widget):
            return [
                ev.OutputCleared(step=step, attempt=attempt, wait=wait, late=late, widget=widget)
            ]
        case Capped():
            fields = msgspec.structs.asdict(message)
            del fields["request"]
            return [ev.OutputCapped(step=step, attempt=attempt, late=late, **fields)]
        case InputWanted(prompt=prompt, password=password) if not late:
            return [ev.InputRequested(step=step, attempt=attempt, prompt=prompt, password=password)]
    return []
