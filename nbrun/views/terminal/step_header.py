"""The header of a step on a terminal, and the block that says why a run has stopped."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rich.console import Console, RenderableType
from rich.text import Text

from nbrun.core import events as ev
from nbrun.core.state import RunState
from nbrun.journal.history import LastAttempt
from nbrun.views.render import failure, mime, source
from nbrun.views.render.terminal_text import screen_text
from nbrun.views.terminal.event_lines import line
from nbrun.views.text import phrases
from nbrun.views.text.options import DisplayOptions
from nbrun.views.text.sanitize import plain
from nbrun.views.text.script_failures import script_failure

LoadLastTimes = Callable[[str], Mapping[str, LastAttempt]]

_LAST_LINES = 5  # of what a script printed, shown at the stop
_MAX_LAST_WORDS = 4_000  # characters
_STOPS_WITH_PARAMETERS = ("confirm", "manual", "approval")  # parameters may decide the answer


class StepHeader:
    """Render headers and stops. Remember the Markdown already shown, the last source and its error.

    `language` is the kernel's. `load_last_times` returns, for the path of a runbook, when each of
    its steps ran last, by step id. It is called once, at the first step.
    """

    def __init__(
        self, console: Console, display: DisplayOptions, load_last_times: LoadLastTimes | None
    ) -> None:
        self.language = "python"
        self._console = console
        self._plain = display.plain
        self._load_last_times = load_last_times
        self._last_times: Mapping[str, LastAttempt] = {}
        self._narrated: set[str] = set()
        self._source = ""
        self._error: failure.CellError | None = None
        self._remedy = ""
        self._last_words: dict[str, str] = {}
        self._script_failed = False

    def attempt(
        self, state: RunState, event: ev.AttemptStarted, at: str
    ) -> Iterator[RenderableType]:
        """Yield everything above an attempt's output: title, Markdown, source."""
        self._source, self._error, self._remedy = event.source, None, ""
        self._last_words, self._script_failed = {}, False
        if is_polling(state, event):  # the same cell again: the result alone tells its reader more
            return
        rule = self._rule(title(state, event), at)
        yield from (Text(), rule)
        is_first = event.attempt == 1 and event.cause not in ("check", "undo")
        last = self._last_time(state, event.step) if is_first else None
        if last is not None:
            yield line(f"last time {phrases.last_time(last)}", "dim")
        yield from self._narration(state, event.step, rule.plain)
        coloured = self._console.color_system is not None
        yield source.highlight(event.source, self.language if coloured else "")
        if event.cause == "script":
            yield from _confirmed_beforehand(state, event.step)

    def remember_error(self, output: dict[str, Any]) -> None:
        """Remember the error of the running attempt, for the stop that follows."""
        self._error = failure.parse_error(output, self._source)

    def remember_stream(self, output: dict[str, Any]) -> None:
        """Remember the last of what the script of a cell magic printed, for the same."""
        if self._source.lstrip().startswith("%%"):
            name = str(output.get("name"))
            text = self._last_words.get(name, "") + str(output.get("text", ""))
            self._last_words[name] = text[-_MAX_LAST_WORDS:]

    def remember_result(self, event: ev.AttemptFinished) -> None:
        """Remember how to allow what the attempt failed by, and why, where no output says so.

        nbrun itself fails a step for a shell command, and IPython prints some errors as text, such
        as an ExceptionGroup or a UsageError.
        """
        self._remedy = phrases.how_to_allow(event)
        if event.outcome != "error" or not event.ename:
            return
        message = phrases.error_line(event.ename, event.evalue or "", self._source)
        self._script_failed = bool(script_failure(self._source, event.evalue or ""))
        shown = self._error.message if self._error is not None else ""
        if shown != message and not shown.startswith(event.ename):
            self._error = failure.CellError(message, None)

    def stop(self, state: RunState, event: ev.Stopped, at: str) -> Iterator[RenderableType]:
        """Yield why the run waits, and what the operator needs for a decision."""
        if event.reason == "manual" and event.step is not None:
            yield from self._manual_step(state, event.step, at)
        where = phrases.step(state, event.step) if event.step else "the end"
        yield from (Text(), line(f"STOPPED at {where}", "bold"))
        yield line(f"  {phrases.time_of_day(at)} {phrases.stop_reason(state, event)}")
        parameters = state.plan.parameters if event.reason in _STOPS_WITH_PARAMETERS else {}
        for name, value in parameters.items():
            yield line(f"  parameter {name} = {value!r}", "dim")
        if event.detail:
            yield line(f"  {event.detail}")
        if event.reason == "step_failed" and self._error is not None:
            boxes = not (self._plain or self._console.options.ascii_only)
            yield from failure.render_error(self._error, self._source, self.language, boxes=boxes)
            yield from self._words_of_script() if self._script_failed else ()
        if event.reason == "step_failed" and self._remedy:
            yield line(f"  {self._remedy}", "dim")

    def _words_of_script(self) -> Iterator[RenderableType]:
        """The last lines that a script printed to stderr, or to stdout if it has none there."""
        words = self._last_words.get("stderr") or self._last_words.get("stdout", "")
        lines = [each for each in screen_text(words).plain.split("\n") if each.strip()]
        yield from (line(f"  {each}", "red") for each in lines[-_LAST_LINES:])

    def _manual_step(self, state: RunState, step: str, at: str) -> Iterator[RenderableType]:
        """The Markdown of a step that a person does; its source, if it is a code cell."""
        rule = self._rule(plain(phrases.step(state, step)), at)
        yield from (Text(), rule)
        yield from self._narration(state, step, rule.plain)
        of = state.steps[step].step
        if of.contract.manual:
            yield from mime.render_below(_title_in(rule.plain, of.title), [of.source])
        else:
            coloured = self._console.color_system is not None
            yield source.highlight(of.source, self.language if coloured else "")

    def _rule(self, title: str, at: str) -> Text:
        """A step's title, and the time at the right edge."""
        clock = phrases.time_of_day(at)
        if self._plain:
            return Text(f"{title} · {clock}", style="bold")
        dash = "-" if self._console.options.ascii_only else "─"
        room = self._console.width - len(clock) - 2
        rule = Text(title, style="bold", no_wrap=True)
        rule.truncate(room - 2, overflow="ellipsis")
        rule.append(f" {dash * (room - rule.cell_len - 1)} {clock}", "not bold dim")
        return rule

    def _last_time(self, state: RunState, step: str) -> LastAttempt | None:
        if self._load_last_times is not None:
            self._last_times = self._load_last_times(state.plan.runbook)
            self._load_last_times = None
        return self._last_times.get(step)

    def _narration(self, state: RunState, step: str, above: str) -> Iterator[RenderableType]:
        """The Markdown before a step, once, without the title that the line `above` has."""
        known = state.steps.get(step)
        if known is None or step in self._narrated:
            return
        texts = [cell.source for cell in known.step.narration if cell.kind == "markdown"]
        self._narrated.add(step)
        shown = mime.render_below(_title_in(above, known.step.title), texts) if texts else []
        if shown:
            yield from (*shown, Text())


def _title_in(above: str, title: str) -> str:
    """Return `title` if a line has all of it; "" if the line is too narrow."""
    return title if plain(title) in above else ""


def is_polling(state: RunState, event: ev.AttemptStarted) -> bool:
    """Return True if a check runs again after it has not held."""
    checked = state.checked.get(event.step)
    return checked is not None and checked.check_waited > 0


def title(state: RunState, event: ev.AttemptStarted) -> str:
    """Return an attempt's title: step, impact, number of the attempt, and why it runs again."""
    impact = phrases.impact(state, event.step)
    parts = [f" · {impact}"] if impact else []
    parts += [f" · attempt {event.attempt}"] if event.attempt > 1 else []
    if event.cause == "setup":
        for_kernel = event.step in state.setup_queue
        why = "for the new kernel" if for_kernel else "since another included runbook has run"
        parts.append(f" · again, {why}")
    if event.cause == "retry":
        parts.append(" · retried, as the runbook declares")
    if event.edited:
        parts.append(" · edited")
    return plain(phrases.step(state, event.step) + "".join(parts))


def _confirmed_beforehand(state: RunState, step: str) -> Iterator[Text]:
    known = state.steps.get(step)
    question = known.step.contract.confirm if known else None
    if question is not None:
        yield line(f"confirmed beforehand: {question}", "yellow")
