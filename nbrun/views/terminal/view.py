"""The view of a run on a terminal: prints each record, live or replayed."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.text import Text

from nbrun.core import events as ev
from nbrun.core.events import Record
from nbrun.core.state import RunState
from nbrun.views.render import mime, source
from nbrun.views.render.terminal_text import skip_layout
from nbrun.views.terminal import event_lines
from nbrun.views.terminal.event_lines import line
from nbrun.views.terminal.live_region import LiveRegion
from nbrun.views.terminal.step_header import LoadLastTimes, StepHeader, title
from nbrun.views.terminal.step_output import OutputChange, StepOutput
from nbrun.views.text import header_footer, phrases
from nbrun.views.text.event_summary import EventSummary, describe
from nbrun.views.text.options import DisplayOptions

_OUTCOME_STYLES = {"ok": "green", "interrupted": "yellow"}


class TerminalView:
    """Print records as they come.

    `live`: show the running step's output in a region that is redrawn in place, and print it when
    the step ends. `buffered`: print output only when the step ends, without a region. `output`:
    show what cells print. `load_last_times`: see `StepHeader`. `clock` times the running step, in
    seconds.
    """

    def __init__(
        self,
        console: Console,
        *,
        live: bool,
        buffered: bool = False,
        output: bool = True,
        display: DisplayOptions | None = None,
        load_last_times: LoadLastTimes | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console
        supported = _supported(display or DisplayOptions(), console)
        self._with_live = live and not supported.plain
        self._with_output = output
        self._pending: list[RenderableType] = []
        self._header = StepHeader(console, supported, load_last_times)
        self._output = StepOutput(
            supported,
            self._put,
            lambda: self._console.width,
            buffered=self._with_live or buffered,
        )
        self._region = LiveRegion(console, self._output.last_rows, clock)
        self._now = clock
        self._running = ""
        self._began = 0.0
        self._record_path = ""
        self._run = "last"
        self._head = ""

    def show(self, state: RunState, record: Record) -> None:
        """Take a record and the state after it. `flush` prints what it shows."""
        try:
            self._show(state, record)
        except OSError:  # the screen is gone
            raise
        except Exception as error:  # noqa: BLE001  no output of a cell may end the console
            self._put(_not_shown(error))

    def _show(self, state: RunState, record: Record) -> None:
        self._head = record.hash
        event = record.event
        if type(event) is ev.Output:  # most events are outputs, and have no summary
            self._show_output(state, event)
            return
        handler = _HANDLERS.get(type(event))
        if handler is not None:
            handler(self, state, event, record.at)
        summary = describe(state, record)
        if summary is not None and summary.kind != "stop":  # a stop has a block of its own
            self._summarise(summary)

    def flush(self) -> None:
        """Print what the records taken so far show, in one write."""
        pending = self._pending.copy()
        self._pending.clear()
        if pending:
            self._region.erase_reflowed()
            self._print(pending)
        self._region.draw(force=bool(pending))

    def _print(self, pending: list[RenderableType]) -> None:
        """Print, and say so where an output can't be shown: an output must never end a run."""
        try:
            self._console.print(Group(*skip_layout(pending, self._console.width)), crop=False)
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001  a library may raise anything on a kernel's output
            for each in pending if len(pending) > 1 else ():
                self._print([each])
            if len(pending) == 1:
                self._console.print(_not_shown(error))

    def tick(self) -> None:
        """Redraw the clock of a running step, if it is due."""
        self._region.draw(force=False)

    def interject(self, hide: Callable[[], None]) -> None:
        """Print what was taken, above a question that `hide` takes off the screen."""
        if self._pending:
            hide()
            self.flush()

    def suspend(self) -> None:
        """Print buffered output and erase the live region: a question follows."""
        self._output.end()
        self._region.stop()
        self.flush()

    def resume(self) -> None:
        """Show the live region of a running step again, after a question."""
        if self._running:
            self._start_live()

    def close(self) -> None:
        """Print buffered output and erase the live region."""
        self._output.end()
        self._region.stop()
        self.flush()

    def set_record_path(self, path: str) -> None:
        """Set the path of the record, for the header and for outputs that can't be shown."""
        self._record_path = self._output.record_path = path

    # ── what each event shows ────────────────────────────────────────────────────────────────

    def _put(self, *renderables: RenderableType) -> None:
        self._pending.extend(renderables)

    def _line(self, text: str, style: str = "") -> None:
        self._put(line(text, style))

    def _summarise(self, summary: EventSummary) -> None:
        self._put(*event_lines.lines(summary))
        if summary.diff:
            self._put(source.highlight(summary.diff, "diff"))

    def _start_live(self) -> None:
        """Show the region from the next `flush` on: none for a step that ends before it."""
        if self._with_live:
            self._region.start(self._running, self._began)

    def _end_attempt(self) -> None:
        """Print the rest of the attempt's output."""
        self._output.end(attempt=True)
        self._running = ""

    def _run_started(self, _state: RunState, event: ev.RunStarted, at: str) -> None:
        self._run = event.run
        self._put(header_footer.header(event, at, self._record_path), Text())
        for notice in event.notices:
            self._line(f"note: {notice}", "yellow")
        if not event.policy.by_hand:
            self._line(f"starting the kernel {event.kernelspec} …", "dim")

    def _kernel_started(self, state: RunState, _event: ev.KernelStarted, _at: str) -> None:
        if state.kernel_info is not None:
            info = state.kernel_info.language_info
            self._header.language = str(info.get("pygments_lexer") or state.kernel_info.language)

    def _attempt_started(self, state: RunState, event: ev.AttemptStarted, at: str) -> None:
        self._put(*self._header.attempt(state, event, at))
        self._running, self._began = title(state, event), self._now()
        self._output.begin(self._whole_output_of(event.step))
        self._start_live()

    def _show_output(self, state: RunState, event: ev.Output) -> None:
        if event.output.get("output_type") == "error" and not event.late:
            self._header.remember_error(event.output)
        elif event.output.get("output_type") == "stream" and not event.late:
            self._header.remember_stream(event.output)
        if not self._with_output:
            return
        if event.late:
            name = phrases.step(state, event.step)
            self._output.take_late(event, name, self._whole_output_of(event.step))
        else:
            self._output.take(event)

    def _whole_output_of(self, step: str) -> str:
        """Return the command that shows all that a step printed."""
        return f"nbrun log {self._run} --step {step}"

    def _output_changed(self, _state: RunState, event: OutputChange, _at: str) -> None:
        if self._with_output:
            self._output.change(event)

    def _end_output(self, _state: RunState, _event: ev.Event, _at: str) -> None:
        self._output.end()

    def _attempt_finished(self, state: RunState, event: ev.AttemptFinished, _at: str) -> None:
        self._end_attempt()
        self._header.remember_result(event)
        style = _OUTCOME_STYLES.get(event.outcome, "red")
        if phrases.is_allowed_error(state, event) or event.holds is False:
            style = "yellow"
        self._line(phrases.attempt_result(state, event), f"bold {style}")
        retry = phrases.next_retry(state, event.step)
        if retry:
            self._line(retry, "yellow")
        meaning = phrases.check_meaning(state, event)
        if meaning:
            self._line(meaning, style)
        self._region.stop()

    def _indeterminate(self, _state: RunState, _event: ev.AttemptIndeterminate, _at: str) -> None:
        self._end_attempt()
        self._region.stop()

    def _stopped(self, state: RunState, event: ev.Stopped, at: str) -> None:
        self._put(*self._header.stop(state, event, at))

    def _run_finished(self, state: RunState, event: ev.RunFinished, at: str) -> None:
        self._output.end()
        self._region.stop()
        epilogue = [cell.source for cell in state.plan.epilogue if cell.kind == "markdown"]
        if state.current is None:
            self._put(*map(mime.render_markdown, epilogue))
        self._put(Text(), header_footer.footer(state, event, at, self._record_path, self._head))


def _not_shown(error: Exception) -> Text:
    return line(f"(can't be shown here: {error!r}; the record has it)")


def _supported(display: DisplayOptions, console: Console) -> DisplayOptions:
    """Return `display` without pictures if the console can't show them: they need colours."""
    in_colour = console.color_system is not None and not console.no_color
    return replace(display, pictures=display.pictures and in_colour and not display.plain)


_HANDLERS: dict[type, Callable[[TerminalView, RunState, Any, str], None]] = {
    ev.RunStarted: TerminalView._run_started,
    ev.KernelStarted: TerminalView._kernel_started,
    ev.KernelDied: TerminalView._end_output,
    ev.KernelIdle: TerminalView._end_output,
    ev.AttemptStarted: TerminalView._attempt_started,
    ev.OutputUpdated: TerminalView._output_changed,
    ev.OutputCleared: TerminalView._output_changed,
    ev.WidgetsChanged: TerminalView._output_changed,
    ev.InputRequested: TerminalView._end_output,
    ev.AttemptFinished: TerminalView._attempt_finished,
    ev.AttemptIndeterminate: TerminalView._indeterminate,
    ev.Stopped: TerminalView._stopped,
    ev.RunFinished: TerminalView._run_finished,
    ev.OutputCapped: TerminalView._end_output,
}
