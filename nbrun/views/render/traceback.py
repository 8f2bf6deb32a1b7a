"""IPython's tracebacks read: which frames are the cell's own, and where in it the error is.

The form is that of `IPython.core.ultratb` (its "Context" mode): one text a frame, headed
`Cell In[3], line 8, in f(x)` or `File /path/to.py:12, in g()`, the failing line after `---->`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_SGR = re.compile(r"\x1b\[[0-9;:]*m")
_HEAD = re.compile(r"\s*(?:Cell\s+(?P<cell>In\s?\[\d+\]), line (?P<line>\d+)|File (?P<file>\S.*))")
_OWN = re.compile(r"[/\\](IPython|ipykernel|tornado|traitlets)[/\\]|<decorator-gen")
_ARROW = re.compile(r"^-+> ?(?P<line>\d+) (?P<code>.*)$", re.M)
_RULE = re.compile(r"-{20,}\s*")


@dataclass(frozen=True)
class ErrorLocation:
    """Where in the cell an error came up, and the line's text; line 0: not known."""

    line: int
    code: str


def shorten(traceback: Sequence[str]) -> list[str]:
    """The parts of a traceback that help first: of each error, the cell's frames, then one line for
    each frame of a library, none for IPython's own. What has another form stays as it is."""
    if not any(_frame(part) for part in traceback):
        return list(traceback)
    told: list[str] = []
    cells: list[str] = []
    others: list[str] = []
    for part in traceback:
        head = _frame(part)
        if head is None:
            told += [*cells, *others]
            cells, others = [], []
            told += [] if _RULE.fullmatch(_SGR.sub("", part)) else [part]
        elif head["cell"]:
            cells.append(part.rstrip("\n"))
        elif not _OWN.search(head["file"]):
            others.append("  in " + _first_line(part))
    return [*told, *cells, *others]


def error_location(traceback: Sequence[str]) -> ErrorLocation | None:
    """The last line of the cell that the error came through."""
    found = None
    for part in traceback:
        head = _frame(part)
        if head is not None and head["cell"]:
            found = ErrorLocation(int(head["line"]), _code(_SGR.sub("", part)))
    return found


def _code(frame: str) -> str:
    """The failing line: after the arrow; of a syntax error, the line above the caret."""
    arrow = _ARROW.search(frame)
    caret = re.search(r"^(.*)\n +\^", frame, re.M)
    found = arrow["code"] if arrow else caret[1] if caret else ""
    return found.strip()


def _frame(part: str) -> re.Match[str] | None:
    return _HEAD.match(_SGR.sub("", part))


def _first_line(part: str) -> str:
    return part.strip().split("\n", 1)[0].removeprefix("File ")
