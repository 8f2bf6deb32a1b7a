"""Outputs cut in their middle to a number of rows of the terminal.

A terminal wraps a line that is wider than itself, so one line can take any number of rows.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rich.cells import cell_len, chop_cells
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.segment import Segment
from rich.text import Text

from nbrun.views.render.guard import Guarded
from nbrun.views.render.html_table import TableView


@dataclass(frozen=True)
class RowLimit:
    """The most rows that are printed of one output.

    `max_rows`: 0 for no limit. `width` returns the columns of the terminal. `rest` is the command
    that shows everything.
    """

    max_rows: int
    width: Callable[[], int]
    rest: str = ""

    def limit(self, shown: RenderableType) -> RenderableType:
        """Return `shown` without its middle if it takes too many rows.

        Tables and pictures have limits of their own.
        """
        if not self.max_rows or isinstance(shown, TableView):
            return shown
        match shown:
            case Guarded():
                return shown.map(self.limit)
            case Group():
                return Group(*map(self.limit, shown.renderables))
            case Text():
                rows = count_rows(shown.plain, self.width())
                if rows <= self.max_rows + 1:  # the line about what is left out takes one, too
                    return shown
                return Group(*self.cut_middle(shown, shown, rows))
        from rich.markdown import Markdown  # slow to import

        return _Limited(shown, self) if isinstance(shown, Markdown) else shown

    def cut_middle(
        self, head: Text, tail: Text, rows: int, details: str = ""
    ) -> Iterator[RenderableType]:
        """Yield the first rows of `head`, what is left out, and the last rows of `tail`.

        `rows`: how many the whole output takes. `details` follow that number.
        """
        first = (self.max_rows + 1) // 2
        yield first_rows(head, first, self.width())
        yield self.omission(f"{rows - self.max_rows:,} of {rows:,} lines{details}")
        if self.max_rows > first:
            yield last_rows(tail, self.max_rows - first, self.width())

    def omission(self, what: str) -> Text:
        """Return the line that stands for what is left out."""
        where = f": {self.rest}" if self.rest else ""
        return Text(f"… {what} left out here{where}", style="dim")


def count_rows(text: str, width: int) -> int:
    """Return how many rows a text takes on a terminal of `width` columns."""
    return sum(_rows_of_line(line, width) for line in text.split("\n"))


def first_rows(text: Text, rows: int, width: int) -> Text:
    """Return the beginning of `text` that fits into so many rows."""
    end = 0
    for line in text.plain.split("\n"):
        needed = _rows_of_line(line, width)
        if needed > rows:
            return text[: end + _cut(line, rows, width)] if rows else text[: max(0, end - 1)]
        rows -= needed
        end += len(line) + 1
    return text


def last_rows(text: Text, rows: int, width: int) -> Text:
    """Return the end of `text` that fits into so many rows."""
    start = len(text.plain)
    for line in reversed(text.plain.split("\n")):
        needed = _rows_of_line(line, width)
        if needed > rows:
            cut = _cut(line, needed - rows, width)
            return text[start - len(line) + cut :] if rows else text[start + 1 :]
        rows -= needed
        start -= len(line) + 1
    return text


def _rows_of_line(line: str, width: int) -> int:
    columns = len(line) if line.isascii() else cell_len(line)
    return max(1, -(-columns // width))


def _cut(line: str, rows: int, width: int) -> int:
    """Return where the row after the first `rows` begins in a line."""
    if line.isascii():
        return rows * width
    return len("".join(chop_cells(line, width)[:rows]))


class _Limited:
    """Something whose rows are known only when it is drawn."""

    def __init__(self, shown: RenderableType, limit: RowLimit) -> None:
        self._shown = shown
        self._limit = limit

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = console.render_lines(self._shown, options, pad=False)
        left_out = len(lines) - self._limit.max_rows
        first = (self._limit.max_rows + 1) // 2
        for number, line in enumerate(lines):
            if left_out > 1 and number == first:
                yield self._limit.omission(f"{left_out:,} of {len(lines):,} lines")
            if left_out <= 1 or not first <= number < first + left_out:
                yield from line
                yield Segment.line()
