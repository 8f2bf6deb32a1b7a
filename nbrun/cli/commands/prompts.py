"""Questions on the terminal, outside of a run."""

import sys
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbrun.cli.commands.console_output import CommandConsole
    from nbrun.views.terminal.typed_lines.keyboard import Keyboard


class Prompts:
    """Ask on this process's terminal. `plain`: see `DisplayOptions`."""

    def __init__(self, *, plain: bool = False) -> None:
        self._plain = plain

    def ask(self, prompt: str, *, secret: bool = False) -> str:
        """Return the text that the operator types after `prompt`, which is safe to print.

        Raises:
            EOFError: end of file was typed.
            OSError: the terminal is gone.
        """
        from nbrun.views.terminal.typed_lines.question import Question

        return self._keyboard.ask(Question(prompt, secret=secret)) or ""

    @cached_property
    def screen(self) -> "CommandConsole":
        """The terminal, also if stdout is redirected to a file."""
        from nbrun.cli.commands.console_output import CommandConsole

        return CommandConsole(
            stderr=not sys.stdout.isatty(),
            highlight=False,
            emoji=False,
            markup=False,
            color_system=None if self._plain else "auto",
        )

    @cached_property
    def _keyboard(self) -> "Keyboard":
        from nbrun.views.terminal.typed_lines.keyboard import Keyboard

        return Keyboard(sys.stdin.fileno(), self.screen, plain=self._plain)
