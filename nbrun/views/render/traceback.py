"""IPython tracebacks: the frames of the cell, and the line that failed.

The format is that of `IPython.core.ultratb` in its "Context" mode: one string a frame. A frame
starts with `Cell In[3], line 8, in f(x)` or `File /path/to.py:12, in g()`, and marks the failing
line with `---->`. IPython rewrites magics and shell commands before a cell runs, and frames quote
what it made of them.
"""

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nbrun.views.text.script_failures import script_failure

_SGR = re.compile(r"\x1b\[[0-9;:]*m")
_HEAD = re.compile(
    r"\s*(?:Cell\s+(?P<cell>In\s?\[\d+\]), line (?P<line>\d+)|File (?P<file>\S.*))(?P<rest>.*)"
)
_FILE = re.compile(r"^(?:\x1b\[[0-9;:]*m)*File (?:\x1b\[39m)?")
_IPYTHON_FRAME = re.compile(
    r"[/\\](IPython|ipykernel|tornado|traitlets)[/\\]|<decorator-gen|<nbrun prelude"
)
_ARROW = re.compile(r"^-+> ?(?P<line>\d+) (?P<code>.*)$", re.M)
_RULE = re.compile(r"-{20,}\s*")
_MAGIC_CALL = re.compile(r"get_ipython\(\)\.run_(?:cell|line)_magic\((?P<arguments>.*)\)\s*$")
# IPython's names for the code that a magic runs: `%%time`, `%%timeit`, `%%prun`.
_MAGIC_FRAME = re.compile(
    r"\s*File <(?:timed exec|timed eval|magic-timeit|string)>:(?P<line>\d+)(?P<rest>, in .*)?"
)
_MAX_CYCLE = 12  # frames that repeat together
_REPEATED = 3  # times that frames are shown before they are folded


@dataclass(frozen=True)
class ErrorLocation:
    """The line of the cell where an error occurred: its number, from 1, and its text.

    The number is 0 if it is unknown. It counts lines as IPython ran them: see `source_line`.
    """

    line: int
    code: str


@dataclass(frozen=True)
class _Magic:
    """A cell or line magic that a frame of the cell called: `%%time -n 1` and what is below it."""

    cell: str
    line: int
    name: str
    options: str
    body: str

    @property
    def first_line(self) -> str:
        percent = "%%" if self.body else "%"
        return f"{percent}{self.name} {self.options}".rstrip()

    @property
    def _defined(self) -> str:
        """The code that defines the functions of the magic's frames."""
        return self.body + ("\ndef inner" if self.name == "timeit" else "")

    def frame(self, rest: str) -> str:
        """Return the frame that called the magic, as the cell has it."""
        return _cell_frame(self.cell, self.line, rest, self.first_line)

    def frame_below(self, line: int, rest: str) -> str:
        """Return the frame of a line that the magic ran; "" if it ran another cell's code.

        The functions of all timed cells have the same file name.
        """
        lines = self.body.split("\n")
        ran = list(_lines_as_run(lines))
        function = re.match(r", in (\w+)", rest)
        if not 0 < line <= len(ran) or not lines[ran[line - 1] - 1].strip():
            return ""
        if function and not re.search(rf"\b(def|class)\s+{function[1]}\b", self._defined):
            return ""
        number = ran[line - 1]
        return _cell_frame(self.cell, self.line + number, rest, lines[number - 1])


def shorten(traceback: Sequence[str]) -> list[str]:
    """Return the parts of a traceback that help most, for each error of a chain.

    The cell's frames come first, then one line for each frame of a library. IPython's own frames
    are left out, frames that repeat are folded, and the code of a magic is quoted as the cell has
    it. A traceback in another format is returned unchanged.
    """
    if not any(_frame(part) for part in traceback):
        return list(traceback)
    shown: list[str] = []
    cells: list[str] = []
    libraries: list[str] = []
    for part in _restored(traceback):
        head = _frame(part)
        if head is None:
            shown += [*_folded(cells), *_folded(libraries)]
            cells, libraries = [], []
            shown += [] if _RULE.fullmatch(_SGR.sub("", part)) else [part]
        elif head["cell"]:
            cells.append(part.rstrip("\n"))
        elif not _IPYTHON_FRAME.search(head["file"]):
            libraries.append("  in " + _first_line(part))
    return [*shown, *_folded(cells), *_folded(libraries)]


def error_location(traceback: Sequence[str]) -> ErrorLocation | None:
    """Return the innermost line of the cell in a traceback, or None if no frame is the cell's.

    The cell is that of the outermost frame: it may call functions that other cells define.
    """
    found, cell = None, None
    for part in _restored(traceback):
        head = _frame(part)
        if head is None:
            cell = None  # the frames of the next error of a chain follow
        elif head["cell"] and cell in (None, head["cell"]):
            cell = head["cell"]
            found = ErrorLocation(int(head["line"]), _code(_SGR.sub("", part)))
    return found


def source_line(location: ErrorLocation, source: str) -> int:
    """Return the line of the cell's source that `location` is about, from 1; 0 if it is not there.

    IPython drops blank lines at the start of a cell, and joins the lines of a shell command.
    """
    lines = source.split("\n")
    ran = list(_lines_as_run(lines))
    # A cell magic may count the lines below itself. Those of `%%time` are the cell's own already.
    own = [location.line] if location.line <= len(lines) else []
    for number in (ran[location.line - 1 : location.line + 1] + own) if location.line > 0 else ():
        line = lines[number - 1].strip()
        if location.code in line or ("get_ipython()" in location.code and _is_rewritten(line)):
            return number
    same = [number for number, line in enumerate(lines, 1) if line.strip() == location.code]
    return same[0] if len(same) == 1 else 0


def _lines_as_run(lines: Sequence[str]) -> Iterator[int]:
    """Yield, for each line that IPython runs, its number in the cell's source."""
    joined = False
    started = False
    for number, line in enumerate(lines, 1):
        started = started or bool(line.strip())
        if started and not joined:
            yield number
        joined = line.endswith("\\") and (joined or _is_rewritten(line.strip()))


def _is_rewritten(line: str) -> bool:
    """Return True for a line that is no Python: a magic, a shell command, or their result."""
    return bool(re.match(r"[!%]|[\w., ()\[\]]+=\s*[!%]|.*\?$", line))


# ── frames as the cell has them ──────────────────────────────────────────────────────────────


def _restored(traceback: Sequence[str]) -> Iterator[str]:
    """Yield the parts of a traceback, with the cell's own lines in place of what IPython made."""
    magic = None
    for part in traceback:
        plain = _SGR.sub("", part)
        head = _HEAD.match(plain)
        inner = _MAGIC_FRAME.match(plain)
        if head is not None and head["cell"]:
            called = _magic(head["cell"], int(head["line"]), _code(plain))
            magic = called or magic
            yield called.frame(head["rest"]) if called else part
        elif inner is not None and magic is not None:
            own = magic.frame_below(int(inner["line"]), inner["rest"] or "")
            yield from [own] if own else [part] if magic.body else []
        else:
            yield _message(part, plain, magic)


def _magic(cell: str, line: int, code: str) -> _Magic | None:
    """Return the magic that the code of a frame calls."""
    call = _MAGIC_CALL.search(code)
    if call is None:
        return None
    try:
        name, options, *body = ast.literal_eval(f"({call['arguments']})")
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return _Magic(cell, line, str(name), str(options), "".join(map(str, body)))


def _cell_frame(cell: str, line: int, rest: str, code: str) -> str:
    return f"Cell {cell}, line {line}{rest}\n----> {line} {code}"


def _message(part: str, plain: str, magic: _Magic | None) -> str:
    """Say what a script did in place of quoting all of it: `CalledProcessError: bash exited …`."""
    name, colon, text = plain.partition(": ")
    ended = script_failure(f"{magic.first_line}\n{magic.body}", text) if magic and colon else ""
    return f"{name}: {ended}" if ended else part


def _folded(frames: Sequence[str]) -> Iterator[str]:
    """Yield frames, those that repeat, alone or together, only once and counted."""
    at = 0
    while at < len(frames):
        length, times = _cycle(frames, at)
        if times <= _REPEATED:
            yield frames[at]
            at += 1
            continue
        yield from frames[at : at + length]
        what = "the last frame" if length == 1 else f"the last {length} frames"
        yield f"  … {what} {times - 1:,} times more"
        at += length * times


def _cycle(frames: Sequence[str], start: int) -> tuple[int, int]:
    """Return how many frames from `start` on repeat together, and how often they are there."""
    for length in range(1, _MAX_CYCLE + 1):
        unit = frames[start : start + length]
        times = 1
        while frames[start + times * length : start + (times + 1) * length] == unit:
            times += 1
        if times > _REPEATED and len(unit) == length:
            return length, times
    return 1, 1


def _code(frame: str) -> str:
    """Return the line after the arrow or, for a syntax error, the line above the caret."""
    arrow = _ARROW.search(frame)
    caret = re.search(r"^(.*)\n +\^", frame, re.M)
    found = arrow["code"] if arrow else caret[1] if caret else ""
    return found.strip()


def _frame(part: str) -> re.Match[str] | None:
    return _HEAD.match(_SGR.sub("", part))


def _first_line(part: str) -> str:
    """Return the first line of a library's frame, without the word that it begins with."""
    return _FILE.sub("", part.strip().split("\n", 1)[0])
