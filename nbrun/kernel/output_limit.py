"""Limit the output that is kept of an attempt; count, hash and drop the rest.

The limit applies on the thread that reads the kernel. A cell that prints forever, faster than the
disk can write, therefore fills neither the engine's inbox nor the journal.
"""

import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from nbrun.kernel.messages import (
    Capped,
    Cleared,
    Died,
    Displayed,
    DisplayUpdated,
    LongTextPrinted,
    Message,
    Replied,
    Sink,
    TextPrinted,
    WidgetChanged,
)

PER_OUTPUT = 256  # bytes: about the size of a journal line without the output itself
PIECE = 2**18  # characters of a text that are passed on at once
ERRORS = 2**20  # bytes of errors kept past the limit: they say why a step failed

_Output = TextPrinted | LongTextPrinted | Displayed | DisplayUpdated | Cleared | WidgetChanged
_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)  # there is one a step, as long as the run lasts
class _Budget:
    """Bytes kept so far of the requests that share one limit."""

    kept: int = 0
    errors: int = 0
    widgets: int = 0
    full: bool = False


@dataclass
class _Dropped:
    """Outputs and bytes dropped of one request. Most requests have none."""

    outputs: int = 0
    bytes: int = 0
    reported: int = 0  # of the outputs
    digest: Any = field(default_factory=hashlib.sha256)


class OutputLimiter:
    """A sink that passes messages on to another sink, up to the limit.

    `limit` is in bytes; 0 means no limit. An output counts as its text in UTF-8, or its bundle in
    JSON, and PER_OUTPUT more. The beginning is kept, and a text is cut at the limit. Changes of
    ipywidgets count separately, up to the same limit, so that a progress bar takes nothing from
    the cell's output. Each request has a budget of its own, unless it continues the one before.

    The thread that reads the kernel calls the limiter.
    """

    def __init__(self, sink: Sink) -> None:
        self.limit = 0
        self._sink = sink
        self._budgets: dict[str, _Budget] = {}
        self._dropped: dict[str, _Dropped] = {}
        self._budget = _Budget()

    def __call__(self, message: Message) -> None:
        match message:
            case (
                TextPrinted()
                | LongTextPrinted()
                | Displayed()
                | DisplayUpdated()
                | Cleared()
                | WidgetChanged()
            ) if self.limit:
                self._take(message)
                return
            case TextPrinted():
                for piece in _pieces(message):
                    self._sink(piece)
                return
            case Replied(request=request):
                self._report_dropped(request)
            case Died():
                self.report_all_dropped()
        self._sink(message)

    def start_request(self, *, continues: bool) -> None:
        """Prepare for a new request, before it is sent.

        `continues`: it shares the budget of the one before, as an automatic retry does.
        """
        if not continues:
            self._budget = _Budget()

    def report_all_dropped(self) -> None:
        """Send what has not been reported of dropped output. No other thread may be calling."""
        for request in self._dropped:
            self._report_dropped(request)

    def _take(self, output: _Output) -> None:
        budget = self._budget_of(output.request)
        passed = [self._admit(piece, budget) for piece in _pieces(output)]
        if all(passed):
            return
        dropped = self._dropped[output.request]
        dropped.outputs += 1
        if dropped.outputs == 1:  # report the first at once, the others together at the end
            self._report_dropped(output.request)

    def _budget_of(self, request: str) -> _Budget:
        """Return the budget of a request: a new one gets the budget of the last `start_request`."""
        known = self._budgets.get(request)
        if known is None:
            # Interned, since others keep the request's id as long as the run lasts, too.
            known = self._budgets[sys.intern(request)] = self._budget
        return known

    def _admit(self, output: _Output, budget: _Budget) -> bool:
        """Pass on `output` as far as the budget allows. Return True if that is all of it."""
        size = _size(output)
        if isinstance(output, WidgetChanged):
            return self._admit_change(output, size, budget)
        if not budget.full and budget.kept + size + PER_OUTPUT <= self.limit:
            budget.kept += size + PER_OUTPUT
            self._sink(output)
            return True
        if _is_error(output) and budget.errors + size <= ERRORS:
            budget.errors += size
            self._sink(output)
            return True
        self._cut(output, budget)
        return False

    def _admit_change(self, change: WidgetChanged, size: int, budget: _Budget) -> bool:
        if budget.widgets + size <= self.limit:
            budget.widgets += size
            self._sink(change)
            return True
        self._drop(_bytes(change), change.request)
        return False

    def _cut(self, output: _Output, budget: _Budget) -> None:
        """Keep the beginning of the first text that exceeds the budget, and drop the rest."""
        rest = _bytes(output)
        if not budget.full and isinstance(output, TextPrinted):
            kept, rest = _split(rest, self.limit - budget.kept - PER_OUTPUT)
            if kept:
                self._sink(msgspec.structs.replace(output, text=kept.decode(*_UTF8)))
        budget.full = True
        self._drop(rest, output.request)

    def _drop(self, rest: bytes, request: str) -> None:
        dropped = self._dropped.get(request) or self._dropped.setdefault(request, _Dropped())
        dropped.bytes += len(rest)
        dropped.digest.update(rest)

    def _report_dropped(self, request: str) -> None:
        dropped = self._dropped.get(request)
        if dropped is None or dropped.reported == dropped.outputs:
            return
        dropped.reported = dropped.outputs
        self._sink(
            Capped(
                request=request,
                limit=self.limit,
                outputs=dropped.outputs,
                bytes=dropped.bytes,
                sha256=dropped.digest.hexdigest(),
            )
        )


_UTF8 = ("utf-8", "surrogatepass")  # JSON can contain half a surrogate pair


def _pieces(output: _Output) -> Iterator[_Output]:
    """Split a long text, so that nothing downstream holds 100 MB at once."""
    if isinstance(output, LongTextPrinted):
        yield from output.pieces()
        return
    if not isinstance(output, TextPrinted) or len(output.text) <= PIECE:
        yield output
        return
    for start in range(0, len(output.text), PIECE):
        piece = output.text[start : start + PIECE]
        yield msgspec.structs.replace(output, text=piece)


def _size(output: _Output) -> int:
    if isinstance(output, TextPrinted) and output.text.isascii():
        return len(output.text)
    return len(_bytes(output))


def _bytes(output: _Output) -> bytes:
    match output:
        case TextPrinted(text=text):
            return text.encode(*_UTF8)
        case Displayed(output=bundle):
            return _json(bundle)
        case DisplayUpdated(data=data, metadata=metadata):
            return _json({"data": data, "metadata": metadata})
        case WidgetChanged(state=state):
            return _json(state)  # of a closed one, that is empty
    return b""


def _json(bundle: dict[str, Any]) -> bytes:
    try:
        return _encode(bundle)
    except (UnicodeEncodeError, OverflowError):  # values that only Python's own JSON accepts
        return repr(bundle).encode(*_UTF8)


def _split(text: bytes, most: int) -> tuple[bytes, bytes]:
    """Split `text` after at most `most` bytes, and not within a character."""
    at = max(0, min(most, len(text)))
    while 0 < at < len(text) and text[at] & 0xC0 == 0x80:
        at -= 1
    return text[:at], text[at:]


def _is_error(output: _Output) -> bool:
    return isinstance(output, Displayed) and output.output.get("output_type") == "error"
