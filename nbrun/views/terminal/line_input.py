"""Lines typed at a terminal, read while a second file descriptor is watched.

rich.prompt and readline block until Enter. A prompt here has to disappear when the kernel dies or
the run ends, so it waits for the keyboard and for another file descriptor at once. The terminal's
canonical mode does the line editing.
"""

import os
import select
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


class Keyboard:
    """Prompt on the terminal `fd`. `write` writes text to the screen, without a newline."""

    def __init__(self, fd: int, write: Callable[[str], None]) -> None:
        self._fd = fd
        self._write = write

    def ask(
        self, prompt: str, watch: int, poll: Callable[[], bool | None], *, secret: bool = False
    ) -> str | None:
        """Return the line typed after `prompt`. Keys typed before it are discarded.

        `poll` is called when `watch` is readable. If it returns:

        - None, nothing was shown, and the keys typed so far are kept;
        - True, something was shown: the keys are discarded, because nobody could see any more what
          Enter would choose, and the prompt is shown again;
        - False, the question is withdrawn, and None is returned.

        `secret`: don't echo.

        Raises:
            EOFError: end of file was typed, or the terminal hung up.
            OSError: the terminal is gone.
        """
        with self._modes_restored():
            self._begin(prompt, secret=secret)
            while True:
                ready, _, _ = select.select([self._fd, watch], [], [])
                if watch in ready:
                    shown = poll()
                    if shown is False:
                        return None
                    if shown:
                        self._begin(prompt, secret=secret)
                elif self._fd in ready:
                    return self._line(secret=secret)

    def _begin(self, prompt: str, *, secret: bool) -> None:
        # The echo is turned off each time: after Ctrl-Z and fg, the shell has turned it on again.
        if secret:
            silent = termios.tcgetattr(self._fd)
            silent[3] &= ~termios.ECHO
            termios.tcsetattr(self._fd, termios.TCSANOW, silent)
        self._discard_typed()
        self._write(prompt)

    def _line(self, *, secret: bool) -> str:
        typed = os.read(self._fd, 65536)
        if not typed:
            raise EOFError
        if secret:
            self._write("\n")
        return typed.decode("utf-8", "replace").rstrip("\r\n")

    def _discard_typed(self) -> None:
        """Discard keys pressed while a step ran: they don't answer a question asked after it."""
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
