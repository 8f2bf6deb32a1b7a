"""The choice of the Pygments lexer that colours a source. Pygments is imported at use."""

import re
from functools import lru_cache
from typing import Any

# IPython's additions to Python (`%magic`, `!command`, `help?`), and whatever looks like one.
_MAGIC = re.compile(r"[%!?]")


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
