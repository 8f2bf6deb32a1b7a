"""Kernel text made safe to show: only its colours, tabs, newlines and cursor returns take effect.

Whatever comes from a kernel, a source, a Markdown cell, a parameter or a file name passes here on
its way to a terminal, and nowhere else: the journal keeps the original. Escape sequences are those
of ECMA-48, 5th edition; SGR ("select graphic rendition", 8.3.117) is the one that sets colours.
"""

import re
from functools import lru_cache
from itertools import groupby
from operator import itemgetter

from rich.ansi import AnsiDecoder
from rich.cells import get_character_cell_size
from rich.style import Style
from rich.text import Text

LONGEST_UNFINISHED = 8_192

_SGR = r"\x1b\[[0-9;:]{0,64}m"
# C0 but tab and newline, DEL, C1; then what reorders text, breaks lines or can't be seen. The
# joiners U+200C and U+200D stay: Persian, Indic scripts and emoji are written with them.
_UNSAFE = (
    r"\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    r"\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff"
)
_ANY_UNSAFE = re.compile(f"[{_UNSAFE}]")
_SGR_OR_UNSAFE = re.compile(rf"{_SGR}|(?![\r\b])[{_UNSAFE}]")
_ONE_LINE_UNSAFE = re.compile(rf"[\t\n{_UNSAFE}]")
_SGR_ONLY = re.compile(_SGR)
_CUT_SGR = re.compile(r"\x1b(?:\[[0-9;:]{0,64})?\Z")
_LONGEST_CUT_SGR = 66
_HIDES = re.compile(r"[\[;:]0*[568](?=[;:m])")
_SHOW = "\x1b[25;26;28m"
_CURSOR_MOVE = re.compile(r"[\r\b]")
_RETURNS_AT_END = re.compile(r"(?<!\r)\r++\n")
_PIECE = re.compile(
    rf"(?P<sgr>{_SGR})|(?P<return>\r)|(?P<back>[\b])|(?P<tab>\t)"
    r"|(?P<narrow>[ -~\u00a1-\u02ff\u2500-\u259f]+)|(?P<one>.)"
)
_TAB_STOP = 8
_MOST_JOINED = 16  # a cell without bound would take ever longer to add to
_WRITTEN = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def neutralise(text: str) -> str:
    """Return `text` with every control but SGR, tab, newline, return and backspace made visible.

    C0 and DEL become caret notation (`^[`), the rest `<U+009B>`. Text is never concealed.
    """
    if not _ANY_UNSAFE.search(text):
        return text
    return _SGR_OR_UNSAFE.sub(_neutral, text)


def visible(text: str) -> str:
    """Return `text` with every control but tab and newline made visible, SGR too: for sources."""
    return _ANY_UNSAFE.sub(_as_ascii, text.replace("\r\n", "\n"))


def plain(text: str) -> str:
    r"""Return `text` on one line, nothing in it taking effect: a newline is shown as `\n`."""
    return _ONE_LINE_UNSAFE.sub(lambda found: _WRITTEN.get(found[0]) or _as_ascii(found), text)


def to_text(text: str) -> Text:
    """Return a whole block as a terminal would show it.

    Returns and backspaces overwrite, colours stay with the characters that remain and carry over
    from line to line. The newline that ends the last line is not part of the result.
    """
    stream = Stream()
    shown = (stream.feed(text), stream.finish())
    return _whole(Text("\n").join(part for part in shown if part is not None))


def _whole(text: Text) -> Text:
    """`text` with its lines left whole: a terminal wraps them itself, and a file need not."""
    text.no_wrap, text.overflow = True, "ignore"
    return text


class Stream:
    """Kernel text as it comes, in chunks that may be cut anywhere."""

    def __init__(self) -> None:
        self._line = _Line(Style.null())
        self._held = ""

    def feed(self, chunk: str) -> Text | None:
        """Take a chunk; return the lines it completes, without the last newline, or None.

        An unfinished line of more than LONGEST_UNFINISHED columns is returned as a line of its own,
        so that what is kept, and the time to show it, stay bounded.
        """
        head, newline, tail = self._take(chunk).rpartition("\n")
        done = [self._complete(head)] if newline else []
        self._line.write(tail)
        if self._line.columns > LONGEST_UNFINISHED:
            done.append(self._next_line())
        return _whole(Text("\n").join(done)) if done else None

    @property
    def pending(self) -> Text:
        """The unfinished line as it looks now."""
        return self._line.text()

    def finish(self) -> Text | None:
        """Return the unfinished line, or None when it is empty, and start anew on the next one."""
        held, self._held = self._held, ""
        self._line.write(neutralise(held))
        return _whole(self._next_line()) if self._line.columns else None

    def _take(self, chunk: str) -> str:
        """Hold back an escape sequence that may go on in the next chunk; make the rest safe."""
        text = self._held + chunk
        cut = _CUT_SGR.search(text[-_LONGEST_CUT_SGR:])
        self._held = cut[0] if cut else ""
        # Programs that write to a terminal end lines in \r\n: that moves nothing.
        return _RETURNS_AT_END.sub("\n", neutralise(text.removesuffix(self._held)))

    def _complete(self, head: str) -> Text:
        """Return the unfinished line as `head` ends it, and the lines after it in `head`."""
        first, newline, rest = head.partition("\n")
        self._line.write(first)
        line = self._next_line()
        if not newline:
            return line
        shown, self._line.style = _lines(rest, self._line.style)
        return Text("\n").join([line, shown])

    def _next_line(self) -> Text:
        line, self._line = self._line.text(), _Line(self._line.style)
        return line


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

    def write(self, text: str) -> None:
        """Write neutralised text that has no newline at the cursor, over what is there."""
        for piece in _PIECE.finditer(text):
            match piece.lastgroup:
                case "sgr":
                    self.style = _restyled(self.style, piece[0])
                case "return":
                    self._cursor = 0
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
        missing = max(0, stop - self.columns)
        self._cells += " " * missing
        self._styles += [self.style] * missing
        self._cursor = stop

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


def _neutral(found: re.Match[str]) -> str:
    if len(found[0]) == 1:
        return _as_ascii(found)
    # What terminals make of odd parameters differs, so none is taken out: concealing and blinking
    # are switched off right after.
    return found[0] + _SHOW if _HIDES.search(found[0]) else found[0]


def _as_ascii(found: re.Match[str]) -> str:
    code = ord(found[0])
    return "^" + chr(code ^ 0x40) if code < 0x80 else f"<U+{code:04X}>"


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
