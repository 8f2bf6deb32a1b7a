"""The output of steps on a terminal: buffered while it may change, or printed as it comes."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rich.console import Console, RenderableType

from nbrun.core import events as ev
from nbrun.views.render import mime
from nbrun.views.render.terminal_text import screen_text
from nbrun.views.render.widgets import Widgets, model_id_of
from nbrun.views.terminal.event_lines import line
from nbrun.views.terminal.live_output import LiveOutput, Rows
from nbrun.views.terminal.streamed_output import StreamedOutput
from nbrun.views.text.options import DisplayOptions

OutputChange = ev.OutputUpdated | ev.OutputCleared | ev.WidgetsChanged


class StepOutput:
    """Take output events and print, with `put`, outputs that are finished.

    `buffered`: outputs change in place until their attempt ends; else they are printed at once.
    `record_path`: the path of the record, for outputs that can't be shown.
    """

    def __init__(
        self, display: DisplayOptions, put: Callable[[RenderableType], None], *, buffered: bool
    ) -> None:
        self.record_path = ""
        self._display = display
        self._live_display = replace(display, pictures=False)
        self._put = put
        self._buffered = buffered
        self._live: LiveOutput | None = None
        self._streamed = StreamedOutput(self._render, put)
        self._widgets = Widgets()

    def begin(self, rest: str) -> None:
        """Begin an attempt. `rest` is the command that shows all of its output."""
        if self._buffered:
            max_lines = self._display.max_lines
            self._live = LiveOutput(max_lines, self._render, self._render_live, rest)

    def last_rows(self, console: Console, rows: int) -> Rows:
        """Return the last rows of the buffered output, at most `rows`."""
        return self._live.last_rows(console, rows) if self._live else []

    def take(self, event: ev.Output) -> None:
        """Take an output of the running attempt."""
        if self._live is not None:
            self._live.take(event)
        else:
            self._streamed.take(event)

    def take_late(self, event: ev.Output, of: str) -> None:
        """Print output of an ended attempt, `of` a step."""
        self._streamed.end_line()
        self._put(line(f"late output of {of}:", "dim"))
        self._streamed.take(event)
        self._streamed.end_line()

    def change(self, event: OutputChange) -> None:
        """Take a change. Output that has scrolled by stays: a terminal can't erase it."""
        match event:
            case ev.WidgetsChanged():
                self._widgets.take(event)
                if self._live is not None:
                    self._live.redraw()
            case _ if self._live is not None:
                self._live.take(event)
            case ev.OutputUpdated():
                self._streamed.update(event)
            case ev.OutputCleared():
                self._streamed.end_line()

    def end(self, *, attempt: bool = False) -> None:
        """Print all buffered output. `attempt`: the attempt has ended too."""
        self._streamed.end()
        if self._live is not None:
            for each in self._live.finish():
                self._put(each)
        if attempt:
            self._live = None

    def _render(self, output: dict[str, Any]) -> RenderableType:
        return self._draw(output, self._display)

    def _render_live(self, output: dict[str, Any]) -> RenderableType:
        """Without pictures: these are drawn once, at the end."""
        return self._draw(output, self._live_display)

    def _draw(self, output: dict[str, Any], display: DisplayOptions) -> RenderableType:
        bar = self._widgets.text(model_id_of(output) or "")
        return (
            screen_text(bar)
            if bar
            else mime.render_output(output, record_hint=self.record_path, display=display)
        )
