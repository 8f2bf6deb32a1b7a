"""A step on a terminal, but for its output: what stands above it, and where the run stops at it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rich.console import Console, RenderableType
from rich.text import Text

from nbrun.core import events as ev
from nbrun.core.state import RunState
from nbrun.journal.history import LastTime
from nbrun.views.render import failure, mime, source
from nbrun.views.terminal.event_lines import line
from nbrun.views.text import phrases
from nbrun.views.text.options import DisplayOptions
from nbrun.views.text.sanitize import plain

LookBack = Callable[[str], Mapping[str, LastTime]]

_SHOWN_AT = ("confirm", "manual", "approval")  # stops whose question the parameters may decide


class Steps:
    """Makes what is shown of steps, and remembers what it has to: what was narrated, what ran last
    and how it broke. `language` is the kernel's. `look_back`: when each step ran last, by its id,
    of the runbook with this path; asked once."""

    def __init__(
        self, console: Console, display: DisplayOptions, look_back: LookBack | None
    ) -> None:
        self.language = "python"
        self._console = console
        self._plain = display.plain
        self._look_back = look_back
        self._before: Mapping[str, LastTime] = {}
        self._narrated: set[str] = set()
        self._source = ""
        self._cause: failure.CellError | None = None

    def begun(self, state: RunState, event: ev.AttemptStarted, at: str) -> Iterator[RenderableType]:
        """All that stands above an attempt's output."""
        self._source, self._cause = event.source, None
        yield from (Text(), self._rule(title(state, event), at))
        last = self._last_time(state, event.step) if event.attempt == 1 else None
        if last is not None:
            yield line(f"last time {phrases.last_time(last)}", "dim")
        yield from self._narration(state, event.step)
        coloured = self._console.color_system is not None
        yield source.highlight(event.source, self.language if coloured else "")
        if event.cause == "script":
            yield from _answered_beforehand(state, event.step)

    def broke(self, output: dict[str, Any]) -> None:
        """The error of the attempt that runs, for the stop to tell."""
        self._cause = failure.parse_error(output)

    def stopped(self, state: RunState, event: ev.Stopped, at: str) -> Iterator[RenderableType]:
        """Why the run waits, and what is to be known for a decision."""
        if event.reason == "manual" and event.step is not None:
            yield from self._by_hand(state, event.step, at)
        where = phrases.step(state, event.step) if event.step else "the end"
        yield from (Text(), line(f"STOPPED at {where}", "bold"))
        yield line(f"  {phrases.time_of_day(at)} {phrases.stop_reason(state, event)}")
        parameters = state.plan.parameters if event.reason in _SHOWN_AT else {}
        for name, value in parameters.items():
            yield line(f"  parameter {name} = {value!r}", "dim")
        if event.detail:
            yield line(f"  {event.detail}")
        if event.reason == "step_failed" and self._cause is not None:
            boxes = not (self._plain or self._console.options.ascii_only)
            yield from failure.render_error(self._cause, self._source, self.language, boxes=boxes)

    def _by_hand(self, state: RunState, step: str, at: str) -> Iterator[RenderableType]:
        """What a person has to do, as the source of a code step is shown."""
        yield from (Text(), self._rule(plain(phrases.step(state, step)), at))
        yield from self._narration(state, step)
        yield mime.render_markdown(state.steps[step].step.source)

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

    def _last_time(self, state: RunState, step: str) -> LastTime | None:
        if self._look_back is not None:
            self._before, self._look_back = self._look_back(state.plan.runbook), None
        return self._before.get(step)

    def _narration(self, state: RunState, step: str) -> Iterator[RenderableType]:
        """The Markdown before a step, once."""
        known = state.steps.get(step)
        if known is None or step in self._narrated:
            return
        told = [cell.source for cell in known.step.narration if cell.kind == "markdown"]
        yield from map(mime.render_markdown, told)
        if told:
            self._narrated.add(step)
            yield Text()


def title(state: RunState, event: ev.AttemptStarted) -> str:
    """What an attempt is called: its step, its impact, and what else sets it apart."""
    impact = phrases.impact(state, event.step)
    parts = [f" · {impact}"] if impact else []
    parts += [f" · attempt {event.attempt}"] if event.attempt > 1 else []
    if event.cause == "setup":
        parts.append(" · again, for the new kernel")
    if event.cause == "retry":
        parts.append(" · again, as the runbook says")
    if event.edited:
        parts.append(" · edited")
    return plain(phrases.step(state, event.step) + "".join(parts))


def _answered_beforehand(state: RunState, step: str) -> Iterator[Text]:
    known = state.steps.get(step)
    question = known.step.contract.confirm if known else None
    if question is not None:
        yield line(f"confirmed beforehand: {question}", "yellow")
