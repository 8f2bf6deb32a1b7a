"""The outputs of a running attempt, buffered so that they change in place as in a notebook.

While the attempt runs, the live region shows the last rows of its outputs. When the attempt has
ended, the outputs are printed, without the middle of those that are too long.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.segment import Segment
from rich.text import Text

from nbrun.core import events as ev
from nbrun.views.render.guard import guarded
from nbrun.views.render.terminal_text import (
    REWRITABLE_LINES,
    TerminalBuffer,
    screen_text,
)
from nbrun.views.terminal.row_limit import RowLimit, count_rows

Render = Callable[[dict[str, Any]], RenderableType]
Rows = list[list[Segment]]  # rows of the screen

_MAX_UNPARSED = 65_536  # characters of a stream
_MAX_LIVE_ROWS = 200  # of a text that is drawn while its step runs, on a terminal of any height
_SLACK = 3  # how many times as many outputs are buffered as are printed


class LiveOutput:
    """Buffer the outputs of one attempt.

    `limit` says how many rows of one stream, and how many outputs, are printed. `render` makes an
    output printable for good, `render_live` for the live region.
    """

    def __init__(self, limit: RowLimit, render: Render, render_live: Render) -> None:
        self._limit = limit
        self._max_outputs = limit.max_rows
        self._render = render
        self._render_live = render_live
        self._items: list[_StreamText | _DisplayedOutput] = []
        self._dropped = 0
        self._captures: set[str] = set()
        self._clear_next = False

    def take(self, event: ev.Output | ev.OutputCleared) -> None:
        """Apply an output event."""
        match event:
            case ev.Output():
                self._add(event)
            case ev.OutputCleared(wait=True):
                self._clear_next = True
            case ev.OutputCleared():
                self._clear()

    def capture(self, model: str, output: dict[str, Any]) -> None:
        """Add `output` where the widget `model` first captures; it stands for what that holds."""
        if model not in self._captures:
            self._captures.add(model)
            self._append_display(output, None)

    def redraw(self) -> None:
        """Draw the outputs anew: a widget that they show has changed."""
        for item in self._items:
            if isinstance(item, _DisplayedOutput):
                item.redraw()

    def last_rows(self, console: Console, rows: int) -> Rows:
        """Return the last rows of the outputs, at most `rows`."""
        lines: Rows = []
        for item in reversed(self._items):
            if len(lines) >= rows:
                break
            lines = item.last_rows(console, rows) + lines
        return lines[-rows:]

    def finish(self) -> list[RenderableType]:
        """Return all outputs, ready to print, and empty the buffer."""
        items, dropped = self._items, self._dropped
        self._clear()
        limit = self._max_outputs
        if not limit or len(items) + dropped <= limit:
            return _finished(items)
        head = (limit + 1) // 2
        tail = limit - head
        dropped += len(items) - head - tail
        left_out = self._limit.omission(f"{dropped:,} outputs")
        return [*_finished(items[:head]), left_out, *_finished(items[-tail:] if tail else [])]

    def _clear(self) -> None:
        self._items, self._dropped, self._clear_next = [], 0, False
        self._captures.clear()

    def _add(self, event: ev.Output) -> None:
        if self._clear_next:
            self._clear()
        output = event.output
        if output.get("output_type") == "stream" and isinstance(output.get("text"), str):
            self._stream(str(output.get("name")), output["text"])
            return
        if event.display_id is not None:
            self._replace(event.display_id, output)
        self._append_display(output, event.display_id)

    def _stream(self, name: str, text: str) -> None:
        last = self._items[-1] if self._items else None
        if not isinstance(last, _StreamText) or last.name != name:
            last = _StreamText(name, self._limit)
            self._append(last)
        last.feed(text)

    def update(self, event: ev.OutputUpdated, *, in_widget: bool = False) -> None:
        """Change the display in place.

        A display of an earlier attempt is shown here again, unless a widget holds it (`in_widget`).
        """
        output = {"output_type": "display_data", "data": event.data, "metadata": event.metadata}
        if not self._replace(event.display_id, output) and not in_widget:
            self._append_display(output, event.display_id)

    def _replace(self, display_id: str, output: dict[str, Any]) -> bool:
        named = [
            item
            for item in self._items
            if isinstance(item, _DisplayedOutput) and item.display_id == display_id
        ]
        for item in named:
            item.output = output
        return bool(named)

    def _append_display(self, output: dict[str, Any], display_id: str | None) -> None:
        self._append(_DisplayedOutput(output, display_id, self._render, self._render_live))

    def _append(self, item: "_StreamText | _DisplayedOutput") -> None:
        self._items.append(item)
        most = self._max_outputs
        if most and len(self._items) > _SLACK * most:
            self._dropped += len(self._items) - 2 * most
            del self._items[most:-most]


def _finished(items: "list[_StreamText | _DisplayedOutput]") -> list[RenderableType]:
    return [part for item in items for part in item.finish()]


class _DisplayedOutput:
    """One output that is not a stream."""

    def __init__(
        self, output: dict[str, Any], display_id: str | None, render: Render, render_live: Render
    ) -> None:
        self.output = output
        self.display_id = display_id
        self._render = render
        self._render_live = render_live
        self._drawn: tuple[int, int, Rows] | None = None

    def redraw(self) -> None:
        """Forget the rows drawn before."""
        self._drawn = None

    def finish(self) -> list[RenderableType]:
        return [self._render(self.output)]

    def last_rows(self, console: Console, _rows: int) -> Rows:
        """Return the rows, cached for a width: laying out a table takes longer than a refresh."""
        known = self._drawn
        if known is not None and known[:2] == (id(self.output), console.width):
            return known[2]
        lines = _draw_rows(self._render_live(self.output), console)
        self._drawn = (id(self.output), console.width, lines)
        return lines


class _StreamText:
    """The text of a stream: its first rows, its last rows, and how many there were."""

    def __init__(self, name: str, limit: RowLimit) -> None:
        self.name = name
        self._limit = limit
        self._max_rows = limit.max_rows
        self._stream = TerminalBuffer(REWRITABLE_LINES)
        self._head: list[Text] = []
        self._tail: deque[tuple[Text, int]] = deque()
        self._head_rows = self._tail_rows = self._rows = self._characters = 0
        self._unparsed: list[str] = []
        self._unparsed_size = 0

    def feed(self, text: str) -> None:
        """Add a chunk. Chunks are parsed together, when the text is needed."""
        self._unparsed.append(text)
        self._unparsed_size += len(text)
        if self._unparsed_size > _MAX_UNPARSED:
            self._parse()

    def _parse(self) -> None:
        text = "".join(self._unparsed)
        self._unparsed.clear()
        self._characters += self._unparsed_size
        self._unparsed_size = 0
        done = self._stream.feed(text) if text else None
        if done is not None:
            self._add_text(done)

    def last_rows(self, console: Console, rows: int) -> Rows:
        self._parse()
        lines: Rows = []
        pending = self._stream.pending
        if pending.plain.endswith("\n"):
            pending.right_crop(1)
        for text in (*([pending] if pending else []), *reversed(self._texts())):
            lines = _draw_rows(_visible_end(text, rows, console.width), console) + lines
            if len(lines) >= rows:
                return lines
        return lines

    def finish(self) -> list[RenderableType]:
        if not self._characters and not self._max_rows:
            text = screen_text("".join(self._unparsed))
            return [text] if text.plain else []
        self._parse()
        rest = self._stream.finish()
        if rest is not None:
            self._add_text(rest)
        texts = self._texts()
        if not self._max_rows or self._rows <= self._max_rows:
            return list(texts)
        head, tail = _join(self._head), _join(texts)
        size = f" ({_size(self._characters)} in all)"
        return list(self._limit.cut_middle(head, tail, self._rows, size))

    def _texts(self) -> list[Text]:
        """The kept texts, in order. One text may end the head and begin the tail."""
        tail = [text for text, _ in self._tail]
        return self._head[:-1] + tail if tail and tail[0] is self._head[-1] else self._head + tail

    def _add_text(self, text: Text) -> None:
        rows = count_rows(text.plain, self._limit.width())
        self._rows += rows
        if not self._max_rows or self._head_rows < self._max_rows:
            self._head.append(text)
            self._head_rows += rows
            if self._max_rows and self._head_rows > self._max_rows:
                self._tail.append((text, rows))  # a long text may be both
                self._tail_rows += rows
            return
        self._tail.append((text, rows))
        self._tail_rows += rows
        while self._tail_rows - self._tail[0][1] >= self._max_rows:
            self._tail_rows -= self._tail.popleft()[1]


def _draw_rows(shown: RenderableType, console: Console) -> Rows:
    """Return the rows that `shown` takes on this screen, none wider than the screen."""
    if isinstance(shown, Group):
        return [row for each in shown.renderables for row in _draw_rows(each, console)]
    if isinstance(shown, Text):
        shown = _visible_end(shown, _MAX_LIVE_ROWS, console.width).copy()
        shown.no_wrap, shown.overflow = False, "fold"
    return guarded(
        lambda: console.render_lines(shown, pad=False),
        lambda why: [[Segment(f"(can't be shown here: {why})")]],
    )


def _join(texts: list[Text]) -> Text:
    return Text("\n", no_wrap=True, overflow="ignore").join(texts)


def _last_lines(text: Text, many: int) -> Text:
    start = len(text.plain)
    for _ in range(many):
        start = text.plain.rfind("\n", 0, start)
        if start < 0:
            return text
    return text[start + 1 :]


def _visible_end(text: Text, rows: int, width: int) -> Text:
    """Return the end of `text` that may be visible in so many rows."""
    end = _last_lines(text, rows)
    return end[-rows * width :] if len(end) > rows * width else end


def _size(characters: int) -> str:
    if characters < 1_000:
        return f"{characters} characters"
    kilo = characters / 1_000
    return f"{kilo:,.0f} kB" if kilo < 1_000 else f"{kilo / 1_000:,.1f} MB"
