"""The outputs of an attempt, printed as they come, for terminals where nothing is redrawn."""

import time
from collections.abc import Callable
from typing import Any

from rich.console import RenderableType

from nbrun.core import events as ev
from nbrun.views.render.terminal_text import TerminalBuffer
from nbrun.views.render.widgets import model_id_of

UPDATE_INTERVAL = 5.0  # seconds between two printings of a display that changes

Render = Callable[[dict[str, Any]], RenderableType]
Put = Callable[[RenderableType], None]


class StreamedOutput:
    """Take output events and print finished outputs at once.

    Unfinished lines, displays and widgets may still change. They are printed by `end`, which has to
    be called at the end of an attempt, and when a change leaves them `due`. `put` prints.
    """

    def __init__(self, render: Render, put: Put) -> None:
        self._render = render
        self._put = put
        self._stream = TerminalBuffer()
        self._stream_name = ""
        self._updates: dict[str, RenderableType] = {}
        self._views: dict[str, dict[str, Any]] = {}
        self._captures: dict[str, dict[str, Any]] = {}
        self._updated = 0.0

    def take(self, event: ev.Output) -> None:
        """Take an output, and print it if it can't change any more."""
        output = event.output
        model = model_id_of(output)
        if output.get("output_type") == "stream":
            self._print(output)
        elif model is not None and not event.late:
            self._views[model] = output
        else:
            self.end_line()
            self._put(self._render(output))

    def update(self, event: ev.OutputUpdated) -> None:
        """Take the newest state of a display."""
        output = {"output_type": "display_data", "data": event.data, "metadata": event.metadata}
        self._updates[event.display_id] = self._render(output)

    def capture(self, model: str, output: dict[str, Any]) -> None:
        """Take `output`, which stands for what the widget `model` holds."""
        self._captures[model] = output

    def is_due(self) -> bool:
        """Return True, once, if `UPDATE_INTERVAL` has passed since it last did."""
        due = time.monotonic() - self._updated >= UPDATE_INTERVAL
        self._updated = time.monotonic() if due else self._updated
        return due

    def end_line(self) -> None:
        """Print an unfinished line."""
        rest = self._stream.finish()
        if rest is not None:
            self._put(rest)

    def end(self) -> None:
        """Print everything that is left."""
        self.end_line()
        widgets = *self._views.values(), *self._captures.values()
        for shown in (*self._updates.values(), *map(self._render, widgets)):
            self._put(shown)
        self._updates.clear()
        self._views.clear()
        self._captures.clear()

    def _print(self, output: dict[str, Any]) -> None:
        name = str(output.get("name"))
        if name != self._stream_name:
            self.end_line()
            self._stream_name = name
        lines = self._stream.feed(str(output.get("text", "")))
        if lines is not None:
            self._put(lines)
