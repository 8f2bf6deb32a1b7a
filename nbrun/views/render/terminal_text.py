"""Kernel text as a terminal shows it, line by line: what returns overwrites, colours stay.

Cursor movements reach a few lines up, so that several progress bars, one below the other, change
in place; they never reach what was shown before this text.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import cast

from rich.ansi import AnsiDecoder
from rich.cells import get_character_cell_size
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from nbrun.views.text.sanitize import MOVES, SGR, neutralise

MAX_UNFINISHED_COLUMNS = 8_192
REWRITABLE_LINES = 12  # that a cursor may go back to

_SGR_ONLY = re.compile(SGR)
_CUT_SGR = re.compile(r"\x1b(?:\[(?:\?2?5?|[0-9;:]{0,64}))?\Z")
_LONGEST_CUT_SGR = 66
_MOVES_LINE = re.compile(r"\x1b\[([0-9]{0,3})([AB])")
_CURSOR_MOVE = re.compile(rf"[\r\b]|{MOVES}")
_RETURNS_AT_END = re.compile(r"(?<!\r)\r++\n")
_NARROW = r"[ -~\u00a1-\u02ff\u2500-\u259f]"  # each takes one column
_ONE_LINE = re.compile(f"{_NARROW}*")
_PIECE = re.compile(
    rf"(?P<sgr>{SGR})|\x1b\[(?P<erase>[0-2]?)K|(?P<other>{MOVES})"
    r"|(?P<return>\r)|(?P<back>[\b])|(?P<tab>\t)"
    rf"|(?P<narrow>{_NARROW}+)|(?P<one>.)"
)
_STEPS = re.compile(rf"(\n|{_MOVES_LINE.pattern})".replace("([0-9]{0,3})([AB])", "[0-9]{0,3}[AB]"))
_TAB_STOP = 8
_MOST_JOINED = 16  # a cell without bound would take ever longer to add to


def screen_text(text: str) -> Text:
    """Return a whole block as a terminal would show it.

    Returns, backspaces and a few lines' cursor movements overwrite; colours carry over from line
    to line. The newline that ends the last line is not part of the result.
    """
    if is_plain(text):
        return _whole(Text(text.removesuffix("\n")))
    stream = TerminalBuffer(REWRITABLE_LINES)
    shown = (stream.feed(text), stream.finish())
    return _whole(Text("\n").join(part for part in shown if part is not None))


def is_plain(text: str) -> bool:
    """Whether a terminal would show it as it is: most of what is printed is, and takes no time."""
    return text.isascii() and text.replace("\n", "").replace("\t", "").isprintable()


class Preformatted:
    """Texts printed as they are: rich would lay each line out for nothing, and takes its time over
    each renderable."""

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
        else:  # then `render` leaves out the style of the whole
            yield Segment(text.plain, console.get_style(text.style))
            yield Segment(text.end)


def skip_layout(shown: Iterable[RenderableType], width: int) -> Iterator[RenderableType]:
    """Yield `shown`, with each run of texts that need no layout merged into one `Preformatted`.

    rich would print such a text unchanged on `width` columns: the text keeps its lines whole, or
    is one line that fits.
    """
    for is_as_it_is, together in groupby(shown, lambda each: _is_as_it_is(each, width)):
        if is_as_it_is:
            yield Preformatted(cast("list[Text]", list(together)))
        else:
            yield from together


def _is_as_it_is(shown: RenderableType, width: int) -> bool:
    if not isinstance(shown, Text) or "\t" in shown.plain:
        return False
    return shown.overflow == "ignore" or _fits(shown, width)


def _fits(text: Text, width: int) -> bool:
    if len(text) > width or text.justify is not None:
        return False
    return _ONE_LINE.fullmatch(text.plain) is not None


def _whole(text: Text) -> Text:
    """`text` with its lines left whole: a terminal wraps them itself, and a file need not."""
    text.no_wrap, text.overflow = True, "ignore"
    return text


class TerminalBuffer:
    """Kernel text as it comes, in chunks that may be cut anywhere.

    The last `keep` lines stay open beside the one that is being written: a cursor can go back up
    to them.
    """

    def __init__(self, keep: int = 0) -> None:
        self._keep = keep
        self._open = [_Line(Style.null())]
        self._row = 0
        self._held = ""

    def feed(self, chunk: str) -> Text | None:
        """Take a chunk; return the lines that are done, without the last newline, or None.

        An unfinished line longer than MAX_UNFINISHED_COLUMNS is returned as a line of its own. This
        bounds the memory of this buffer and the time to render `pending`.
        """
        text = self._take(chunk)
        if len(text) > MAX_UNFINISHED_COLUMNS and "\n" not in text and self._is_at_end(text):
            return self._line_of(text)
        parts = text.rsplit("\n", self._keep + 1)
        at_bottom = self._row == len(self._open) - 1
        done: list[Text] = []
        if at_bottom and len(parts) == self._keep + 2 and not _MOVES_LINE.search(text):
            done = self._in_bulk(parts[0], parts[1:])
        else:
            self._step_by_step(text)
            while len(self._open) > self._keep + 1 and self._row:
                done.append(self._open.pop(0).text())
                self._row -= 1
        if self._line.columns > MAX_UNFINISHED_COLUMNS:
            done += [line.text() for line in self._open]
            self._start()
        return _whole(Text("\n").join(done)) if done else None

    def _is_at_end(self, text: str) -> bool:
        """Whether `text` only goes on with the last line."""
        line = self._line
        return self._row == len(self._open) - 1 and line.is_at_end and is_plain(text)

    def _line_of(self, text: str) -> Text:
        """The open lines, and `text` after them, which is too long to stay open."""
        done = [line.text() for line in self._open]
        done[-1].append(text, self._line.style)
        self._start()
        return _whole(Text("\n").join(done))

    @property
    def pending(self) -> Text:
        """The lines that are still open, as they look now."""
        return Text("\n").join([line.text() for line in self._open])

    def finish(self) -> Text | None:
        """Return the open lines, or None when they are empty, and start anew on the next one."""
        held, self._held = self._held, ""
        self._line.write(neutralise(held))
        if len(self._open) > 1 and not self._open[-1].columns:
            self._open.pop()
        shown = self._open if len(self._open) > 1 or self._open[0].columns else []
        text = _whole(Text("\n").join([line.text() for line in shown])) if shown else None
        self._start()
        return text

    @property
    def _line(self) -> "_Line":
        return self._open[min(self._row, len(self._open) - 1)]

    def _start(self) -> None:
        self._open, self._row = [_Line(self._line.style)], 0

    def _take(self, chunk: str) -> str:
        """Hold back an escape sequence that may go on in the next chunk; make the rest safe."""
        text = self._held + chunk
        cut = _CUT_SGR.search(text[-_LONGEST_CUT_SGR:])
        self._held = cut[0] if cut else ""
        # Programs that write to a terminal end lines in \r\n: that moves nothing.
        return _RETURNS_AT_END.sub("\n", neutralise(text.removesuffix(self._held), moves=True))

    def _in_bulk(self, head: str, tail: list[str]) -> list[Text]:
        """Complete the open lines with the lines of `head`; those of `tail` are open from now on.
        Return what is done."""
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

    def _step_by_step(self, text: str) -> None:
        for piece in _STEPS.split(text):
            move = _MOVES_LINE.fullmatch(piece)
            if piece == "\n":
                self._go(self._row + 1, 0)
            elif move is not None:
                many = int(move[1] or 1) or 1
                row = self._row + (many if move[2] == "B" else -many)
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
    """One line as a terminal holds it: an entry a column, "" where a character goes on."""

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
        """Whether what is written next goes on with it."""
        return self._cursor == len(self._cells)

    @property
    def cursor(self) -> int:
        """The column that is written next, from 0."""
        return self._cursor

    def move_to(self, column: int) -> None:
        self._fill(column)
        self._cursor = column

    def write(self, text: str) -> None:
        """Write neutralised text that has no newline at the cursor, over what is there."""
        for piece in _PIECE.finditer(text):
            match piece.lastgroup:
                case "sgr":
                    self.style = _restyled(self.style, piece[0])
                case "return":
                    self._cursor = 0
                case "erase":
                    self._erase(piece["erase"])
                case "other":
                    pass  # the cursor's visibility is nobody's but the terminal's
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
        for style, run in groupby(zip(self._styles, self._cells, strict=True), itemgetter(0)):
            shown.append("".join(cell for _, cell in run), style)
        return shown

    def _tab(self) -> None:
        """Go to the next tab stop, erasing nothing. At the line's end the tab is kept as such."""
        stop = (self._cursor // _TAB_STOP + 1) * _TAB_STOP
        if self._cursor == self.columns:
            self._put(["\t"] + [""] * (stop - self._cursor - 1))
            return
        self._fill(stop)
        self._cursor = stop

    def _fill(self, columns: int) -> None:
        """Make the line at least so long."""
        missing = max(0, columns - self.columns)
        self._cells += " " * missing
        self._styles += [self.style] * missing

    def _erase(self, what: str) -> None:
        """ECMA-48 8.3.41: from the cursor on, up to it, or all of the line."""
        self._break(self._cursor)
        if what == "1":
            self._break(min(self._cursor + 1, self.columns))
            self._cells[: self._cursor + 1] = [" "] * min(self._cursor + 1, self.columns)
            return
        del self._cells[self._cursor :], self._styles[self._cursor :]
        if what == "2":
            self._cells = [" "] * self.columns

    def _put_one(self, character: str) -> None:
        width = get_character_cell_size(character)
        if width or not self._joined(character):
            self._put([character] + [""] * (width - 1))

    def _joined(self, character: str) -> bool:
        """Add a character without width to the one before it, if there is one with room left."""
        if not self._cursor:
            return False
        column = self._start(self._cursor - 1)
        if len(self._cells[column]) >= _MOST_JOINED:
            return False
        self._cells[column] += character
        return True

    def _put(self, cells: list[str]) -> None:
        end = self._cursor + len(cells)
        self._break(self._cursor)
        self._break(end)
        self._cells[self._cursor : end] = cells
        self._styles[self._cursor : end] = [self.style] * len(cells)
        self._cursor = end

    def _break(self, column: int) -> None:
        """Blank a character that lies across the left edge of `column`: part of it is going."""
        if column >= self.columns or self._cells[column]:
            return
        start, end = self._start(column), column + 1
        while end < self.columns and not self._cells[end]:
            end += 1
        self._cells[start:end] = " " * (end - start)

    def _start(self, column: int) -> int:
        """Return the first column of the character that covers `column`."""
        while not self._cells[column]:
            column -= 1
        return column


def _lines(text: str, style: Style) -> tuple[Text, Style]:
    """Return whole neutralised lines as they look, and the style at their end."""
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
    """Append text that moves no cursor, a run of one style at a time; return the last style."""
    start = 0
    for sgr in _SGR_ONLY.finditer(text):
        shown.append(text[start : sgr.start()], style)
        style = _restyled(style, sgr[0])
        start = sgr.end()
    shown.append(text[start:], style)
    return style


@lru_cache(maxsize=4096)
def _restyled(style: Style, sgr: str) -> Style:
    """Return `style` as one SGR sequence changes it, read by rich."""
    decoder = AnsiDecoder()
    decoder.style = style
    decoder.decode_line(sgr)
    return decoder.style
