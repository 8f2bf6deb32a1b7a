"""IPython tracebacks: the frames of the cell, and the line that failed.

The format is that of `IPython.core.ultratb` in its "Context" mode: one string a frame. A frame
starts with `Cell In[3], line 8, in f(x)` or `File /path/to.py:12, in g()`, and marks the failing
line with `---->`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_SGR = re.compile(r"\x1b\[[0-9;:]*m")
_HEAD = re.compile(r"\s*(?:Cell\s+(?P<cell>In\s?\[\d+\]), line (?P<line>\d+)|File (?P<file>\S.*))")
_IPYTHON_FRAME = re.compile(r"[/\\](IPython|ipykernel|tornado|traitlets)[/\\]|<decorator-gen")
_ARROW = re.compile(r"^-+> ?(?P<line>\d+) (?P<code>.*)$", re.M)
_RULE = re.compile(r"-{20,}\s*")


@dataclass(frozen=True)
class ErrorLocation:
    """The line of the cell where an error occurred: its number, from 1, and its text.

    The number is 0 if it is unknown.
    """

    line: int
    code: str


def shorten(traceback: Sequence[str]) -> list[str]:
    """Return the parts of a traceback that help most, for each error of a chain.

    The cell's frames come first, then one line for each frame of a library. IPython's own frames
    are left out. A traceback in another format is returned unchanged.
    """
    if not any(_frame(part) for part in traceback):
        return list(traceback)
    shown: list[str] = []
    cells: list[str] = []
    libraries: list[str] = []
    for part in traceback:
        head = _frame(part)
        if head is None:
            shown += [*cells, *libraries]
            cells, libraries = [], []
            shown += [] if _RULE.fullmatch(_SGR.sub("", part)) else [part]
        elif head["cell"]:
            cells.append(part.rstrip("\n"))
        elif not _IPYTHON_FRAME.search(head["file"]):
            libraries.append("  in " + _first_line(part))
    return [*shown, *cells, *libraries]


def error_location(traceback: Sequence[str]) -> ErrorLocation | None:
    """Return the innermost line of the cell in a traceback, or None if no frame is the cell's."""
    found = None
    for part in traceback:
        head = _frame(part)
        if head is not None and head["cell"]:
            found = ErrorLocation(int(head["line"]), _code(_SGR.sub("", part)))
    return found


def _code(frame: str) -> str:
    """Return the line after the arrow or, for a syntax error, the line above the caret."""
    arrow = _ARROW.search(frame)
    caret = re.search(r"^(.*)\n +\^", frame, re.M)
    found = arrow["code"] if arrow else caret[1] if caret else ""
    return found.strip()


def _frame(part: str) -> re.Match[str] | None:
    return _HEAD.match(_SGR.sub("", part))


def _first_line(part: str) -> str:
    return part.strip().split("\n", 1)[0].removeprefix("File ")
