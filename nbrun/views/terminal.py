"""A run on a terminal: each record becomes what an operator sees, live or replayed."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.text import Text

from nbrun import events as ev
from nbrun.events import Record
from nbrun.history import LastTime
from nbrun.state import RunState
from nbrun.views import broken, mime, remarks, summary, wording
from nbrun.views.ansi import plain
from nbrun.views.held import Held
from nbrun.views.look import Look
from nbrun.views.passing import Passing
from nbrun.views.region import Region
from nbrun.views.stream import to_text, unlaid
from nbrun.views.widgets import Widgets, model_of

_OUTCOME_STYLES = {"ok": "green", "interrupted": "yellow"}


class TerminalView:
    """Prints records as they come. `live`: the terminal can redraw its last lines, so that what
    a step prints changes in place, and is printed when it ends; `held`: the same, but for what is
    shown before. `output`: what cells print is shown. `look_back`: when each step ran last, by its
    id, of the runbook with this path; asked once, when the record has told which it is.
    `clock`: what the running step is timed by, in seconds.
    """

    def __init__(
        self,
        console: Console,
        *,
        live: bool,
        held: bool = False,
        output: bool = True,
        look: Look | None = None,
        look_back: Callable[[str], Mapping[str, LastTime]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console
        self._look = _possible(look or Look(), console)
        self._with_live = live and not self._look.plain
        self._with_held = self._with_live or held
        self._with_output = output
        self._look_back = look_back
        self._before: Mapping[str, LastTime] = {}
        self._pending: list[RenderableType] = []
        self._passing = Passing(self._shown, self._pending.append)
        self._widgets = Widgets()
        self._told: set[str] = set()
        self._held: Held | None = None
        self._region = Region(console, self._tail, clock)
        self._now = clock
        self._running = ""
        self._began = 0.0
        self._source = ""
        self._broke: broken.Cause | None = None
        self._language = "python"
        self._record = ""
        self._run = "last"
        self._head = ""

    def show(self, state: RunState, record: Record) -> None:
        """Take one record, with the state it led to. What it prints is out after `flush`."""
        self._head = record.hash
        shower = _SHOWERS.get(type(record.event))
        if shower is not None:
            shower(self, state, record.event, record.at)
        for text, style in remarks.lines(state, record.event, record.at):
            self._line(text, style)

    def flush(self) -> None:
        """Print what has been taken, in one piece."""
        pending = self._pending.copy()
        self._pending.clear()
        if pending:
            self._region.settle()
            self._print(pending)
        self._region.draw(force=bool(pending))

    def _print(self, pending: list[RenderableType]) -> None:
        """A picture of an output must never end a run: what can't be drawn is said to be there."""
        try:
            self._console.print(Group(*map(unlaid, pending)), crop=False)
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001  whatever a library makes of a kernel's output
            for each in pending if len(pending) > 1 else ():
                self._print([each])
            if len(pending) == 1:
                self._console.print(Text(f"(can't be shown here: {error!r}; the record has it)"))

    def tick(self) -> None:
        """Let the clock of a running step go on."""
        self._region.draw(force=False)

    def interject(self) -> None:
        """Begin a new line: a question stands on this one."""
        self._console.print()

    def suspend(self) -> None:
        """Leave the screen's last lines to a question."""
        self._end_output()
        self._region.stop()
        self.flush()

    def resume(self) -> None:
        """Show a running step's progress again."""
        if self._running:
            self._start_live()

    def close(self) -> None:
        """Print what is held, and give the terminal back."""
        self._end_output()
        self._region.stop()
        self.flush()

    def describe_record(self, where: str) -> None:
        """Where the record is kept, for the header and for outputs that can't be shown."""
        self._record = where

    # ── what runs ────────────────────────────────────────────────────────────────────────────

    def _begin(self, title: str, step: str) -> None:
        self._running, self._began, self._broke = title, self._now(), None
        self._hold(step)
        self._start_live()

    def _hold(self, step: str) -> None:
        if self._with_held:
            rest = f"nbrun log {self._run} --step {step}"
            self._held = Held(self._look.max_lines, self._shown, self._sketched, rest)

    def _start_live(self) -> None:
        if self._with_live:
            self._region.start(self._running, self._began)

    def _tail(self, console: Console, rows: int) -> list[list[Any]]:
        return self._held.region(console, rows) if self._held else []

    def _shown(self, output: dict[str, Any]) -> RenderableType:
        bar = self._widgets.text(model_of(output) or "")
        return to_text(bar) if bar else self._drawn(output)

    def _drawn(self, output: dict[str, Any]) -> RenderableType:
        return mime.renderable(output, record_hint=self._record, look=self._look)

    def _sketched(self, output: dict[str, Any]) -> RenderableType:
        """As it is shown while it may still change: pictures are drawn once, at the end."""
        look = replace(self._look, pictures=False)
        if model_of(output) is not None:
            return self._shown(output)
        return mime.renderable(output, record_hint=self._record, look=look)

    # ── what each event shows ────────────────────────────────────────────────────────────────

    def _put(self, *renderables: RenderableType) -> None:
        self._pending.extend(renderables)

    def _line(self, text: str, style: str = "") -> None:
        self._put(Text(plain(text), style=style))

    def _run_started(self, _state: RunState, event: ev.RunStarted, at: str) -> None:
        self._run = event.run
        self._put(summary.header(event, at, self._record), Text())
        for notice in event.notices:
            self._line(f"note: {notice}", "yellow")
        self._line(f"starting the kernel {event.kernelspec} …", "dim")

    def _kernel_started(self, state: RunState, _event: ev.KernelStarted, _at: str) -> None:
        if state.kernel_info is not None:
            info = state.kernel_info.language_info
            self._language = str(info.get("pygments_lexer") or state.kernel_info.language)

    def _kernel_died(self, _state: RunState, event: ev.KernelDied, _at: str) -> None:
        self._end_output()
        self._line(event.why, "bold red")

    def _kernel_idle(self, _state: RunState, event: ev.KernelIdle, _at: str) -> None:
        self._end_output()
        if event.told:
            self._line(f"the kernel says: {event.told}")

    def _attempt_started(self, state: RunState, event: ev.AttemptStarted, at: str) -> None:
        title = plain(wording.step(state, event.step) + _what(state, event))
        self._put(Text(), self._rule(title, wording.clock(at)))
        if event.attempt == 1 and (last := self._last_time(state, event.step)) is not None:
            self._line(f"last time {wording.last_time(last)}", "dim")
        self._narrate(state, event.step)
        coloured = self._console.color_system is not None
        self._put(mime.source(event.source, self._language if coloured else ""))
        if event.cause == "script":
            self._tell_answered_beforehand(state, event.step)
        self.flush()
        self._source = event.source
        self._begin(title, event.step)

    def _last_time(self, state: RunState, step: str) -> LastTime | None:
        if self._look_back is not None:
            self._before, self._look_back = self._look_back(state.plan.runbook), None
        return self._before.get(step)

    def _tell_answered_beforehand(self, state: RunState, step: str) -> None:
        known = state.steps.get(step)
        question = known.step.contract.confirm if known else None
        if question is not None:
            self._line(f"confirmed beforehand: {question}", "yellow")

    def _rule(self, title: str, clock: str) -> Text:
        """A step's title, and the time at the right edge."""
        if self._look.plain:
            return Text(f"{title} · {clock}", style="bold")
        line = "-" if self._console.options.ascii_only else "─"
        room = self._console.width - len(clock) - 2
        rule = Text(title, style="bold", no_wrap=True)
        rule.truncate(room - 2, overflow="ellipsis")
        rule.append(f" {line * (room - rule.cell_len - 1)} {clock}", "not bold dim")
        return rule

    def _narrate(self, state: RunState, step: str) -> None:
        """The Markdown before a step, once."""
        known = state.steps.get(step)
        if known is None or step in self._told:
            return
        self._told.add(step)
        told = [cell.source for cell in known.step.narration if cell.kind == "markdown"]
        self._put(*map(mime.markdown, told), *([Text()] if told else []))

    def _output(self, state: RunState, event: ev.Output, _at: str) -> None:
        if event.output.get("output_type") == "error" and not event.late:
            self._broke = broken.cause(event.output)
        if not self._with_output:
            return
        if self._held is not None and not event.late:
            self._held.take(event)
            return
        if event.late:
            self._passing.end_line()
            self._line(f"late output of {wording.step(state, event.step)}:", "dim")
        self._passing.take(event)
        if event.late:
            self._passing.end_line()

    def _end_output(self) -> None:
        """Print for good what is still held."""
        self._passing.end()
        if self._held is not None:
            self._put(*self._held.whole())

    def _output_updated(self, _state: RunState, event: ev.OutputUpdated, _at: str) -> None:
        if not self._with_output:
            return
        if self._held is not None:
            self._held.take(event)
        else:
            self._passing.update(event)

    def _widgets_changed(self, _state: RunState, event: ev.WidgetsChanged, _at: str) -> None:
        self._widgets.take(event)
        if self._held is not None:
            self._held.redraw()

    def _output_cleared(self, _state: RunState, event: ev.OutputCleared, _at: str) -> None:
        """What has scrolled by stays: a terminal erases nothing above its last lines."""
        self._passing.end_line()
        if self._held is not None:
            self._held.take(event)

    def _input_requested(self, _state: RunState, _event: ev.InputRequested, _at: str) -> None:
        self._end_output()

    def _attempt_finished(self, state: RunState, event: ev.AttemptFinished, _at: str) -> None:
        self._end_output()
        style = _OUTCOME_STYLES.get(event.outcome, "red")
        if wording.is_expected(state, event):
            style = "yellow"
        self._line(wording.finished(state, event), f"bold {style}")
        again = wording.again(state, event.step)
        if again:
            self._line(again, "yellow")
        self._running, self._held = "", None
        self._region.stop()
        self.flush()

    def _indeterminate(self, state: RunState, event: ev.AttemptIndeterminate, _at: str) -> None:
        self._end_output()
        self._running, self._held = "", None
        told = f"{wording.OUTCOMES['indeterminate']}: {event.why}"
        self._line(f"{wording.step(state, event.step)}: {told}", "bold red")
        self._region.stop()
        self.flush()

    def _replaced(self, _state: RunState, event: ev.RunbookReplaced, at: str) -> None:
        told = "the runbook as it is now is followed from here on"
        self._line(f"{wording.clock(at)} {event.operator.name}: {told}", "yellow")
        self._put(mime.source(event.diff, "diff"))

    def _stopped(self, state: RunState, event: ev.Stopped, at: str) -> None:
        if event.reason == "manual" and event.step is not None:
            self._ask_by_hand(state, event.step, at)
        where = wording.step(state, event.step) if event.step else "the end"
        self._put(Text(), Text(plain(f"STOPPED at {where}"), style="bold"))
        self._line(f"  {wording.clock(at)} {wording.stop(state, event)}")
        if event.reason in ("confirm", "manual", "approval"):
            for name, value in state.plan.parameters.items():
                self._line(f"  parameter {name} = {value!r}", "dim")
        if event.detail:
            self._line(f"  {event.detail}")
        if event.reason == "step_failed" and self._broke is not None:
            boxes = not (self._look.plain or self._console.options.ascii_only)
            self._put(*broken.told(self._broke, self._source, self._language, boxes=boxes))

    def _ask_by_hand(self, state: RunState, step: str, at: str) -> None:
        """What a person has to do, as the source of a code step is shown."""
        self._put(Text(), self._rule(plain(wording.step(state, step)), wording.clock(at)))
        self._narrate(state, step)
        self._put(mime.markdown(state.steps[step].step.source))

    def _capped(self, state: RunState, event: ev.OutputCapped, _at: str) -> None:
        self._end_output()
        self._line(f"{wording.step(state, event.step)}: {wording.capped(event)}", "yellow")

    def _run_finished(self, state: RunState, event: ev.RunFinished, at: str) -> None:
        self._end_output()
        self._region.stop()
        epilogue = [cell.source for cell in state.plan.epilogue if cell.kind == "markdown"]
        if state.current is None:
            self._put(*map(mime.markdown, epilogue))
        self._put(Text(), summary.footer(state, event, at, self._record, self._head))


def _possible(look: Look, console: Console) -> Look:
    """What of a look a console can give: a picture is nothing without its colours."""
    in_colour = console.color_system is not None and not console.no_color
    return replace(look, pictures=look.pictures and in_colour and not look.plain)


def _what(state: RunState, event: ev.AttemptStarted) -> str:
    """What else is said of an attempt beside its step's title."""
    impact = wording.impact(state, event.step)
    parts = [f" · {impact}"] if impact else []
    parts += [f" · attempt {event.attempt}"] if event.attempt > 1 else []
    if event.cause == "setup":
        parts.append(" · again, for the new kernel")
    if event.cause == "retry":
        parts.append(" · again, as the runbook says")
    if event.edited:
        parts.append(" · edited")
    return "".join(parts)


_SHOWERS: dict[type, Callable[[TerminalView, RunState, Any, str], None]] = {
    ev.RunStarted: TerminalView._run_started,
    ev.KernelStarted: TerminalView._kernel_started,
    ev.KernelDied: TerminalView._kernel_died,
    ev.KernelIdle: TerminalView._kernel_idle,
    ev.AttemptStarted: TerminalView._attempt_started,
    ev.Output: TerminalView._output,
    ev.OutputUpdated: TerminalView._output_updated,
    ev.OutputCleared: TerminalView._output_cleared,
    ev.WidgetsChanged: TerminalView._widgets_changed,
    ev.InputRequested: TerminalView._input_requested,
    ev.AttemptFinished: TerminalView._attempt_finished,
    ev.AttemptIndeterminate: TerminalView._indeterminate,
    ev.RunbookReplaced: TerminalView._replaced,
    ev.Stopped: TerminalView._stopped,
    ev.RunFinished: TerminalView._run_finished,
    ev.OutputCapped: TerminalView._capped,
}
