"""A run on a terminal: each record becomes what an operator sees, live or replayed."""

import time
from collections.abc import Callable
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from nbrun import events as ev
from nbrun.events import Record
from nbrun.state import RunState
from nbrun.views import mime, summary, wording
from nbrun.views.ansi import Stream, plain

REFRESH = 0.1  # seconds between two drawings of the live region

_OUTCOME_STYLES = {"ok": "green", "interrupted": "yellow"}


class TerminalView:
    """Prints records as they come. `live`: the terminal can redraw its last lines, so that
    unfinished lines and progress are shown in place; `output`: what cells print is shown.
    """

    def __init__(self, console: Console, *, live: bool, output: bool = True) -> None:
        self._console = console
        self._with_live = live
        self._with_output = output
        self._pending: list[RenderableType] = []
        self._stream = Stream()
        self._stream_name = ""
        self._displays: dict[str, RenderableType] = {}
        self._told: set[str] = set()
        self._live: Live | None = None
        self._running = ""
        self._began = 0.0
        self._drawn = 0.0
        self._language = "python"
        self._record = ""
        self._head = ""

    def show(self, state: RunState, record: Record) -> None:
        """Take one record, with the state it led to. What it prints is out after `flush`."""
        self._head = record.hash
        shower = _SHOWERS.get(type(record.event))
        if shower is not None:
            shower(self, state, record.event, record.at)

    def flush(self) -> None:
        """Print what has been taken, in one piece."""
        pending, self._pending = self._pending, []
        if pending:
            self._print(pending)
        self._draw(force=bool(pending))

    def _print(self, pending: list[RenderableType]) -> None:
        """A picture of an output must never end a run: what can't be drawn is said to be there."""
        try:
            self._console.print(Group(*pending), crop=False)
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001  whatever a library makes of a kernel's output
            for each in pending if len(pending) > 1 else ():
                self._print([each])
            if len(pending) == 1:
                self._console.print(Text(f"(can't be shown here: {error!r}; the record has it)"))

    def tick(self) -> None:
        """Let the clock of a running step go on."""
        self._draw(force=False)

    def interject(self) -> None:
        """Begin a new line: a question stands on this one."""
        self._console.print()

    def suspend(self) -> None:
        """Leave the screen's last lines to a question."""
        self._end_output()
        self.flush()
        self._stop_live()

    def resume(self) -> None:
        """Show a running step's progress again."""
        if self._running:
            self._start_live(self._running, self._began)

    def close(self) -> None:
        """Print what is held, and give the terminal back."""
        self._end_output()
        self.flush()
        self._stop_live()

    def describe_record(self, where: str) -> None:
        """Where the record is kept, for the header and for outputs that can't be shown."""
        self._record = where

    # ── the live region ──────────────────────────────────────────────────────────────────────

    def _start_live(self, running: str, began: float) -> None:
        self._running, self._began = running, began
        if not self._with_live:
            return
        self._live = Live(
            console=self._console, auto_refresh=False, transient=True, vertical_overflow="crop"
        )
        self._live.start()
        self._console.show_cursor(True)  # a killed console must not leave a terminal without one

    def _stop_live(self) -> None:
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def _draw(self, *, force: bool) -> None:
        now = time.monotonic()
        if self._live is None or not (force or now - self._drawn >= REFRESH):
            return
        self._drawn = now
        self._live.update(self._region(now), refresh=True)

    def _region(self, now: float) -> RenderableType:
        elapsed = wording.duration(now - self._began)
        progress = Text(f"running {self._running} · {elapsed}", style="dim", no_wrap=True)
        progress.truncate(self._console.width - 1, overflow="ellipsis")
        pending = self._stream.pending
        return Group(*self._displays.values(), *([pending] if pending else []), progress)

    # ── what each event shows ────────────────────────────────────────────────────────────────

    def _put(self, *renderables: RenderableType) -> None:
        self._pending.extend(renderables)

    def _line(self, text: str, style: str = "") -> None:
        self._put(Text(plain(text), style=style))

    def _run_started(self, _state: RunState, event: ev.RunStarted, at: str) -> None:
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

    def _kernel_restarted(self, state: RunState, event: ev.KernelRestarted, _at: str) -> None:
        self._line(f"a new kernel is ready (number {state.generation} of this run)", "yellow")
        self._line(wording.lost(event), "yellow")

    def _kernel_reattached(self, _state: RunState, event: ev.KernelReattached, _at: str) -> None:
        self._line(wording.reattached(event), "yellow")

    def _kernel_idle(self, _state: RunState, event: ev.KernelIdle, _at: str) -> None:
        self._end_output()
        if event.told:
            self._line(f"the kernel says: {event.told}")

    def _kernel_interrupted(self, _state: RunState, event: ev.KernelInterrupted, _at: str) -> None:
        what = "killing the kernel" if event.kill else "interrupting the step"
        self._line(f"{what}: {event.why}", "yellow")

    def _attempt_started(self, state: RunState, event: ev.AttemptStarted, at: str) -> None:
        title = plain(wording.step(state, event.step) + _which_attempt(event))
        self._put(Text(), self._rule(title, wording.clock(at)))
        self._narrate(state, event.step)
        self._put(mime.source(event.source, self._language))
        if event.cause == "script":
            self._tell_answered_beforehand(state, event.step)
        self.flush()
        self._start_live(title, time.monotonic())

    def _tell_answered_beforehand(self, state: RunState, step: str) -> None:
        known = state.steps.get(step)
        question = known.step.contract.confirm if known else None
        if question is not None:
            self._line(f"confirmed beforehand: {question}", "yellow")

    def _rule(self, title: str, clock: str) -> Text:
        """A step's title, and the time at the right edge."""
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
        if not self._with_output:
            return
        if event.late:
            self._end_output()
            self._line(f"late output of {wording.step(state, event.step)}:", "dim")
        if event.output.get("output_type") == "stream":
            self._streamed(event.output)
        elif event.display_id is not None and self._live is not None:
            self._displays[event.display_id] = mime.renderable(
                event.output, record_hint=self._record
            )
        else:
            self._end_stream()
            self._put(mime.renderable(event.output, record_hint=self._record))
        if event.late:
            self._end_output()

    def _streamed(self, output: dict[str, object]) -> None:
        name = str(output.get("name"))
        if name != self._stream_name:
            self._end_stream()
            self._stream_name = name
        lines = self._stream.feed(str(output.get("text", "")))
        if lines is not None:
            self._put(lines)

    def _end_stream(self) -> None:
        rest = self._stream.finish()
        if rest is not None:
            self._put(rest)

    def _end_output(self) -> None:
        """Print for good what the live region still holds."""
        self._end_stream()
        self._put(*self._displays.values())
        self._displays.clear()

    def _output_updated(self, _state: RunState, event: ev.OutputUpdated, _at: str) -> None:
        if not self._with_output:
            return
        output = {"output_type": "display_data", "data": event.data, "metadata": event.metadata}
        shown = mime.renderable(output, record_hint=self._record)
        if self._live is not None:
            self._displays[event.display_id] = shown
        else:
            self._put(shown)

    def _output_cleared(self, _state: RunState, _event: ev.OutputCleared, _at: str) -> None:
        """What has scrolled by stays: a terminal, like the journal, erases nothing."""
        self._displays.clear()
        self._end_stream()

    def _input_requested(self, _state: RunState, _event: ev.InputRequested, _at: str) -> None:
        self._end_output()

    def _input_answered(self, _state: RunState, event: ev.InputAnswered, _at: str) -> None:
        answer = "(a password, not recorded)" if event.answer is None else event.answer
        self._line(f"answered: {answer}", "dim")

    def _attempt_finished(self, state: RunState, event: ev.AttemptFinished, _at: str) -> None:
        self._end_output()
        style = _OUTCOME_STYLES.get(event.outcome, "red")
        if wording.is_expected(state, event):
            style = "yellow"
        self._line(wording.finished(state, event), f"bold {style}")
        again = wording.again(state, event.step)
        if again:
            self._line(again, "yellow")
        self._running = ""
        self.flush()
        self._stop_live()

    def _indeterminate(self, state: RunState, event: ev.AttemptIndeterminate, _at: str) -> None:
        self._end_output()
        self._running = ""
        told = f"{wording.OUTCOMES['indeterminate']}: {event.why}"
        self._line(f"{wording.step(state, event.step)}: {told}", "bold red")
        self.flush()
        self._stop_live()

    def _settled(self, state: RunState, event: ev.AttemptSettled, at: str) -> None:
        told = wording.settled(state, event)
        self._line(f"{wording.clock(at)} {event.operator.name}: {told}", "cyan")

    def _interrupted(self, _state: RunState, event: ev.RunInterrupted, at: str) -> None:
        told = wording.interrupted(event)
        self._line(f"{wording.clock(at)} the run was interrupted: {told}", "bold red")

    def _run_resumed(self, _state: RunState, event: ev.RunResumed, at: str) -> None:
        why = f": {event.reason}" if event.reason else ""
        who = wording.operator(event.operator)
        self._line(f"{wording.moment(at)} resumed by {who} on {event.host}{why}", "cyan")
        self._line("looking for its kernel …", "dim")

    def _replaced(self, _state: RunState, event: ev.RunbookReplaced, at: str) -> None:
        told = "the runbook as it is now is followed from here on"
        self._line(f"{wording.clock(at)} {event.operator.name}: {told}", "yellow")
        self._put(mime.source(event.diff, "diff"))

    def _attached(self, _state: RunState, event: ev.OperatorAttached, at: str) -> None:
        self._line(f"{wording.clock(at)} {wording.operator(event.operator)} attached", "dim")

    def _detached(self, _state: RunState, event: ev.OperatorDetached, at: str) -> None:
        who = wording.operator(event.operator)
        self._line(f"{wording.clock(at)} {who} detached: {event.why}", "dim")

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

    def _ask_by_hand(self, state: RunState, step: str, at: str) -> None:
        """What a person has to do, as the source of a code step is shown."""
        self._put(Text(), self._rule(plain(wording.step(state, step)), wording.clock(at)))
        self._narrate(state, step)
        self._put(mime.markdown(state.steps[step].step.source))

    def _decided(self, state: RunState, event: ev.Decided, at: str) -> None:
        told = wording.decision(state, event)
        self._line(f"{wording.clock(at)} {event.operator.name}: {told}", "cyan")

    def _refused(self, _state: RunState, event: ev.DecisionRefused, _at: str) -> None:
        self._line(f"refused: {event.why}", "yellow")

    def _deviated(self, state: RunState, event: ev.Deviated, _at: str) -> None:
        self._line(f"off script: {wording.deviation(state, event)}", "yellow")

    def _approved(self, state: RunState, event: ev.ApprovalGranted, at: str) -> None:
        told = wording.judged(state, event, "approved")
        self._line(f"{wording.clock(at)} {told}", "green")

    def _rejected(self, state: RunState, event: ev.ApprovalRejected, at: str) -> None:
        told = wording.judged(state, event, "rejected")
        self._line(f"{wording.clock(at)} {told}", "bold red")

    def _noted(self, _state: RunState, event: ev.NoteAdded, at: str) -> None:
        self._line(f"{wording.clock(at)} note by {event.operator.name}: {event.text}", "cyan")

    def _kernel_suspended(self, _state: RunState, event: ev.KernelSuspended, _at: str) -> None:
        self._line(wording.suspended(event), "bold yellow")

    def _kernel_continued(self, _state: RunState, _event: ev.KernelContinued, _at: str) -> None:
        self._line("the kernel's process goes on again", "yellow")

    def _capped(self, state: RunState, event: ev.OutputCapped, _at: str) -> None:
        self._end_output()
        self._line(f"{wording.step(state, event.step)}: {wording.capped(event)}", "yellow")

    def _seal_failed(self, _state: RunState, event: ev.SealFailed, _at: str) -> None:
        self._line(f"not sealed up to line {event.upto + 1}: {event.why}", "yellow")

    def _forwarding_failed(self, _state: RunState, event: ev.ForwardingFailed, _at: str) -> None:
        where = f"the record from line {event.since + 1} on waits to be sent to {event.target}"
        self._line(f"{where}: {event.why}", "yellow")

    def _forwarding_resumed(self, _state: RunState, event: ev.ForwardingResumed, _at: str) -> None:
        where = f"the record up to line {event.upto + 1} has been sent to {event.target}"
        self._line(where, "yellow")

    def _run_finished(self, state: RunState, event: ev.RunFinished, at: str) -> None:
        self._end_output()
        self._stop_live()
        epilogue = [cell.source for cell in state.plan.epilogue if cell.kind == "markdown"]
        if state.current is None:
            self._put(*map(mime.markdown, epilogue))
        self._put(Text(), summary.footer(state, event, at, self._record, self._head))


def _which_attempt(event: ev.AttemptStarted) -> str:
    parts = [f" · attempt {event.attempt}"] if event.attempt > 1 else []
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
    ev.KernelRestarted: TerminalView._kernel_restarted,
    ev.KernelReattached: TerminalView._kernel_reattached,
    ev.KernelIdle: TerminalView._kernel_idle,
    ev.KernelInterrupted: TerminalView._kernel_interrupted,
    ev.AttemptStarted: TerminalView._attempt_started,
    ev.Output: TerminalView._output,
    ev.OutputUpdated: TerminalView._output_updated,
    ev.OutputCleared: TerminalView._output_cleared,
    ev.InputRequested: TerminalView._input_requested,
    ev.InputAnswered: TerminalView._input_answered,
    ev.AttemptFinished: TerminalView._attempt_finished,
    ev.AttemptIndeterminate: TerminalView._indeterminate,
    ev.AttemptSettled: TerminalView._settled,
    ev.RunInterrupted: TerminalView._interrupted,
    ev.RunResumed: TerminalView._run_resumed,
    ev.RunbookReplaced: TerminalView._replaced,
    ev.OperatorAttached: TerminalView._attached,
    ev.OperatorDetached: TerminalView._detached,
    ev.Stopped: TerminalView._stopped,
    ev.Decided: TerminalView._decided,
    ev.DecisionRefused: TerminalView._refused,
    ev.Deviated: TerminalView._deviated,
    ev.NoteAdded: TerminalView._noted,
    ev.ApprovalGranted: TerminalView._approved,
    ev.ApprovalRejected: TerminalView._rejected,
    ev.RunFinished: TerminalView._run_finished,
    ev.OutputCapped: TerminalView._capped,
    ev.KernelSuspended: TerminalView._kernel_suspended,
    ev.KernelContinued: TerminalView._kernel_continued,
    ev.SealFailed: TerminalView._seal_failed,
    ev.ForwardingFailed: TerminalView._forwarding_failed,
    ev.ForwardingResumed: TerminalView._forwarding_resumed,
}
