"""The line editor: prompt_toolkit, with the rules of an operator's prompt.

prompt_toolkit edits and draws. This module decides what reaches it: the terminal's own replies are
dropped, a paste is one text, and what was typed before the question is discarded. Signals stay
those of the program: Ctrl-C, Ctrl-Backslash and Ctrl-Z send them, as the terminal would.
"""

import asyncio
import codecs
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol, TextIO, cast

from prompt_toolkit import PromptSession
from prompt_toolkit.application import Application
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.data_structures import Size
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import ANSI
from prompt_toolkit.history import DummyHistory, History, InMemoryHistory
from prompt_toolkit.input import Input
from prompt_toolkit.input.ansi_escape_sequences import ANSI_SEQUENCES
from prompt_toolkit.input.typeahead import clear_typeahead
from prompt_toolkit.input.vt100_parser import Vt100Parser
from prompt_toolkit.key_binding import KeyBindings, KeyPress
from prompt_toolkit.key_binding.key_processor import KeyPressEvent
from prompt_toolkit.layout.processors import Processor, Transformation, TransformationInput
from prompt_toolkit.output import ColorDepth, DummyOutput, Output
from prompt_toolkit.output.vt100 import Vt100_Output
from rich.console import Console

from nbrun.system.terminal_mode import HeldMode, discard_input, raw
from nbrun.views.terminal.typed_lines.question import Completions, PollUpdates, Question
from nbrun.views.terminal.typed_lines.terminal_replies import ReplyFilter
from nbrun.views.terminal.typed_lines.written_line import WrittenLine

_CHUNK = 1 << 16  # bytes read at once
_USUAL_SIZE = (80, 24)  # columns and rows of a terminal that does not say
_PASTES_MARKED, _PASTES_UNMARKED = "\x1b[?2004h", "\x1b[?2004l"


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
            shown = _DrawnLine(self._console, self._fd)
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
    """How the line is shown: drawn by prompt_toolkit, or only written."""

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
        self._keys = _Keys(fd)
        self._hidden = False
        self._ended = False
        self._error: BaseException | None = None
        drawn = shown.output if isinstance(shown, _DrawnLine) else None
        self._session = _session(question, self._keys, drawn, history)
        self._app: Application[str | None] = self._session.app
        if isinstance(shown, _DrawnLine):
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
    question: Question, keys: "_Keys", output: Output | None, history: History
) -> "PromptSession[str | None]":
    completer = _Completer(question.completions) if question.completions and output else None
    session: PromptSession[str | None] = PromptSession(
        ANSI(question.prompt),
        input=keys,
        output=output or DummyOutput(),
        history=history,
        completer=completer,
        complete_while_typing=False,
        validate_while_typing=False,
        input_processors=[_Hidden()] if question.secret else None,
        key_bindings=_bindings(can_search=output is not None and not question.secret),
    )
    session.app.terminal_size_polling_interval = None  # SIGWINCH tells of each change
    return session


# ── keys ─────────────────────────────────────────────────────────────────────────────────────


def _bindings(*, can_search: bool) -> KeyBindings:
    keys = KeyBindings()

    @keys.add("c-c", eager=True)
    def _interrupt(_event: KeyPressEvent) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    @keys.add("c-\\", eager=True)
    def _quit(_event: KeyPressEvent) -> None:
        os.kill(os.getpid(), signal.SIGQUIT)

    @keys.add("c-z", eager=True)
    def _stop(_event: KeyPressEvent) -> None:
        os.kill(0, signal.SIGTSTP)  # the shell waits for the whole group, as after a real Ctrl-Z

    @keys.add("escape", "enter")
    def _new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    def _nothing(_event: KeyPressEvent) -> None:
        pass

    for key in () if can_search else ("c-r", "c-s"):  # a search shows what is typed
        keys.add(key, eager=True)(_nothing)
    return keys


class _Keys(Input):
    """The keys typed at a terminal, whose mode somebody else has set."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._read: list[KeyPress] = []
        self._parser = Vt100Parser(self._read.append)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._filter = ReplyFilter(ANSI_SEQUENCES.__contains__)
        self._closed = False

    def read_keys(self) -> list[KeyPress]:
        try:
            data = os.read(self._fd, _CHUNK)
        except OSError:
            data = b""
        self._closed = not data
        self._parser.feed(self._filter.feed(self._decoder.decode(data)))
        return self._take()

    def flush_keys(self) -> list[KeyPress]:
        self._parser.feed(self._filter.flush())
        self._parser.flush()
        return self._take()

    def _take(self) -> list[KeyPress]:
        taken = self._read.copy()
        self._read.clear()
        return taken

    @property
    def closed(self) -> bool:
        """True if the terminal has hung up."""
        return self._closed

    @contextmanager
    def attach(self, input_ready_callback: Callable[[], None]) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        loop.add_reader(self._fd, input_ready_callback)
        try:
            yield
        finally:
            loop.remove_reader(self._fd)

    def detach(self) -> AbstractContextManager[None]:
        return nullcontext()

    def raw_mode(self) -> AbstractContextManager[None]:
        return nullcontext()

    def cooked_mode(self) -> AbstractContextManager[None]:
        return nullcontext()

    def fileno(self) -> int:
        return self._fd

    def typeahead_hash(self) -> str:
        return f"fd-{self._fd}"


class _Completer(Completer):
    def __init__(self, completions: Completions) -> None:
        self._completions = completions

    def get_completions(self, document: Document, _event: CompleteEvent) -> Iterable[Completion]:
        text = document.text_before_cursor
        begun = len(text.rpartition(" ")[2])
        for word, description in self._completions(text):
            yield Completion(word, -begun, display_meta=description)


# ── drawing ──────────────────────────────────────────────────────────────────────────────────


class _Hidden(Processor):
    """Show nothing of the line, not even its length."""

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        kept = [each for each in transformation_input.fragments if "[ZeroWidth" in each[0]]
        return Transformation(kept, lambda _: 0, lambda _: 0)


class _Output(Vt100_Output):
    """Writes to a terminal. `_DrawnLine` says when pastes are marked: not around each drawing."""

    def enable_bracketed_paste(self) -> None:
        pass

    def disable_bracketed_paste(self) -> None:
        pass


class _DrawnLine:
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
