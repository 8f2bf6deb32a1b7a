"""Source code as a rich renderable, highlighted and safe to print on a terminal."""

from functools import lru_cache
from typing import TYPE_CHECKING

from rich.text import Text

from nbrun.views.render.guard import guarded
from nbrun.views.render.lexers import find_lexer
from nbrun.views.text.sanitize import visible_source

if TYPE_CHECKING:
    from pygments.lexer import Lexer
    from rich.syntax import Syntax

_TAB = 4  # columns


def preload() -> None:
    """Import the modules that highlight Python, which takes longer than highlighting."""
    _highlighter(find_lexer("", "python", tabs=_TAB))


def highlight(code: str, language: str) -> Text:
    """Return code with colours and without a background.

    `language` is one of Pygments' names. An unknown or empty language gives no colours.
    """
    if not language:
        return Text(visible_source(code).rstrip(), no_wrap=True, overflow="ignore")
    safe = visible_source(code).rstrip("\n")
    text = guarded(
        lambda: _highlighter(find_lexer(safe, language, tabs=_TAB)).highlight(safe),
        lambda _why: Text(safe.expandtabs(_TAB)),  # all of the code, without colours
    )
    text.rstrip()
    text.no_wrap, text.overflow = True, "ignore"
    return text


@lru_cache
def _highlighter(lexer: "Lexer") -> "Syntax":
    from rich.syntax import Syntax

    return Syntax("", lexer, theme="ansi_dark")
