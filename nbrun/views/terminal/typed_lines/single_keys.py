"""Single keys, read without Enter and without echo."""

import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from nbrun.system.terminal_mode import HeldMode, in_foreground, single_keys
from nbrun.views.terminal.typed_lines.terminal_replies import ReplyFilter

ReadKey = Callable[[float], str]

_CHUNK = 4096  # bytes read at once


@contextmanager
def terminal_keys() -> Iterator[ReadKey | None]:
    """Yield a function that waits some seconds for a key; None if stdin is no terminal.

    The function returns "" if none was pressed. Pastes and the terminal's own replies are no keys.
    In the background there are none: `timeout` runs its command there, and a shell what ends in &.
    """
    if not sys.stdin.isatty():
        yield None
        return
    with ExitStack() as stack:
        yield _Keys(sys.stdin.fileno(), stack).read


class _Keys:
    def __init__(self, fd: int, stack: ExitStack) -> None:
        self._fd = fd
        self._stack = stack
        self._is_held = False
        self._replies = ReplyFilter(lambda _: False)
        self._typed: list[str] = []

    def read(self, seconds: float) -> str:
        seconds = max(0.0, seconds)
        if self._typed:
            return self._typed.pop(0)
        if not in_foreground(self._fd):
            time.sleep(seconds)
            return ""
        if not self._is_held:
            self._is_held = True
            self._stack.enter_context(HeldMode(self._fd, single_keys))
        if not select.select([self._fd], [], [], seconds)[0]:
            self._replies.flush()
            return ""
        self._typed += self._read_typed(seconds)
        return self._typed.pop(0) if self._typed else ""

    def _read_typed(self, seconds: float) -> str:
        data = os.read(self._fd, _CHUNK)
        if not data:  # end of file: nobody types any more, and the playback continues
            time.sleep(seconds)
        return self._replies.feed(data.decode("ascii", "ignore"))
