"""Kernel text as a terminal would display it, with colours and overwritten characters.

A cursor can move up a few lines, so that several progress bars below each other change in place. It
never reaches text that was shown before.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import groupby
from typing import cast

from rich.ansi import AnsiDecoder
from rich.cells import get_character_cell_size
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from nbrun.views.text.sanitize import MOVES, SGR, neutralise

MAX_UNFINISHED_COLUMNS = 8_192  # of a line without a newline
REWRITABLE_LINES = 12  # lines above the last one that a cursor can reach

_ANY_SGR = re.compile(SGR)
_PARTIAL_SEQUENCE = re.compile(r"\x1b(?:\[(?:\?2?5?|[0-9;:]{0,64}))?\Z")
_MAX_PARTIAL_SEQUENCE = 66  # characters
_VERTICAL_MOVE = re.compile(r"\x1b\[([0-9]{0,3})([AB])")
_CURSOR_MOVE = re.compile(rf"[\r\b]|{MOVES}")
_RETURNS_BEFORE_NEWLINE = re.compile(r"(?<!\r)\r++\n")
_NARROW = r"[ -~\u00a1-\u02ff\u2500-\u259f]"  # characters of one column
_NARROW_LINE = re.compile(f"{_NARROW}*")
_PIECE = re.compile(
    rf"(?P<sgr>{SGR})|\x1b\[(?P<erase>[0-2]?)K|(?P<other>{MOVES})"
    r"|(?P<return>\r)|(?P<back>[\b])|(?P<tab>\t)"
    rf"|(?P<narrow>{_NARROW}+)|(?P<one>.)"
)
_NEWLINE_OR_MOVE = re.compile(r"(\n|\x1b\[[0-9]{0,3}[AB])")
_TAB_STOP = 8  # columns
_MAX_COMBINED = 16  # characters in one column; without a limit, adding one takes ever longer


def screen_text(text: str) -> Text:
    """Return a block of text as a terminal would display it.

    Returns, backspaces and cursor movements over a few lines overwrite. Colours carry over from
    line to line. The newline that ends the last line is not part of the result.
    """
    if is_plain(text):
        return _unwrapped(Text(text.removesuffix("\n")))
    buffer = TerminalBuffer(REWRITABLE_LINES)
    parts = (buffer.feed(text), buffer.finish())
    return _unwrapped(Text("\n").join(part for part in parts if part is not None))


def is_plain(text: str) -> bool:
    """Return True if a terminal would display `text` unchanged, as it does most output.

    This test is fast, and saves the slow emulation.
    """
    return text.isascii() and text.replace("\n", "").replace("\t", "").isprintable()


class Preformatted:
    """Texts that are printed unchanged, all as one renderable.

    rich would lay out each line for nothing, and each renderable costs it time.
    """

    def __init__(self, texts: list[Text]) -> None:
        self._texts = texts

    def __rich_console__(self, console: Console, _options: ConsoleOptions) -> RenderResult:
        for is_plain, texts in groupby(self._texts, lambda text: not (text.spans or text.style)):
            if is_plain:
                yield Segment("".join(f"{text.plain}{text.end}" for text in texts))
            else:
                yield from _styled(texts, console)


def _styled(texts: Iterable[Text], console: Console) -> Iterator[Segment]:
    for text in texts:
        if text.spans:
            yield from text.render(console, end=text.end)
        else:  # without spans, `render` would drop the style of the whole text
            yield Segment(text.plain, console.get_style(text.style))
            yield Segment(text.end)


def skip_layout(shown: Iterable[RenderableType], width: int) -> Iterator[RenderableType]:
    """Yield `shown`, with each run of texts that need no layout merged into one `Preformatted`.

    rich would print such a text unchanged on `width` columns: the text keeps its lines whole, or
    is one line that fits.
    """
    for needs_no_layout, group in groupby(shown, lambda each: _needs_no_layout(each, width)):
        if needs_no_layout:
            yield Preformatted(cast("list[Text]", list(group)))
        else:
            yield from group


def _needs_no_layout(shown: RenderableType, width: int) -> bool:
    if not isinstance(shown, Text) or "\t" in shown.plain:
        return False
    return shown.overflow == "ignore" or _fits(shown, width)


def _fits(text: Text, width: int) -> bool:
    if len(text) > width or text.justify is not None:
        return False
    return _NARROW_LINE.fullmatch(text.plain) is not None


def _unwrapped(text: Text) -> Text:
    """Keep rich from wrapping the lines: a terminal wraps them itself, and a file need not."""
    text.no_wrap, text.overflow = True, "ignore"
    return text


class TerminalBuffer:
    """The last lines of a text that arrives in chunks, which may be cut anywhere.

    Besides the line being written, the last `rewritable_lines` lines stay open: a cursor can move
    back up to them.
    """

    def __init__(self, rewritable_lines: int = 0) -> None:
        self._rewritable_lines = rewritable_lines
        self._open = [_Line(Style.null())]
        self._row = 0
        self._partial = ""  # the start of an escape sequence, until the next chunk completes it

    def feed(self, chunk: str) -> Text | None:
        """Add a chunk. Return the lines that it completes, without the last newline, or None.

        An unfinished line longer than MAX_UNFINISHED_COLUMNS is returned as a line of its own. This
        bounds the memory of this buffer and the time to render `pending`.
        """
        text = self._complete_sequences(chunk)
        if len(text) > MAX_UNFINISHED_COLUMNS and "\n" not in text and self._is_at_end(text):
            return self._close_with(text)
        parts = text.rsplit("\n", self._rewritable_lines + 1)
        on_last_line = self._row == len(self._open) - 1
        replaces_open_lines = len(parts) == self._rewritable_lines + 2
        done: list[Text] = []
        if on_last_line and replaces_open_lines and not _VERTICAL_MOVE.search(text):
            done = self._write_block(parts[0], parts[1:])
        else:
            self._write_pieces(text)
            while len(self._open) > self._rewritable_lines + 1 and self._row:
                done.append(self._open.pop(0).text())
                self._row -= 1
        if self._line.columns > MAX_UNFINISHED_COLUMNS:
            done += [line.text() for line in self._open]
            self._reset()
        return _unwrapped(Text("\n").join(done)) if done else None

    def _is_at_end(self, text: str) -> bool:
        """Return True if plain `text` extends the last line and overwrites nothing."""
        line = self._line
        return self._row == len(self._open) - 1 and line.is_at_end and is_plain(text)

    def _close_with(self, text: str) -> Text:
        """Return the open lines with `text` appended, which is too long to stay open."""
        done = [line.text() for line in self._open]
        done[-1].append(text, self._line.style)
        self._reset()
        return _unwrapped(Text("\n").join(done))

    @property
    def pending(self) -> Text:
        """The open lines, as they look now."""
        return Text("\n").join([line.text() for line in self._open])

    def finish(self) -> Text | None:
        """Return the open lines, or None if they are empty. The next chunk starts a new line."""
        partial, self._partial = self._partial, ""
        self._line.write(neutralise(partial))
        if len(self._open) > 1 and not self._open[-1].columns:
            self._open.pop()
        is_empty = len(self._open) == 1 and not self._open[0].columns
        text = None if is_empty else _unwrapped(self.pending)
        self._reset()
        return text

    @property
    def _line(self) -> "_Line":
        return self._open[min(self._row, len(self._open) - 1)]

    def _reset(self) -> None:
        """Open one empty line, which the current style carries over to."""
        self._open, self._row = [_Line(self._line.style)], 0

    def _complete_sequences(self, chunk: str) -> str:
        """Return the text so far, made safe, without an escape sequence that may be incomplete."""
        text = self._partial + chunk
        cut = _PARTIAL_SEQUENCE.search(text[-_MAX_PARTIAL_SEQUENCE:])
        self._partial = cut[0] if cut else ""
        safe = neutralise(text.removesuffix(self._partial), moves=True)
        # Programs that write to a terminal end lines with \r\n, where the return moves nothing.
        return _RETURNS_BEFORE_NEWLINE.sub("\n", safe)

    def _write_block(self, head: str, tail: list[str]) -> list[Text]:
        """Write many lines at once: those of `head` are completed, those of `tail` stay open.

        Return the completed lines, with those that were open before. This is fast, but needs the
        cursor on the last line and no vertical moves.
        """
        first, newline, rest = head.partition("\n")
        self._line.write(first)
        done = [line.text() for line in self._open]
        style = self._line.style
        if newline:
            shown, style = _lines(rest, style)
            done.append(shown)
        self._open = []
        for line in tail:
            self._open.append(_Line(style))
            self._open[-1].write(line)
            style = self._open[-1].style
        self._row = len(self._open) - 1
        return done

    def _write_pieces(self, text: str) -> None:
        """Write `text` one cursor movement at a time."""
        for piece in _NEWLINE_OR_MOVE.split(text):
            move = _VERTICAL_MOVE.fullmatch(piece)
            if piece == "\n":
                self._go(self._row + 1, 0)
            elif move is not None:
                count = int(move[1] or 1) or 1
                row = self._row + (count if move[2] == "B" else -count)
                self._go(min(max(0, row), len(self._open) - 1), self._line.cursor)
            else:
                self._line.write(piece)

    def _go(self, row: int, column: int) -> None:
        style = self._line.style
        if row == len(self._open):
            self._open.append(_Line(style))
        self._row = row
        self._line.style = style
        self._line.move_to(column)


class _Line:
    """One line of a terminal, one cell a column.

    A cell is "" where a wide character or a tab continues.
    """

    def __init__(self, style: Style) -> None:
        self.style = style
        self._cells: list[str] = []
        self._styles: list[Style] = []
        self._cursor = 0

    @property
    def columns(self) -> int:
        return len(self._cells)

    @property
    def is_at_end(self) -> bool:
        """Return True if the cursor is behind the last column."""
        return self._cursor == len(self._cells)

    @property
    def cursor(self) -> int:
        """The column that the next character takes, from 0."""
        return self._cursor

    def move_to(self, column: int) -> None:
        self._fill(column)
        self._cursor = column

    def write(self, text: str) -> None:
        """Write at the cursor, over what is there. `text` is neutralised and has no newline."""
        for piece in _PIECE.finditer(text):
            match piece.lastgroup:
                case "sgr":
                    self.style = _apply_sgr(self.style, piece[0])
                case "return":
                    self._cursor = 0
                case "erase":
                    self._erase(piece["erase"])
                case "other":
                    pass  # the cursor's visibility does not change the text
                case "back":
                    self._cursor = max(0, self._cursor - 1)
                case "tab":
                    self._tab()
                case "narrow":
                    self._put(list(piece[0]))
                case _:
                    self._put_one(piece[0])

    def text(self) -> Text:
        shown = Text()
        start = 0
        for style, run in groupby(self._styles):  # a line may have millions of columns
            end = start + len(list(run))
            shown.append("".join(self._cells[start:end]), style)
            start = end
        return shown

    def _tab(self) -> None:
        """Move to the next tab stop and erase nothing. At the end of a line, write a tab."""
        stop = (self._cursor // _TAB_STOP + 1) * _TAB_STOP
        if self._cursor == self.columns:
            self._put(["\t"] + [""] * (stop - self._cursor - 1))
            return
        self._fill(stop)
        self._cursor = stop

    def _fill(self, columns: int) -> None:
        """Pad the line with spaces to at least `columns`."""
        missing = max(0, columns - self.columns)
        self._cells += " " * missing
        self._styles += [self.style] * missing

    def _erase(self, what: str) -> None:
        """Erase in line (ECMA-48, 8.3.41): after the cursor, up to the cursor, or everything."""
        self._split_at(self._cursor)
        if what == "1":
            self._split_at(min(self._cursor + 1, self.columns))
            self._cells[: self._cursor + 1] = [" "] * min(self._cursor + 1, self.columns)
            return
        del self._cells[self._cursor :], self._styles[self._cursor :]
        if what == "2":
            self._cells = [" "] * self.columns

    def _put_one(self, character: str) -> None:
        width = get_character_cell_size(character)
        if width or not self._combine(character):
            self._put([character] + [""] * (width - 1))

    def _combine(self, character: str) -> bool:
        """Add a zero-width character to the one before the cursor. Return False if that is full."""
        if not self._cursor:
            return False
        column = self._first_column(self._cursor - 1)
        if len(self._cells[column]) >= _MAX_COMBINED:
            return False
        self._cells[column] += character
        return True

    def _put(self, cells: list[str]) -> None:
        end = self._cursor + len(cells)
        self._split_at(self._cursor)
        self._split_at(end)
        self._cells[self._cursor : end] = cells
        self._styles[self._cursor : end] = [self.style] * len(cells)
        self._cursor = end

    def _split_at(self, column: int) -> None:
        """Blank a wide character across the left edge of `column`, since a part is overwritten."""
        if column >= self.columns or self._cells[column]:
            return
        start, end = self._first_column(column), column + 1
        while end < self.columns and not self._cells[end]:
            end += 1
        self._cells[start:end] = " " * (end - start)

    def _first_column(self, column: int) -> int:
        """Return the first column of the character that covers `column`."""
        while not self._cells[column]:
            column -= 1
        return column


def _lines(text: str, style: Style) -> tuple[Text, Style]:
    """Return complete neutralised lines as displayed, and the style at their end."""
    shown = Text()
    if not _CURSOR_MOVE.search(text):
        return shown, _append(shown, text, style)
    for number, line in enumerate(text.split("\n")):
        shown.append("\n" if number else "")
        written = _Line(style)
        written.write(line)
        shown.append_text(written.text())
        style = written.style
    return shown, style


def _append(shown: Text, text: str, style: Style) -> Style:
    """Append text without cursor movements, one run of a style at a time. Return the last style."""
    start = 0
    for sgr in _ANY_SGR.finditer(text):
        shown.append(text[start : sgr.start()], style)
        style = _apply_sgr(style, sgr[0])
        start = sgr.end()
    shown.append(text[start:], style)
    return style


@lru_cache(maxsize=4096)
def _apply_sgr(style: Style, sgr: str) -> Style:
    """Return `style` after an SGR sequence, which rich parses."""
    decoder = AnsiDecoder()
    decoder.style = style
    decoder.decode_line(sgr)
    return decoder.style
