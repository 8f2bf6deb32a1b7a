"""The keyboard of an operator: asks for one line, while a second file descriptor is watched."""

import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from nbrun.views.terminal.typed_lines.question import PollUpdates, Question
from nbrun.views.text.sanitize import SGR

if TYPE_CHECKING:
    from nbrun.views.terminal.typed_lines.line_editor import LineEditor

_MOST_PROMPT_ROWS = 4  # the line of a longer prompt begins below it


class Keyboard:
    """Ask on the terminal `fd`. The question is shown on `console`.

    The line is drawn by an editor, or with `plain`, or on a terminal that can't redraw, only
    written from left to right.
    """

    def __init__(self, fd: int, console: Console, *, plain: bool = False) -> None:
        self._fd = fd
        self._console = console
        self._drawn = not plain and _can_redraw(console)
        self._editor: LineEditor | None = None

    def ask(
        self, question: Question, watch: int | None = None, poll: PollUpdates | None = None
    ) -> str | None:
        """Return the text typed after the question; None if `poll` withdraws the question.

        Keys typed before the question is shown are discarded. A paste never ends the text.

        Raises:
            EOFError: end of file was typed.
            KeyboardInterrupt: Ctrl-C was pressed, and no handler of the caller's has taken it.
            OSError: there is no terminal, or it is gone.
        """
        if self._editor is None:
            from nbrun.views.terminal.typed_lines.line_editor import LineEditor  # slow to import

            self._editor = LineEditor(self._fd, self._console, drawn=self._drawn)
        prompt = self._print_head(question.prompt)
        return self._editor.ask(replace(question, prompt=prompt), watch, poll)

    def _print_head(self, prompt: str) -> str:
        """Print all but the last row of `prompt`, and return the rest with its colours."""
        head, _, last = prompt.expandtabs().rpartition("\n")
        colours = "".join(re.findall(SGR, head)) if self._drawn else ""
        if cell_len(re.sub(SGR, "", last)) >= _MOST_PROMPT_ROWS * self._console.width:
            head, last = prompt, ""
        if head:
            self._console.print(Text.from_ansi(head))
        return colours + last if self._drawn else re.sub(SGR, "", last)


def _can_redraw(console: Console) -> bool:
    # rich takes a file for a terminal if FORCE_COLOR is set.
    is_terminal = console.is_terminal and console.file.isatty()
    return is_terminal and bool(os.environ.get("TERM")) and not console.is_dumb_terminal
