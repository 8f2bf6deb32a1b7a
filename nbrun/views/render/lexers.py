"""Which of Pygments' lexers tells the parts of a source apart. What it takes is imported at use."""

import re
from functools import lru_cache
from typing import Any

# What IPython adds to Python, or looks like it: `%magic`, `!command`, `help?`.
_MAGIC = re.compile(r"[%!?]")


def find_lexer(code: str, language: str, tabs: int = 0) -> Any:
    """The lexer for `code` in `language`, by one of Pygments' names for that; one that finds
    nothing but text where there is none. `tabs`: columns that a tab is replaced by; 0: it stays.

    IPython's own lexer needs those of a dozen languages, a tenth of a second: what has no magic in
    it is Python, and looks the same by Python's.
    """
    is_python = language in ("ipython", "ipython3") and not _MAGIC.search(code)
    return _named("python" if is_python else language, tabs)


@lru_cache
def _named(language: str, tabs: int) -> Any:
    """Pygments looks for a lexer among all that are installed, which takes longer than the rest."""
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        return get_lexer_by_name(language, stripnl=False, tabsize=tabs)
    except ClassNotFound:
        from pygments.lexers.special import TextLexer

        return TextLexer(stripnl=False)
