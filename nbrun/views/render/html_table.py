"""The layout of an HTML table on a terminal: spans, aligned numbers, a limited width and height."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.text import Text

from nbrun.views.render.html import HtmlTable, TableCell
from nbrun.views.text.sanitize import visible

MAX_ROWS = 40  # of a table's body; the rows in the middle of a longer one are counted
_MAX_COLUMNS = 200  # that are laid out; a page can ask for a thousand times a thousand cells
_GAP = 2  # characters between two columns of the table
_WIDER_GAP = 3  # more characters where columns of the table are left out
_MIN_TEXT_WIDTH = 8  # characters that a column of text may shrink to

_NUMBER = re.compile(
    r"[-+−(]?[$€£¥]?\d{1,3}(?:[\d,  _']*\d)?(?:\.\d*)?(?:[eE][-+]?\d+)?\)?\s?(?:%|[kKMGTP]?i?B)?"
    r"|[-+−]?\.\d+|[-+]?(?:inf|nan)|NaN|NaT|None|<NA>|-|—|",
    re.I,
)
_DECIMAL = re.compile(r"[-+−]?[\d,]*+\.?\d*+")


@dataclass(frozen=True)
class _Area:
    """The place of a cell in the table: rows `top` to `bottom`, columns `left` to `right`.

    `bottom` and `right` are exclusive.
    """

    cell: TableCell
    top: int
    left: int
    bottom: int
    right: int


class TableView:
    """A table that rich can print. `max_rows` limits the rows of its body; 0 means no limit.

    The columns that do not fit, and the rows past the limit, are left out and counted.
    """

    def __init__(self, table: HtmlTable, *, max_rows: int = MAX_ROWS) -> None:
        self._table = table
        self._areas = list(_areas(table.rows))
        self._area_at = {
            (row, column): area
            for area in self._areas
            for row in range(area.top, area.bottom)
            for column in range(area.left, area.right)
        }
        self._columns = max((area.right for area in self._areas), default=0)
        self._body = self._cells_by_column()
        self._alignments = [self._alignment(column) for column in range(self._columns)]
        self._fractions = [self._fraction_width(column) for column in range(self._columns)]
        self._rows = _visible_rows(len(table.rows), table.header_rows, max_rows)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        shown, widths = self._fit(options.max_width)
        if self._table.caption:
            yield Text(visible(self._table.caption), style="italic")
        line = "-" if options.ascii_only else "─"
        for position, row in enumerate(self._rows):
            if row is None:
                yield Text(f"… {self._hidden_rows()} more rows …", style="dim")
                continue
            yield from self._lines(row, position, shown, widths)
            if row == self._table.header_rows - 1:
                rule = (line * width for width in widths)
                yield Text("".join(self._with_gaps(rule, shown)), style="dim", no_wrap=True)
        if more := self._column_count() - len(shown):
            yield Text(f"… {more} more column{'s' if more > 1 else ''}", style="dim")

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(min(20, options.max_width), options.max_width)

    def _column_count(self) -> int:
        """The columns of the HTML table, with those past `_MAX_COLUMNS`."""
        rows = (sum(cell.colspan for cell in row) for row in self._table.rows)
        return max(self._columns, max(rows, default=0) if self._columns == _MAX_COLUMNS else 0)

    def _hidden_rows(self) -> int:
        return len(self._table.rows) + self._table.skipped_rows - len(self._rows) + 1

    # ── columns ──────────────────────────────────────────────────────────────────────────────

    def _cells_by_column(self) -> list[list[TableCell]]:
        """Return, for each column, the cells below the head that occupy no other column."""
        found: list[list[TableCell]] = [[] for _ in range(self._columns)]
        for area in self._areas:
            if area.right == area.left + 1 and area.top >= self._table.header_rows:
                found[area.left].append(area.cell)
        return found

    def _alignment(self, column: int) -> str:
        cells = [cell for cell in self._body[column] if not cell.header]
        texts = [cell.text for cell in cells if cell.text]
        return "right" if texts and all(map(_NUMBER.fullmatch, texts)) else "left"

    def _fraction_width(self, column: int) -> int:
        """Return the most characters from the decimal point on, or 0 unless all are decimals."""
        if self._alignments[column] != "right":
            return 0
        texts = [cell.text for cell in self._body[column] if re.search(r"\d", cell.text)]
        if not all(map(_DECIMAL.fullmatch, texts)):
            return 0
        return max((len(_after_point(text)) for text in texts), default=0)

    def _cell_text(self, area: _Area) -> str:
        """Return a cell's text, padded on the right so that decimal points line up."""
        text = visible(area.cell.text)
        fraction = self._fractions[area.left] if area.right == area.left + 1 else 0
        if not fraction or area.top < self._table.header_rows or not re.search(r"\d", text):
            return text
        return text + " " * (fraction - len(_after_point(text)))

    def _fit(self, max_width: int) -> tuple[list[int], list[int]]:
        """Return the columns to show and the width of each, so that a row fits into `max_width`.

        Columns are left out, from the middle, if the shrunken columns do not fit. A number is never
        broken over two lines, where it could be misread.
        """
        # A column is never wider than the terminal. Shrinking a long one step by step takes long.
        natural = {
            column: min(width, max_width) for column, width in self._natural_widths().items()
        }
        least = {
            column: width if self._alignments[column] == "right" else min(width, _MIN_TEXT_WIDTH)
            for column, width in natural.items()
        }
        shown = list(natural)
        while len(shown) > 1 and _total([least[each] for each in shown]) > max_width - _WIDER_GAP:
            del shown[(len(shown) + 1) // 2]
        # Without an omission there is no wide gap: the last column left out may fit after all.
        if len(shown) == len(natural) - 1 and _total(list(least.values())) <= max_width:
            shown = list(natural)
        widths = {column: natural[column] for column in shown}
        available = max_width - (_WIDER_GAP if len(shown) < len(natural) else 0)
        while _total(list(widths.values())) > available:
            shrinkable = [column for column in shown if widths[column] > least[column]]
            if not shrinkable:
                break
            widths[max(shrinkable, key=lambda column: widths[column])] -= 1
        return shown, [min(widths[column], max_width) for column in shown]

    def _natural_widths(self) -> dict[int, int]:
        """Return the width that each column needs for the cells of the visible rows."""
        widths = dict.fromkeys(range(self._columns), 1)
        spanning = []
        rows = {row for row in self._rows if row is not None}
        for area in self._areas:
            if rows.isdisjoint(range(area.top, area.bottom)):
                continue
            needed = max(cell_len(line) for line in self._cell_text(area).split("\n"))
            if area.right == area.left + 1:
                widths[area.left] = max(widths[area.left], needed)
            else:
                spanning.append((range(area.left, area.right), needed))
        # After all single columns: a spanning cell widens its last column by what is missing.
        for columns, needed in spanning:
            has = sum(widths[column] for column in columns) + _GAP * (len(columns) - 1)
            widths[columns[-1]] += max(0, needed - has)
        return widths

    # ── rows ─────────────────────────────────────────────────────────────────────────────────

    def _lines(
        self, row: int, position: int, shown: list[int], widths: list[int]
    ) -> Iterator[Text]:
        """Yield the lines of one row of the table; `position` is its index in `_rows`."""
        blocks = [
            (self._block(area, column, width), width, column)
            for area, column, width in self._areas_of_row(row, position, shown, widths)
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

    def _with_gaps(self, parts: Iterator[str], shown: list[int]) -> Iterator[str]:
        for index, (part, column) in enumerate(zip(parts, shown, strict=True)):
            yield (self._gap(shown, column, mark=False) if index else "") + part

    def _gap(self, shown: list[int], column: int, *, mark: bool) -> str:
        """Return the space before a column, wider where columns are left out.

        `mark`: put an ellipsis into the wider space.
        """
        if column - 1 in shown:
            return " " * _GAP
        return "  …  " if mark else " " * (_GAP + _WIDER_GAP)

    def _areas_of_row(
        self, row: int, position: int, shown: list[int], widths: list[int]
    ) -> Iterator[tuple[_Area | None, int, int]]:
        """Yield the areas of a row from left to right, each with its first column and its width.

        The area is None where no cell is, or where a row above already shows the cell's text.
        """
        index = 0
        while index < len(shown):
            area = self._area_at.get((row, shown[index]))
            right = area.right if area else shown[index] + 1
            last = index
            while last + 1 < len(shown) and shown[last + 1] < right:
                last += 1
            gaps = (len(self._gap(shown, each, mark=False)) for each in shown[index + 1 : last + 1])
            width = sum(widths[index : last + 1]) + sum(gaps)
            above = self._rows[position - 1] if position else None
            begins = area is not None and (above is None or above < area.top)
            yield (area if begins else None), shown[index], width
            index = last + 1

    def _block(self, area: _Area | None, column: int, width: int) -> list[Text]:
        """Return the lines of a cell, wrapped to `width` and aligned."""
        if area is None:
            return [Text()]
        text = Text(self._cell_text(area), style=self._style(area))
        align = area.cell.align if area.right > area.left + 1 else self._alignments[column]
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
        if area.top < self._table.header_rows:
            return "bold"
        return "dim" if area.cell.header else ""


_WRAPPER = Console(width=10_000, file=None, force_terminal=False)


def _total(widths: list[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1)


def _after_point(text: str) -> str:
    point = text.find(".")
    return text[point:] if point >= 0 else ""


def _areas(rows: list[list[TableCell]]) -> Iterator[_Area]:
    """Yield each cell with its place: the first free column of its row.

    The rule is HTML's algorithm "forming a table" (html.spec.whatwg.org).
    """
    taken: dict[int, set[int]] = {}
    for top, row in enumerate(rows):
        taken_here = taken.pop(top, set())
        left = 0
        for cell in row:
            while left in taken_here:
                left += 1
            if left >= _MAX_COLUMNS:
                break
            right = left + 1
            while right < min(left + cell.colspan, _MAX_COLUMNS) and right not in taken_here:
                right += 1
            bottom = min(top + cell.rowspan, len(rows))
            for below in range(top + 1, bottom):
                taken.setdefault(below, set()).update(range(left, right))
            yield _Area(cell, top, left, bottom, right)
            left = right


def _visible_rows(rows: int, header_rows: int, max_rows: int) -> list[int | None]:
    """Return the numbers of the rows to show, with None in place of the rows left out."""
    body = rows - header_rows
    if not max_rows or body <= max_rows:
        return list(range(rows))
    head = header_rows + (max_rows + 1) // 2
    return [*range(head), None, *range(rows - max_rows // 2, rows)]
