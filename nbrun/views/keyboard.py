"""Lines typed at a terminal, read without losing sight of what else happens meanwhile.

rich.prompt and readline block until Enter; a prompt here has to go away when the kernel dies or
the run ends, so it waits for the keyboard and for another file descriptor at once. The terminal
itself does the line editing.
"""

import os
import select
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext


class Keyboard:
    """Asks on `fd`, a terminal. `write` shows text on the screen, without a newline."""

    def __init__(self, fd: int, write: Callable[[str], None]) -> None:
        self._fd = fd
        self._write = write

    def ask(
        self, prompt: str, watch: int, news: Callable[[], bool], *, secret: bool = False
    ) -> str | None:
        """A line typed after `prompt` is shown; what was typed before is thrown away.

        When `watch` becomes readable `news` is called: if it returns False the question is moot,
        and None is returned; else the prompt is shown again. `secret`: no echo.

        Raises:
            EOFError: end of file was typed, or the terminal hung up.
            OSError: the terminal is gone.
        """
        self._forget_typed()
        with self._no_echo() if secret else nullcontext():
            self._write(prompt)
            while True:
                ready, _, _ = select.select([self._fd, watch], [], [])
                if watch in ready:
                    self._write("\n")
                    if not news():
                        return None
                    self._write(prompt)
                elif self._fd in ready:
                    return self._line(secret=secret)

    def _line(self, *, secret: bool) -> str:
        typed = os.read(self._fd, 65536)
        if not typed:
            raise EOFError
        if secret:
            self._write("\n")
        return typed.decode("utf-8", "replace").rstrip("\r\n")

    def _forget_typed(self) -> None:
        """Keys pressed while a step ran are no answer to a question asked after it."""
        try:
            termios.tcflush(self._fd, termios.TCIFLUSH)
        except termios.error as error:
            raise OSError(*error.args) from error

    @contextmanager
    def _no_echo(self) -> Iterator[None]:
        before = termios.tcgetattr(self._fd)
        silent = termios.tcgetattr(self._fd)
        silent[3] &= ~termios.ECHO
        termios.tcsetattr(self._fd, termios.TCSAFLUSH, silent)
        try:
            yield
        finally:
            termios.tcsetattr(self._fd, termios.TCSAFLUSH, before)
