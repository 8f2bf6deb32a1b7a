"""Source code: its Pygments lexer, and a highlighted renderable that is safe on a terminal.

Pygments is imported at use.
"""

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from rich.text import Text

from nbrun.views.render.guard import guarded
from nbrun.views.text.sanitize import visible_source

if TYPE_CHECKING:
    from pygments.lexer import Lexer
    from rich.syntax import Syntax

_TAB = 4  # columns
# IPython's additions to Python (`%magic`, `!command`, `help?`), and whatever looks like one.
_MAGIC = re.compile(r"[%!?]")


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


def find_lexer(code: str, language: str, tabs: int = 0) -> Any:
    """Return the lexer for `code` in `language`, one of Pygments' names of a language.

    An unknown language gets a lexer that finds nothing but text. `tabs` is the number of columns
    that replace a tab; 0 leaves tabs alone.

    Importing IPython's own lexer takes 0.1 s, since it needs those of a dozen languages. Code
    without magics is Python, and Python's lexer gives the same result.
    """
    is_python = language in ("ipython", "ipython3") and not _MAGIC.search(code)
    return _named("python" if is_python else language, tabs)


@lru_cache
def _named(language: str, tabs: int) -> Any:
    """Find a lexer by its name, once: Pygments searches all that are installed, which is slow."""
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        return get_lexer_by_name(language, stripnl=False, tabsize=tabs)
    except ClassNotFound:
        from pygments.lexers.special import TextLexer

        return TextLexer(stripnl=False)
