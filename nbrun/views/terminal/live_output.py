"""The outputs of an attempt held while it runs, so that they change in place as in a notebook.

While the attempt runs their end is shown, in a region of a few rows; once it has ended they are
printed whole, or without the middle of what is longer than anyone reads.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

from rich.console import Console, RenderableType
from rich.segment import Segment
from rich.text import Text

from nbrun.core import events as ev
from nbrun.views.render.terminal_text import (
    MAX_UNFINISHED_COLUMNS,
    REWRITABLE_LINES,
    TerminalBuffer,
    screen_text,
)

Render = Callable[[dict[str, Any]], RenderableType]
Lines = list[list[Segment]]

_MOST_WAITING = 65_536  # characters of a stream that are not looked at yet
_SLACK = 3  # times as many outputs are held as are printed, before the middle is let go


class Held:
    """Takes output events. `most`: lines of one stream, and outputs, that are printed; 0 for all.

    `render` makes an output printable for good, `sketch` for the region. `rest` says how to see
    what was left out.
    """

    def __init__(self, most: int, render: Render, sketch: Render, rest: str) -> None:
        self._most = most
        self._render = render
        self._sketch = sketch
        self._rest = rest
        self._items: list[_Printed | _Displayed] = []
        self._let_go = 0
        self._clear_next = False

    def take(self, event: ev.Output | ev.OutputUpdated | ev.OutputCleared) -> None:
        match event:
            case ev.Output():
                self._add(event)
            case ev.OutputCleared(wait=True):
                self._clear_next = True
            case ev.OutputCleared():
                self._clear()
            case ev.OutputUpdated():
                self._update(event)

    def redraw(self) -> None:
        """Something that the outputs show has changed by itself."""
        for item in self._items:
            if isinstance(item, _Displayed):
                item.forget()

    def region(self, console: Console, rows: int) -> Lines:
        """The last rows of what is held, no more than `rows`."""
        lines: Lines = []
        for item in reversed(self._items):
            if len(lines) >= rows:
                break
            lines = item.region(console, rows) + lines
        return lines[-rows:]

    def whole(self) -> list[RenderableType]:
        """All that is held, to be printed; nothing is held any more."""
        items, let_go = self._items, self._let_go
        middle: list[RenderableType] = []
        if self._most and len(items) + let_go > self._most:
            head = (self._most + 1) // 2
            tail = items[-(self._most - head) :] if self._most > head else []
            let_go += len(items) - head - len(tail)
            middle = [_left_out(f"{let_go:,} outputs", self._rest)]
            items = [*items[:head], *tail]
        head = (self._most + 1) // 2
        shown = [part for item in items[:head] for part in item.whole()] if middle else []
        shown += middle
        shown += [part for item in items[head if middle else 0 :] for part in item.whole()]
        self._clear()
        return shown

    def _clear(self) -> None:
        self._items, self._let_go, self._clear_next = [], 0, False

    def _add(self, event: ev.Output) -> None:
        if self._clear_next:
            self._clear()
        output = event.output
        if output.get("output_type") == "stream" and isinstance(output.get("text"), str):
            self._stream(str(output.get("name")), output["text"])
            return
        if event.display_id is not None:
            self._replace(event.display_id, output)
        self._append(_Displayed(output, event.display_id, self._render, self._sketch))

    def _stream(self, name: str, text: str) -> None:
        last = self._items[-1] if self._items else None
        if not isinstance(last, _Printed) or last.name != name:
            last = _Printed(name, self._most, self._rest)
            self._append(last)
        last.feed(text)

    def _update(self, event: ev.OutputUpdated) -> None:
        """In place; what was shown before this attempt's outputs is shown again, changed."""
        output = {"output_type": "display_data", "data": event.data, "metadata": event.metadata}
        if not self._replace(event.display_id, output):
            self._append(_Displayed(output, event.display_id, self._render, self._sketch))

    def _replace(self, display_id: str, output: dict[str, Any]) -> bool:
        named = [
            item
            for item in self._items
            if isinstance(item, _Displayed) and item.display_id == display_id
        ]
        for item in named:
            item.output = output
        return bool(named)

    def _append(self, item: "_Printed | _Displayed") -> None:
        self._items.append(item)
        if self._most and len(self._items) > _SLACK * self._most:
            self._let_go += len(self._items) - 2 * self._most
            del self._items[self._most : -self._most]


class _Displayed:
    """One output that is no stream."""

    def __init__(
        self, output: dict[str, Any], display_id: str | None, render: Render, sketch: Render
    ) -> None:
        self.output = output
        self.display_id = display_id
        self._render = render
        self._sketch = sketch
        self._sketched: tuple[int, int, Lines] | None = None

    def forget(self) -> None:
        """What it looked like."""
        self._sketched = None

    def whole(self) -> list[RenderableType]:
        return [self._render(self.output)]

    def region(self, console: Console, _rows: int) -> Lines:
        """Drawn once for a width: laying out a table takes longer than a turn of the clock."""
        known = self._sketched
        if known is not None and known[:2] == (id(self.output), console.width):
            return known[2]
        lines = _drawn(self._sketch(self.output), console)
        self._sketched = (id(self.output), console.width, lines)
        return lines


class _Printed:
    """A stream's text: its first lines, its last ones, and how many there were."""

    def __init__(self, name: str, most: int, rest: str) -> None:
        self.name = name
        self._most = most
        self._rest = rest
        self._stream = TerminalBuffer(REWRITABLE_LINES)
        self._head: list[Text] = []
        self._tail: deque[tuple[Text, int]] = deque()
        self._head_lines = self._tail_lines = self._lines = self._characters = 0
        self._waiting: list[str] = []
        self._many_waiting = 0

    def feed(self, text: str) -> None:
        """Nobody looks at each chunk: they are taken together when somebody does."""
        self._waiting.append(text)
        self._many_waiting += len(text)
        if self._many_waiting > _MOST_WAITING:
            self._take()

    def _take(self) -> None:
        text = "".join(self._waiting)
        self._waiting.clear()
        self._characters += self._many_waiting
        self._many_waiting = 0
        done = self._stream.feed(text) if text else None
        if done is not None:
            self._keep(done)

    def region(self, console: Console, rows: int) -> Lines:
        self._take()
        lines: Lines = []
        pending = self._stream.pending
        if pending.plain.endswith("\n"):
            pending.right_crop(1)
        for text in (*([pending] if pending else []), *reversed(self._texts())):
            lines = _drawn(_end_of(text, rows, console.width), console) + lines
            if len(lines) >= rows:
                return lines
        return lines

    def whole(self) -> list[RenderableType]:
        if not self._characters and not self._most:
            text = screen_text("".join(self._waiting))
            return [text] if text.plain else []
        self._take()
        rest = self._stream.finish()
        if rest is not None:
            self._keep(rest)
        texts = self._texts()
        if not self._most or self._lines <= self._most:
            return list(texts)
        head = (self._most + 1) // 2
        tail = self._most - head
        size = f"{self._lines - self._most:,} of {self._lines:,} lines"
        return [
            _first_lines(_joined(self._head), head),
            _left_out(f"{size} ({_size(self._characters)} in all)", self._rest),
            *([_last_lines(_joined(texts), tail)] if tail else []),
        ]

    def _texts(self) -> list[Text]:
        """What is kept, in order; a text may be the end of the head and the start of the tail."""
        tail = [text for text, _ in self._tail]
        return self._head[:-1] + tail if tail and tail[0] is self._head[-1] else self._head + tail

    def _keep(self, text: Text) -> None:
        lines = max(text.plain.count("\n") + 1, len(text) // MAX_UNFINISHED_COLUMNS)
        self._lines += lines
        if not self._most or self._head_lines < self._most:
            self._head.append(text)
            self._head_lines += lines
            if self._most and self._head_lines > self._most:
                self._tail.append((text, lines))  # it is the beginning and the end at once
                self._tail_lines += lines
            return
        self._tail.append((text, lines))
        self._tail_lines += lines
        while self._tail_lines - self._tail[0][1] >= self._most:
            self._tail_lines -= self._tail.popleft()[1]


def _drawn(shown: RenderableType, console: Console) -> Lines:
    """The rows of something on this screen, none longer than it is wide."""
    if isinstance(shown, Text):
        shown = shown.copy()
        shown.no_wrap, shown.overflow = False, "fold"
    try:
        return console.render_lines(shown, pad=False)
    except Exception as error:  # noqa: BLE001  whatever a library makes of a kernel's output
        return [[Segment(f"(can't be shown here: {type(error).__name__})")]]


def _joined(texts: list[Text]) -> Text:
    return Text("\n", no_wrap=True, overflow="ignore").join(texts)


def _first_lines(text: Text, many: int) -> Text:
    end = -1
    for _ in range(many):
        end = text.plain.find("\n", end + 1)
        if end < 0:
            return text
    return text[:end]


def _last_lines(text: Text, many: int) -> Text:
    start = len(text.plain)
    for _ in range(many):
        start = text.plain.rfind("\n", 0, start)
        if start < 0:
            return text
    return text[start + 1 :]


def _end_of(text: Text, rows: int, width: int) -> Text:
    """What of `text` may be seen in so many rows."""
    end = _last_lines(text, rows)
    return end[-rows * width :] if len(end) > rows * width else end


def _left_out(what: str, rest: str) -> Text:
    return Text(f"… {what} left out here: {rest}", style="dim")


def _size(characters: int) -> str:
    if characters < 1_000:
        return f"{characters} characters"
    kilo = characters / 1_000
    return f"{kilo:,.0f} kB" if kilo < 1_000 else f"{kilo / 1_000:,.1f} MB"
