"""The output of steps on a terminal: buffered while it may change, or printed as it comes."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rich.console import Console, Group, RenderableType

from nbrun.core import events as ev
from nbrun.views.render import mime
from nbrun.views.render.widgets import ViewedModels, Widgets
from nbrun.views.terminal.event_lines import line
from nbrun.views.terminal.live_output import LiveOutput, Rows
from nbrun.views.terminal.row_limit import RowLimit
from nbrun.views.terminal.streamed_output import StreamedOutput
from nbrun.views.text.options import DisplayOptions

OutputChange = ev.OutputUpdated | ev.OutputCleared | ev.WidgetsChanged


class StepOutput:
    """Take output events and print, with `put`, outputs that are finished.

    `buffered`: outputs change in place until their attempt ends; else they are printed at once.
    `width` returns the columns of the terminal. `record_path`: the path of the record, for outputs
    that can't be shown.
    """

    def __init__(
        self,
        display: DisplayOptions,
        put: Callable[[RenderableType], None],
        width: Callable[[], int],
        *,
        buffered: bool,
    ) -> None:
        self.record_path = ""
        self._limit = RowLimit(display.max_lines, width)
        self._display = display
        self._live_display = replace(display, pictures=False)
        self._put = put
        self._buffered = buffered
        self._live: LiveOutput | None = None
        self._streamed = StreamedOutput(self._render, put)
        self._widgets = Widgets()
        self._viewed = ViewedModels(self._widgets)

    def begin(self, rest: str) -> None:
        """Begin an attempt. `rest` is the command that shows all of its output."""
        self._limit = replace(self._limit, rest=rest)
        if self._buffered:
            self._live = LiveOutput(self._limit, self._render, self._render_live)

    def last_rows(self, console: Console, rows: int) -> Rows:
        """Return the last rows of the buffered output, at most `rows`."""
        return self._live.last_rows(console, rows) if self._live else []

    def take(self, event: ev.Output) -> None:
        """Take an output of the running attempt."""
        if not event.widget and "data" not in event.output:  # text: most of a long record
            (self._live or self._streamed).take(event)
            return
        changed = self._widgets.take(event)
        self._viewed.add(event.output)
        if event.widget:
            (self._live or self._streamed).capture(event.widget, _captured_by(event.widget))
        else:
            (self._live or self._streamed).take(event)
        self._widgets_changed(changed)

    def take_late(self, event: ev.Output, of: str, rest: str) -> None:
        """Print output of an ended attempt, `of` a step. `rest`: see `begin`."""
        self._widgets.take(event)
        self._streamed.end_line()
        self._put(line(f"late output of {of}:", "dim"))
        if self._buffered:
            shown = self._draw(event.output, self._display)
            self._put(replace(self._limit, rest=rest).limit(shown))
            return
        self._streamed.take(event)
        self._streamed.end_line()

    def change(self, event: OutputChange) -> None:
        """Take a change. Output that has scrolled by stays: a terminal can't erase it."""
        if isinstance(event, ev.WidgetsChanged):
            self._viewed.note_closing(event)
        changed = self._widgets.take(event)
        match event:
            case ev.OutputUpdated() if self._live is not None:
                self._live.update(event, in_widget=changed)
            case ev.OutputUpdated() if not changed:
                self._streamed.update(event)
                self._print_if_due()
            case ev.OutputCleared(widget="") if self._live is not None:
                self._live.take(event)
            case ev.OutputCleared(widget=""):
                self._streamed.end_line()
        self._widgets_changed(changed)

    def _widgets_changed(self, changed: bool) -> None:
        if changed and self._live is not None:
            self._live.redraw()
        elif changed:
            self._print_if_due()

    def _print_if_due(self) -> None:
        if self._streamed.is_due():
            self.end()

    def end(self, *, attempt: bool = False) -> None:
        """Print all buffered output. `attempt`: the attempt has ended too."""
        self._streamed.end()
        if self._live is not None:
            for each in self._live.finish():
                self._put(each)
        self._viewed = ViewedModels(self._widgets)  # what is printed can't show more
        if attempt:
            self._live = None

    def _render(self, output: dict[str, Any]) -> RenderableType:
        return self._limit.limit(self._draw(output, self._display))

    def _render_live(self, output: dict[str, Any]) -> RenderableType:
        """Without pictures: these are drawn once, at the end."""
        return self._draw(output, self._live_display)

    def _draw(self, output: dict[str, Any], display: DisplayOptions) -> RenderableType:
        model = output.get(_CAPTURED)
        if model is None:
            outputs = self._widgets.outputs_of_view(output)
        else:
            outputs = [] if model in self._viewed else self._widgets.outputs_of_model(model)
        rendered = [
            mime.render_output(each, record_hint=self.record_path, display=display)
            for each in outputs
        ]
        return rendered[0] if len(rendered) == 1 else Group(*rendered)


_CAPTURED = "captured by"  # no key of an nbformat output


def _captured_by(model: str) -> dict[str, Any]:
    """Return an output that stands for what the widget `model` has captured."""
    return {"output_type": "captured", _CAPTURED: model}
