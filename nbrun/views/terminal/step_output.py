"""What steps print, on a terminal: held while it may still change, or put as it comes."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rich.console import Console, RenderableType

from nbrun.core import events as ev
from nbrun.views.render import mime
from nbrun.views.render.terminal_text import screen_text
from nbrun.views.render.widgets import Widgets, model_id_of
from nbrun.views.terminal.event_lines import line
from nbrun.views.terminal.live_output import Held, Lines
from nbrun.views.terminal.streamed_output import Passing
from nbrun.views.text.options import DisplayOptions

Change = ev.OutputUpdated | ev.OutputCleared | ev.WidgetsChanged


class StepOutput:
    """Takes the events of outputs, and `put`s what is done. `held`: what an attempt prints changes
    in place until `end`; else it is put at once. `where` is where the record is kept."""

    def __init__(
        self, display: DisplayOptions, put: Callable[[RenderableType], None], *, held: bool
    ) -> None:
        self.where = ""
        self._display = display
        self._sketch = replace(display, pictures=False)
        self._put = put
        self._with_held = held
        self._held: Held | None = None
        self._passing = Passing(self._shown, put)
        self._widgets = Widgets()

    def begin(self, rest: str) -> None:
        """An attempt begins; `rest` is the command that shows what is left out of its output."""
        if self._with_held:
            self._held = Held(self._display.max_lines, self._shown, self._sketched, rest)

    def region(self, console: Console, rows: int) -> Lines:
        """The end of what is held, as a screen has it."""
        return self._held.region(console, rows) if self._held else []

    def take(self, event: ev.Output) -> None:
        if self._held is not None:
            self._held.take(event)
        else:
            self._passing.take(event)

    def take_late(self, event: ev.Output, of: str) -> None:
        """Output of an attempt, `of` a step, that has ended."""
        self._passing.end_line()
        self._put(line(f"late output of {of}:", "dim"))
        self._passing.take(event)
        self._passing.end_line()

    def change(self, event: Change) -> None:
        """What has scrolled by stays: a terminal erases nothing above its last lines."""
        match event:
            case ev.WidgetsChanged():
                self._widgets.take(event)
                if self._held is not None:
                    self._held.redraw()
            case _ if self._held is not None:
                self._held.take(event)
            case ev.OutputUpdated():
                self._passing.update(event)
            case ev.OutputCleared():
                self._passing.end_line()

    def end(self, *, attempt: bool = False) -> None:
        """Put for good what is still held. `attempt`: it has ended, and prints no more but late."""
        self._passing.end()
        if self._held is not None:
            for each in self._held.whole():
                self._put(each)
        if attempt:
            self._held = None

    def _shown(self, output: dict[str, Any]) -> RenderableType:
        return self._drawn(output, self._display)

    def _sketched(self, output: dict[str, Any]) -> RenderableType:
        """As it is shown while it may still change: pictures are drawn once, at the end."""
        return self._drawn(output, self._sketch)

    def _drawn(self, output: dict[str, Any], display: DisplayOptions) -> RenderableType:
        bar = self._widgets.text(model_id_of(output) or "")
        return (
            screen_text(bar)
            if bar
            else mime.render_output(output, record_hint=self.where, display=display)
        )
