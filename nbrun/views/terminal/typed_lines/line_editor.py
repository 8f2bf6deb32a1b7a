"""The line editor: prompt_toolkit, with the rules of an operator's prompt.

prompt_toolkit edits and draws. This module decides what reaches it: the terminal's own replies are
dropped, a paste is one text, and what was typed before the question is discarded. Signals stay
those of the program: Ctrl-C, Ctrl-Backslash and Ctrl-Z send them, as the terminal would.
"""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from prompt_toolkit import PromptSession
from prompt_toolkit.application import Application
from prompt_toolkit.formatted_text import ANSI
from prompt_toolkit.history import DummyHistory, History, InMemoryHistory
from prompt_toolkit.input.typeahead import clear_typeahead
from prompt_toolkit.output import DummyOutput, Output
from rich.console import Console

from nbrun.system.terminal_mode import HeldMode, discard_input, raw
from nbrun.views.terminal.typed_lines.drawn_line import DrawnLine, Hidden
from nbrun.views.terminal.typed_lines.keys import Keys, WordCompleter, bindings
from nbrun.views.terminal.typed_lines.question import PollUpdates, Question
from nbrun.views.terminal.typed_lines.written_line import WrittenLine


class LineEditor:
    """Ask for lines on the terminal `fd`. `drawn`: see `Keyboard`."""

    def __init__(self, fd: int, console: Console, *, drawn: bool) -> None:
        self._fd = fd
        self._console = console
        self._drawn = drawn
        self._histories: dict[str, InMemoryHistory] = {}

    def ask(self, question: Question, watch: int | None, poll: PollUpdates | None) -> str | None:
        """See `Keyboard.ask`."""
        shown: _Line
        if self._drawn:
            shown = DrawnLine(self._console, self._fd)
        else:
            shown = WrittenLine(self._console, question)
        with _event_loop() as loop:
            asking = _Asking(loop, self._fd, question, shown, self._history(question.history))
            return asking.run(watch, poll)

    def _history(self, name: str) -> History:
        return self._histories.setdefault(name, InMemoryHistory()) if name else DummyHistory()


@contextmanager
def _event_loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    try:
        yield loop
    finally:
        loop.close()


class _Line(Protocol):
    """The way a line is shown: drawn by prompt_toolkit, or only written."""

    def begin(self) -> None:
        """Prepare the terminal, before the question is shown."""

    def changed(self, text: str) -> None:
        """Take the text of the line after each change."""

    def hide(self) -> None:
        """Take the question off the screen, or begin a new line below it."""

    def show(self) -> None:
        """Show the question and what is typed."""

    def end(self) -> None:
        """Give the terminal back."""


class _Asking:
    """One question, from its first showing to its end."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        fd: int,
        question: Question,
        shown: "_Line",
        history: History,
    ) -> None:
        self._loop = loop
        self._fd = fd
        self._shown = shown
        self._keys = Keys(fd)
        self._hidden = False
        self._ended = False
        self._error: BaseException | None = None
        drawn = shown.output if isinstance(shown, DrawnLine) else None
        self._session = _session(question, self._keys, drawn, history)
        self._app: Application[str | None] = self._session.app
        if isinstance(shown, DrawnLine):
            shown.app = self._app
        buffer = self._session.default_buffer
        buffer.on_text_changed += lambda _: shown.changed(buffer.text)

    def run(self, watch: int | None, poll: PollUpdates | None) -> str | None:
        """Return the answer, as `Keyboard.ask` does."""
        self._loop.set_exception_handler(lambda _, context: self._fail(context.get("exception")))
        if watch is not None and poll is not None:
            self._loop.add_reader(watch, self._update, poll)
        held = HeldMode(
            self._fd,
            raw,
            enter=self._appear,
            leave=self._disappear,
            defer=self._loop.call_soon_threadsafe,
        )
        with self._interrupts(), held:
            discard_input(self._fd)
            clear_typeahead(self._keys)
            answer = self._answer()
        if self._error is not None:
            raise self._error
        return None if answer is None else answer.rstrip("\r\n")

    def _answer(self) -> str | None:
        self._shown.begin()
        self._shown.show()
        try:
            ask = self._session.prompt_async(
                pre_run=self._end_if_ended, set_exception_handler=False, handle_sigint=False
            )
            answer = self._loop.run_until_complete(ask)
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        except EOFError:
            if self._keys.closed:
                raise OSError("the terminal is gone") from None
            raise
        finally:
            self._shown.end()
        return answer

    # ── what happens meanwhile ───────────────────────────────────────────────────────────────

    def _update(self, poll: PollUpdates) -> None:
        try:
            is_current = poll(self._hide)
        except BaseException as error:  # noqa: BLE001  raised by `run`, outside of the event loop
            self._fail(error)
            return
        if is_current:
            self._show()
        else:
            self._end()

    def _hide(self) -> None:
        if not self._hidden:
            self._hidden = True
            self._shown.hide()

    def _show(self) -> None:
        if self._hidden:
            self._hidden = False
            self._shown.show()

    def _disappear(self) -> None:
        """Give the screen back, because the process is stopped or ends."""
        self._hide()
        self._shown.end()

    def _appear(self) -> None:
        """Show the question again after `fg`."""
        self._hide()  # the process may have been stopped by a signal that nobody can handle
        self._shown.begin()
        self._show()

    def _fail(self, error: BaseException | None) -> None:
        self._error = self._error or error
        self._end()

    def _end(self) -> None:
        self._ended = True
        if self._app.future is not None and not self._app.future.done():
            self._app.exit(result=None)

    def _end_if_ended(self) -> None:
        """End a question that a signal has ended before prompt_toolkit runs."""
        if self._ended:
            self._end()

    @contextmanager
    def _interrupts(self) -> Iterator[None]:
        """End the question at SIGINT where Python would raise KeyboardInterrupt anywhere."""

        def fail(*_: object) -> None:
            self._loop.call_soon_threadsafe(self._fail, KeyboardInterrupt())

        before = signal.getsignal(signal.SIGINT)
        if before is signal.default_int_handler:
            signal.signal(signal.SIGINT, fail)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


def _session(
    question: Question, keys: "Keys", output: Output | None, history: History
) -> "PromptSession[str | None]":
    completer = WordCompleter(question.completions) if question.completions and output else None
    session: PromptSession[str | None] = PromptSession(
        ANSI(question.prompt),
        input=keys,
        output=output or DummyOutput(),
        history=history,
        completer=completer,
        complete_while_typing=False,
        validate_while_typing=False,
        input_processors=[Hidden()] if question.secret else None,
        key_bindings=bindings(can_search=output is not None and not question.secret),
    )
    session.app.terminal_size_polling_interval = None  # SIGWINCH tells of each change
    return session
