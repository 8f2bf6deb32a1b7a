"""Errors on stderr: every message passes through here, and can't act on the terminal.

A message may quote anything: the metadata of a notebook, the name of a file, an argument, or what
another process sent.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from typer.core import TyperGroup

from nbrun.views.text.sanitize import message


def print_error(text: object) -> None:
    """Print `nbrun: …` to stderr, with what could act on a terminal made visible."""
    sys.stderr.write(f"nbrun: {message(str(text))}\n")
    sys.stderr.flush()


class CommandGroup(TyperGroup):
    """The commands of `nbrun`. What Typer finds wrong with a command line is harmless to print."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        with _harmless_usage_errors():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        with _harmless_usage_errors():
            return super().invoke(ctx)


@contextmanager
def _harmless_usage_errors() -> Iterator[None]:
    """Clean the message of Typer's usage errors, which quote the command line.

    Typer brings its own copy of click since 0.26, so that the class of these errors differs.
    """
    try:
        yield
    except Exception as error:
        text_of = getattr(error, "format_message", None)
        if text_of is not None:
            text = message(text_of())
            error.format_message = lambda: text  # type: ignore[attr-defined]
        raise
