"""The guard around the rendering of one output: whatever a cell sent, the reader gets its text.

A renderer is a large library that reads what a cell wrote, so it may raise anything or take
forever. Then the output is shown in a plain form, with the reason. The views go on.
"""

import json
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from nbrun.views.render.nbformat_text import join, truncate, without_bare_repr
from nbrun.views.text.sanitize import plain, visible

MAX_MARKDOWN = 200_000  # characters: a longer text has its plain form, since parsing takes long
_TIME_LIMIT = 5.0  # seconds of processor time for one output
_LEAST_TIME_LIMIT = 0.5  # the same, after others have used up theirs
_INTERVAL = 0.1  # seconds of processor time between two signals after the limit
_MAX_TEXT = 200_000  # characters of a plain form: the record has all of them
_MAX_DUMP = 2_000  # characters of JSON
_MAX_TYPES = 20  # mime types that are listed
_TEXTS = ("text/plain", "text/markdown", "text/latex", "text/html")
_MAX_REASON = 200  # characters

Rendered = TypeVar("Rendered")


def guarded(render: Callable[[], Rendered], fallback: Callable[[str], Rendered]) -> Rendered:
    """Return what `render` returns; if it raises or takes too long, what `fallback` returns.

    `fallback` gets the reason, as one line. Calls may be nested: the time is that of the outermost.
    """
    if _TIMER.is_running or threading.current_thread() is not threading.main_thread():
        try:
            return render()
        except Exception as error:  # noqa: BLE001  a library may raise anything on a kernel's output
            return fallback(_reason(error))
    try:
        try:
            _TIMER.start()
            return render()
        finally:
            _TIMER.stop()
    except _OutOfTimeError:
        _TIMER.stop()  # again: the signal may have come just before the first time
        return fallback(f"it took more than {_TIMER.halve():g} s")
    except Exception as error:  # noqa: BLE001
        return fallback(_reason(error))


def _reason(error: Exception) -> str:
    kind = type(error).__name__
    told = truncate(plain(str(error)), _MAX_REASON)
    return f"{kind}: {told}" if told else kind


class Guarded:
    """A renderable that rich draws under guard: many libraries do their work only then.

    `fallback` returns what is drawn instead, for a reason.
    """

    def __init__(self, shown: RenderableType, fallback: Callable[[str], RenderableType]) -> None:
        self._shown = shown
        self._fallback = fallback

    def map(self, change: Callable[[RenderableType], RenderableType]) -> "Guarded":
        """Return the same with `change` applied to whatever is drawn."""
        return Guarded(change(self._shown), lambda why: change(self._fallback(why)))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from guarded(
            lambda: list(console.render(self._shown, options)),
            lambda why: list(console.render(self._fallback(why), options)),
        )


# ── the plain form ───────────────────────────────────────────────────────────────────────────


def plain_form(output: Any) -> str:
    """Return the text of an nbformat output, in linear time. Never raises.

    An output without a text is shown as JSON or, if that is long, by its types and sizes.
    """
    try:
        text = _text(output)
    except Exception:  # noqa: BLE001  the output is malformed
        text = ""
    if text:
        return visible(truncate(text, _MAX_TEXT))
    dump = _dump(output)
    described = _sizes(output) if len(dump) > _MAX_DUMP else ""
    return described or visible(truncate(dump, _MAX_DUMP))


def describe_failure(why: str) -> str:
    """Return the line that is shown with a plain form."""
    return f"(can't be drawn: {why}. This is its plain form; the record has all of it)"


def _text(output: Any) -> str:
    match output["output_type"]:
        case "stream":
            return join(output["text"])
        case "error":
            return join(output["traceback"], "\n") or f"{output['ename']}: {output['evalue']}"
    data = without_bare_repr(output["data"])
    return next((join(data[mime]) for mime in _TEXTS if mime in data), "")


def _sizes(output: Any) -> str:
    data = output.get("data") if isinstance(output, dict) else None
    if not isinstance(data, dict):
        return ""
    sizes = (
        f"{truncate(plain(mime), 80)}, {_characters(data[mime]):,} characters" for mime in data
    )
    return "\n".join(each for each, _ in zip(sizes, range(_MAX_TYPES), strict=False))


def _characters(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    parts = value if isinstance(value, list) else []
    return sum(len(part) for part in parts if isinstance(part, str))


def _dump(output: Any) -> str:
    try:
        return json.dumps(output, ensure_ascii=False, default=repr)
    except Exception:  # noqa: BLE001  it is nested deeper than Python's stack
        return f"an output that can't be shown: {type(output).__name__}"


def plain_text(output: Any, why: str) -> Text:
    """Return the plain form of `output`, and the reason, for a terminal."""
    text = Text(plain_form(output), no_wrap=True, overflow="ignore")
    return text.append(f"\n{describe_failure(why)}", "dim")


# ── the time limit ───────────────────────────────────────────────────────────────────────────


class _OutOfTimeError(BaseException):
    """Not an `Exception`, so that no renderer catches it."""


class _Timer:
    """Raise `_OutOfTimeError` in the main thread when rendering has used up its processor time.

    Pure Python and Python's regular expressions notice the signal. Native code does not, and runs
    in a child process where it can take long.
    """

    def __init__(self) -> None:
        self.is_running = False
        self._limit = _TIME_LIMIT
        self._has_handler = False

    def start(self) -> None:
        if not self._has_handler:
            signal.signal(signal.SIGPROF, self._on_signal)
            self._has_handler = True
        self.is_running = True
        # Again and again: Python ignores an exception that is raised in a finalizer.
        signal.setitimer(signal.ITIMER_PROF, self._limit, _INTERVAL)

    def stop(self) -> None:
        self.is_running = False  # first: a signal that comes from now on is ignored
        signal.setitimer(signal.ITIMER_PROF, 0.0)

    def halve(self) -> float:
        """Halve the next limits, since a cell can send thousands of outputs; return this one."""
        limit, self._limit = self._limit, max(_LEAST_TIME_LIMIT, self._limit / 2)
        return limit

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self.is_running:
            raise _OutOfTimeError


_TIMER = _Timer()
