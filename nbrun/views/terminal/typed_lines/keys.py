"""The keys of the line editor: how they are read, what they do, and what Tab completes."""

import asyncio
import codecs
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.input import Input
from prompt_toolkit.input.ansi_escape_sequences import ANSI_SEQUENCES
from prompt_toolkit.input.vt100_parser import Vt100Parser
from prompt_toolkit.key_binding import KeyBindings, KeyPress
from prompt_toolkit.key_binding.key_processor import KeyPressEvent

from nbrun.views.terminal.typed_lines.question import Completions
from nbrun.views.terminal.typed_lines.terminal_replies import ReplyFilter

_CHUNK = 1 << 16  # bytes read at once


def bindings(*, can_search: bool) -> KeyBindings:
    """Return the keys that differ from prompt_toolkit's own: signals, and a new line."""
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


class Keys(Input):
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


class WordCompleter(Completer):
    """Complete the last word of the line."""

    def __init__(self, completions: Completions) -> None:
        self._completions = completions

    def get_completions(self, document: Document, _event: CompleteEvent) -> Iterable[Completion]:
        text = document.text_before_cursor
        begun = len(text.rpartition(" ")[2])
        for word, description in self._completions(text):
            yield Completion(word, -begun, display_meta=description)
