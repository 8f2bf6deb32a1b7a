"""A line that prompt_toolkit draws and redraws."""

import os
from typing import Any, TextIO, cast

from prompt_toolkit.application import Application
from prompt_toolkit.data_structures import Size
from prompt_toolkit.layout.processors import Processor, Transformation, TransformationInput
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.output.vt100 import Vt100_Output
from rich.console import Console

_USUAL_SIZE = (80, 24)  # columns and rows of a terminal that does not say
_PASTES_MARKED, _PASTES_UNMARKED = "\x1b[?2004h", "\x1b[?2004l"


class Hidden(Processor):
    """Show nothing of the line, not even its length."""

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        kept = [each for each in transformation_input.fragments if "[ZeroWidth" in each[0]]
        return Transformation(kept, lambda _: 0, lambda _: 0)


class _Output(Vt100_Output):
    """Writes to a terminal. `DrawnLine` says when pastes are marked: not around each drawing."""

    def enable_bracketed_paste(self) -> None:
        pass

    def disable_bracketed_paste(self) -> None:
        pass


class DrawnLine:
    """The line as prompt_toolkit draws it. `app` draws it."""

    app: Application[Any]

    def __init__(self, console: Console, fd: int) -> None:
        colours = ColorDepth.from_env()
        if console.no_color or console.color_system is None:
            colours = ColorDepth.DEPTH_1_BIT
        self._fd = fd
        self.output = _Output(
            cast(TextIO, console.file),
            self._size,
            term=os.environ.get("TERM"),
            default_color_depth=colours,
            enable_cpr=False,
        )

    def _size(self) -> Size:
        try:
            columns, rows = os.get_terminal_size(self._fd)
        except OSError:
            columns = rows = 0
        return Size(columns=columns or _USUAL_SIZE[0], rows=rows or _USUAL_SIZE[1])

    def begin(self) -> None:
        self._write("\r" + _PASTES_MARKED)  # over the echo of keys that are discarded

    def changed(self, _text: str) -> None:
        pass

    def hide(self) -> None:
        self.app.renderer.erase()

    def show(self) -> None:
        self.app.invalidate()

    def end(self) -> None:
        self._write(_PASTES_UNMARKED)

    def _write(self, text: str) -> None:
        self.output.write_raw(text)
        self.output.flush()
