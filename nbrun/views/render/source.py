"""A source as something rich can print, and safe to print."""

from functools import lru_cache
from typing import TYPE_CHECKING

from rich.text import Text

from nbrun.views.render.lexers import find_lexer
from nbrun.views.text.sanitize import visible

if TYPE_CHECKING:
    from pygments.lexer import Lexer
    from rich.syntax import Syntax

_TAB = 4


def preload() -> None:
    """Import what colours a Python source, which takes longer than to colour one."""
    _highlighter(find_lexer("", "python", tabs=_TAB))


def highlight(code: str, language: str) -> Text:
    """Return code with colours and no background; without, in an unknown language or in none."""
    if not language:
        return Text(visible(code).rstrip(), no_wrap=True, overflow="ignore")
    read = visible(code).rstrip("\n")
    shown = _highlighter(find_lexer(read, language, tabs=_TAB)).highlight(read)
    shown.rstrip()
    shown.no_wrap, shown.overflow = True, "ignore"
    return shown


@lru_cache
def _highlighter(lexer: "Lexer") -> "Syntax":
    from rich.syntax import Syntax

    return Syntax("", lexer, theme="ansi_dark")
