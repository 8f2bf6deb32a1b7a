"""A table with spans laid out for a terminal: numbers aligned, the middle cut, never too wide."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.text import Text

from nbrun.views.render.html import HtmlTable, TableCell
from nbrun.views.text.sanitize import visible

MAX_ROWS = 40  # of a table's body; the middle of a longer one is counted
MOST_COLUMNS = 200  # that are laid out; a page can ask for a thousand times a thousand
GAP = 2  # columns between two columns of the table
SEAM = 3  # columns more where columns of the table are left out
NARROWEST = 8  # columns that a column of text may shrink to

_NUMBER = re.compile(
    r"[-+−(]?[$€£¥]?\d{1,3}(?:[\d,  _']*\d)?(?:\.\d*)?(?:[eE][-+]?\d+)?\)?\s?(?:%|[kKMGTP]?i?B)?"
    r"|[-+−]?\.\d+|[-+]?(?:inf|nan)|NaN|NaT|None|<NA>|-|—|",
    re.I,
)
_PLAIN_NUMBER = re.compile(r"[-+−]?[\d,]*\.?\d*")


@dataclass(frozen=True)
class _Area:
    """A cell with the place it takes: rows `top` to `bottom`, columns `left` to `right`, ends
    excluded."""

    cell: TableCell
    top: int
    left: int
    bottom: int
    right: int


class TableView:
    """Something rich can print. `most`: rows of the body, 0 for all."""

    def __init__(self, table: HtmlTable, *, max_rows: int = MAX_ROWS) -> None:
        self._table = table
        self._areas = list(_placed(table.rows))
        self._at = {
            (row, column): area
            for area in self._areas
            for row in range(area.top, area.bottom)
            for column in range(area.left, area.right)
        }
        self._columns = max((area.right for area in self._areas), default=0)
        self._aligned = [self._alignment(column) for column in range(self._columns)]
        self._fractions = [self._fraction(column) for column in range(self._columns)]
        self._kept = _kept(len(table.rows), table.headers, max_rows)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        shown, widths = self._fitted(options.max_width)
        if self._table.caption:
            yield Text(visible(self._table.caption), style="italic")
        line = "-" if options.ascii_only else "─"
        for position, row in enumerate(self._kept):
            if row is None:
                yield Text(f"… {self._hidden()} more rows …", style="dim")
                continue
            yield from self._lines(row, position, shown, widths)
            if row == self._table.headers - 1:
                rule = (line * width for width in widths)
                yield Text("".join(self._joined(rule, shown)), style="dim", no_wrap=True)
        if more := self._written_columns() - len(shown):
            yield Text(f"… {more} more column{'s' if more > 1 else ''}", style="dim")

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(min(20, options.max_width), options.max_width)

    def _written_columns(self) -> int:
        rows = (sum(cell.columns for cell in row) for row in self._table.rows)
        return max(self._columns, max(rows, default=0) if self._columns == MOST_COLUMNS else 0)

    def _hidden(self) -> int:
        return len(self._table.rows) + self._table.skipped - len(self._kept) + 1

    # ── columns ──────────────────────────────────────────────────────────────────────────────

    def _body(self, column: int) -> list[TableCell]:
        """The cells that stand in one column alone, below the head."""
        return [
            area.cell
            for area in self._areas
            if area.left == column and area.right == column + 1 and area.top >= self._table.headers
        ]

    def _alignment(self, column: int) -> str:
        cells = [cell for cell in self._body(column) if not cell.header]
        said = [cell.text for cell in cells if cell.text]
        if said and all(_NUMBER.fullmatch(text) for text in said):
            return "right"
        return "left"

    def _fraction(self, column: int) -> int:
        """The most characters from the decimal point on, where all numbers are plain ones."""
        if self._aligned[column] != "right":
            return 0
        texts = [cell.text for cell in self._body(column) if re.search(r"\d", cell.text)]
        if not all(_PLAIN_NUMBER.fullmatch(text) for text in texts):
            return 0
        return max((len(_after_point(text)) for text in texts), default=0)

    def _written(self, area: _Area) -> str:
        text = visible(area.cell.text)
        fraction = self._fractions[area.left] if area.right == area.left + 1 else 0
        if not fraction or area.top < self._table.headers or not re.search(r"\d", text):
            return text
        return text + " " * (fraction - len(_after_point(text)))

    def _fitted(self, room: int) -> tuple[list[int], list[int]]:
        """The columns that are shown and the width of each, so that a row takes at most `room`.

        A number is never broken over two lines, where it could be misread.
        """
        natural = dict(enumerate(self._natural(list(range(self._columns)))))
        least = {
            column: width if self._aligned[column] == "right" else min(width, NARROWEST)
            for column, width in natural.items()
        }
        shown = list(natural)
        while len(shown) > 1 and _taken([least[each] for each in shown]) > room - SEAM:
            del shown[(len(shown) + 1) // 2]
        if len(shown) == len(natural) - 1 and _taken(list(least.values())) <= room:
            shown = list(natural)
        widths = {column: natural[column] for column in shown}
        spare = room - (SEAM if len(shown) < len(natural) else 0)
        while _taken(list(widths.values())) > spare:
            wide = [column for column in shown if widths[column] > least[column]]
            if not wide:
                break
            widths[max(wide, key=lambda column: widths[column])] -= 1
        return shown, [min(widths[column], room) for column in shown]

    def _natural(self, shown: list[int]) -> list[int]:
        widths = dict.fromkeys(shown, 1)
        wide = []
        rows = {row for row in self._kept if row is not None}
        for area in self._areas:
            columns = [column for column in range(area.left, area.right) if column in widths]
            if not columns or rows.isdisjoint(range(area.top, area.bottom)):
                continue
            needed = max(cell_len(line) for line in self._written(area).split("\n"))
            if len(columns) == 1:
                widths[columns[0]] = max(widths[columns[0]], needed)
            else:
                wide.append((columns, needed))
        for columns, needed in wide:
            has = sum(widths[column] for column in columns) + GAP * (len(columns) - 1)
            widths[columns[-1]] += max(0, needed - has)
        return [widths[column] for column in shown]

    # ── rows ─────────────────────────────────────────────────────────────────────────────────

    def _lines(
        self, row: int, position: int, shown: list[int], widths: list[int]
    ) -> Iterator[Text]:
        blocks = [
            (self._block(area, column, width), width, column)
            for area, column, width in self._across(row, position, shown, widths)
        ]
        height = max((len(lines) for lines, _, _ in blocks), default=1)
        for number in range(height):
            line = Text(no_wrap=True, overflow="ignore")
            for index, (lines, width, column) in enumerate(blocks):
                part = lines[number] if number < len(lines) else Text()
                line.append(self._gap(shown, column, mark=not number) if index else "")
                line.append_text(part)
                line.append(" " * max(0, width - part.cell_len))
            line.rstrip()
            yield line

    def _joined(self, parts: Iterator[str], shown: list[int]) -> Iterator[str]:
        for index, (part, column) in enumerate(zip(parts, shown, strict=True)):
            yield (self._gap(shown, column, mark=False) if index else "") + part

    def _gap(self, shown: list[int], column: int, *, mark: bool) -> str:
        """What stands between a column and the one before it: wider where some are left out."""
        if column - 1 in shown:
            return " " * GAP
        return "  …  " if mark else " " * (GAP + SEAM)

    def _across(
        self, row: int, position: int, shown: list[int], widths: list[int]
    ) -> Iterator[tuple[_Area | None, int, int]]:
        """The areas that a row shows, from left to right, each with its first column and its width;
        None for a place whose text stands in a row above."""
        index = 0
        while index < len(shown):
            area = self._at.get((row, shown[index]))
            right = area.right if area else shown[index] + 1
            last = index
            while last + 1 < len(shown) and shown[last + 1] < right:
                last += 1
            gaps = (len(self._gap(shown, each, mark=False)) for each in shown[index + 1 : last + 1])
            width = sum(widths[index : last + 1]) + sum(gaps)
            above = self._kept[position - 1] if position else None
            begins = area is not None and (above is None or above < area.top)
            yield (area if begins else None), shown[index], width
            index = last + 1

    def _block(self, area: _Area | None, column: int, width: int) -> list[Text]:
        if area is None:
            return [Text()]
        text = Text(self._written(area), style=self._style(area))
        align = area.cell.align if area.right > area.left + 1 else self._aligned[column]
        lines = []
        for line in text.wrap(_WRAPPER, width, overflow="fold", no_wrap=False):
            shown = line.copy()
            if align != "right" or not self._fractions[column]:
                shown.rstrip()
            if align in ("right", "center"):
                spare = width - shown.cell_len
                shown.pad_left(spare if align == "right" else spare // 2)
            lines.append(shown)
        return lines or [Text()]

    def _style(self, area: _Area) -> str:
        if area.top < self._table.headers:
            return "bold"
        return "dim" if area.cell.header else ""


_WRAPPER = Console(width=10_000, file=None, force_terminal=False)


def _taken(widths: list[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)


def _after_point(text: str) -> str:
    point = text.find(".")
    return text[point:] if point >= 0 else ""


def _placed(rows: list[list[TableCell]]) -> Iterator[_Area]:
    """Each cell where HTML puts it ("forming a table", html.spec.whatwg.org): in the first free
    column of its row."""
    taken: dict[int, set[int]] = {}
    for top, row in enumerate(rows):
        full = taken.pop(top, set())
        left = 0
        for cell in row:
            while left in full:
                left += 1
            if left >= MOST_COLUMNS:
                break
            right = left + 1
            while right < min(left + cell.columns, MOST_COLUMNS) and right not in full:
                right += 1
            bottom = min(top + cell.rows, len(rows))
            for below in range(top + 1, bottom):
                taken.setdefault(below, set()).update(range(left, right))
            yield _Area(cell, top, left, bottom, right)
            left = right


def _kept(rows: int, headers: int, most: int) -> list[int | None]:
    """The rows that are shown, None where rows are left out."""
    body = rows - headers
    if not most or body <= most:
        return list(range(rows))
    head = headers + (most + 1) // 2
    return [*range(head), None, *range(rows - most // 2, rows)]
