"""The outputs of an attempt printed as they come, where nothing is redrawn in place."""

import time
from collections.abc import Callable
from typing import Any

from rich.console import RenderableType

from nbrun.core import events as ev
from nbrun.views.render.terminal_text import TerminalBuffer
from nbrun.views.render.widgets import model_id_of

UPDATES = 5.0  # seconds between two printings of a display that changes

Render = Callable[[dict[str, Any]], RenderableType]
Put = Callable[[RenderableType], None]


class Passing:
    """Takes output events, and puts what is done. What may still change, an unfinished line, a
    display, a widget, is put in the end, or now and then in its newest state."""

    def __init__(self, render: Render, put: Put) -> None:
        self._render = render
        self._put = put
        self._stream = TerminalBuffer()
        self._stream_name = ""
        self._updates: dict[str, RenderableType] = {}
        self._widgets: dict[str, dict[str, Any]] = {}
        self._updated = 0.0

    def take(self, event: ev.Output) -> None:
        output = event.output
        model = model_id_of(output)
        if output.get("output_type") == "stream":
            self._print(output)
        elif model is not None and not event.late:
            self._widgets[model] = output
        else:
            self.end_line()
            self._put(self._render(output))

    def update(self, event: ev.OutputUpdated) -> None:
        """The newest state now and then, and the last one."""
        output = {"output_type": "display_data", "data": event.data, "metadata": event.metadata}
        self._updates[event.display_id] = self._render(output)
        if time.monotonic() - self._updated >= UPDATES:
            self._updated = time.monotonic()
            self.end()

    def end_line(self) -> None:
        """Put an unfinished line."""
        rest = self._stream.finish()
        if rest is not None:
            self._put(rest)

    def end(self) -> None:
        """Put all that is left."""
        self.end_line()
        for shown in (*self._updates.values(), *map(self._render, self._widgets.values())):
            self._put(shown)
        self._updates.clear()
        self._widgets.clear()

    def _print(self, output: dict[str, Any]) -> None:
        name = str(output.get("name"))
        if name != self._stream_name:
            self.end_line()
            self._stream_name = name
        lines = self._stream.feed(str(output.get("text", "")))
        if lines is not None:
            self._put(lines)
