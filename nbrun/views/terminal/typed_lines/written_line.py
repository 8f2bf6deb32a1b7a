"""A line that is only written from left to right, for screen readers and simple terminals."""

from rich.cells import cell_len
from rich.console import Console

from nbrun.views.terminal.typed_lines.question import Question
from nbrun.views.text.sanitize import visible


class WrittenLine:
    """Write the question and what is typed.

    A change that neither adds to the end nor takes from it is written as a whole new line.
    """

    def __init__(self, console: Console, question: Question) -> None:
        self._console = console
        self._prompt = question.prompt
        self._secret = question.secret
        self._text = ""
        self._begun = False  # something is on the cursor's row

    def begin(self) -> None:
        """Do nothing: the terminal needs no preparation."""

    def changed(self, text: str) -> None:
        before, self._text = self._text, text
        if self._secret:
            return
        if text.startswith(before):
            self._write(visible(text[len(before) :]))
        elif before.startswith(text) and "\n" not in before[len(text) :]:
            columns = cell_len(visible(before[len(text) :]))
            self._write("\b" * columns + " " * columns + "\b" * columns)
        else:
            self.hide()
            self.show()

    def hide(self) -> None:
        """Begin a new row: nothing is taken back."""
        if self._begun:
            self._write("\n")
        self._begun = False

    def show(self) -> None:
        self._begun = True
        self._write(self._prompt + ("" if self._secret else visible(self._text)))

    def end(self) -> None:
        self.hide()

    def _write(self, text: str) -> None:
        self._console.file.write(text)
        self._console.file.flush()
