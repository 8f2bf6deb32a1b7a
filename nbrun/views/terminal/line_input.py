"""Lines typed at a terminal, read without losing sight of what else happens meanwhile.

rich.prompt and readline block until Enter; a prompt here has to go away when the kernel dies or
the run ends, so it waits for the keyboard and for another file descriptor at once. The terminal
itself does the line editing.
"""

import os
import select
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


class Keyboard:
    """Asks on `fd`, a terminal. `write` shows text on the screen, without a newline."""

    def __init__(self, fd: int, write: Callable[[str], None]) -> None:
        self._fd = fd
        self._write = write

    def ask(
        self, prompt: str, watch: int, news: Callable[[], bool | None], *, secret: bool = False
    ) -> str | None:
        """A line typed after `prompt` is shown; what was typed before is thrown away.

        When `watch` becomes readable `news` is called. None: nothing was shown, and what has been
        typed so far stands. True: something was shown, so what was typed is thrown away (nobody
        could see any more what Enter would choose) and the prompt is shown again. False: the
        question is moot, and None is returned. `secret`: no echo.

        Raises:
            EOFError: end of file was typed, or the terminal hung up.
            OSError: the terminal is gone.
        """
        with self._modes_restored():
            self._begin(prompt, secret=secret)
            while True:
                ready, _, _ = select.select([self._fd, watch], [], [])
                if watch in ready:
                    told = news()
                    if told is False:
                        return None
                    if told:
                        self._begin(prompt, secret=secret)
                elif self._fd in ready:
                    return self._line(secret=secret)

    def _begin(self, prompt: str, *, secret: bool) -> None:
        """The echo goes off each time: a shell that this was stopped in has put it back on."""
        if secret:
            silent = termios.tcgetattr(self._fd)
            silent[3] &= ~termios.ECHO
            termios.tcsetattr(self._fd, termios.TCSANOW, silent)
        self._forget_typed()
        self._write(prompt)

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
    def _modes_restored(self) -> Iterator[None]:
        try:
            before = termios.tcgetattr(self._fd)
        except termios.error as error:
            raise OSError(*error.args) from error
        try:
            yield
        finally:
            with suppress(termios.error):  # a terminal that is gone has no modes
                termios.tcsetattr(self._fd, termios.TCSANOW, before)
