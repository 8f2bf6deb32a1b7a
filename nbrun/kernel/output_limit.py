"""The most output that is kept of an attempt: what comes past it is counted, hashed and let go.

It stands where messages leave the kernel's thread, so that a cell that prints for ever, faster than
the disk takes it, fills neither the engine's inbox nor the journal.
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
    Message,
    Printed,
    PrintedMuch,
    Replied,
    Sink,
    WidgetChanged,
)

PER_OUTPUT = 256  # bytes: about what a line of the journal holds besides the output itself
PIECE = 2**18  # characters of a text that are passed on at once
ERRORS = 2**20  # bytes of errors that are kept past the limit: why a step failed is not let go

_Output = Printed | PrintedMuch | Displayed | DisplayUpdated | Cleared | WidgetChanged
_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)  # there is one a step, as long as the run goes on
class _Room:
    """What was kept of those requests that share a limit, in bytes."""

    kept: int = 0
    errors: int = 0
    widgets: int = 0
    full: bool = False


@dataclass
class _Tally:
    """What was let go of one request, in bytes and outputs: of most there is nothing."""

    outputs: int = 0
    bytes: int = 0
    told: int = 0  # the outputs let go that were told of
    digest: Any = field(default_factory=hashlib.sha256)


class OutputCap:
    """A sink before another; the thread that reads the kernel calls it. `limit` is in bytes, 0 for
    none; an output counts as its text in UTF-8, or its bundle in JSON, and `PER_OUTPUT` more. What
    is kept is the beginning; a text is cut where the limit falls. What bars of ipywidgets change
    counts by itself, up to the same limit: a bar that moves often takes no room from what is
    printed. Each request has the limit for itself, but for those that go on with the one before.
    """

    def __init__(self, sink: Sink) -> None:
        self.limit = 0
        self._sink = sink
        self._rooms: dict[str, _Room] = {}
        self._tallies: dict[str, _Tally] = {}
        self._room = _Room()

    def __call__(self, message: Message) -> None:
        match message:
            case (
                Printed()
                | PrintedMuch()
                | Displayed()
                | DisplayUpdated()
                | Cleared()
                | WidgetChanged()
            ) if self.limit:
                self._take(message)
                return
            case Printed():
                for piece in _pieces(message):
                    self._sink(piece)
                return
            case Replied(request=request):
                self._tell(request)
            case Died():
                self.tell_all()
        self._sink(message)

    def next_request(self, *, goes_on: bool) -> None:
        """A request that was not heard of yet is sent now. `goes_on`: what it says is kept in the
        room that the one before has left, as of a step that is run again by itself."""
        if not goes_on:
            self._room = _Room()

    def tell_all(self) -> None:
        """Say what has not been said of what was let go. Nothing else may be calling."""
        for request in self._tallies:
            self._tell(request)

    def _take(self, output: _Output) -> None:
        room = self._room_of(output.request)
        passed = [self._admit(piece, room) for piece in _pieces(output)]
        if all(passed):
            return
        tally = self._tallies[output.request]
        tally.outputs += 1
        if tally.outputs == 1:
            self._tell(output.request)

    def _room_of(self, request: str) -> _Room:
        """That of the moment, for one that was not heard of before."""
        known = self._rooms.get(request)
        if known is None:
            # All who keep a request's name as long as the run goes on keep the same one.
            known = self._rooms[sys.intern(request)] = self._room
        return known

    def _admit(self, output: _Output, room: _Room) -> bool:
        """Whether all of it was passed on."""
        size = _size(output)
        if isinstance(output, WidgetChanged):
            return self._admit_change(output, size, room)
        if not room.full and room.kept + size + PER_OUTPUT <= self.limit:
            room.kept += size + PER_OUTPUT
            self._sink(output)
            return True
        if _is_error(output) and room.errors + size <= ERRORS:
            room.errors += size
            self._sink(output)
            return True
        self._cut(output, room)
        return False

    def _admit_change(self, change: WidgetChanged, size: int, room: _Room) -> bool:
        if room.widgets + size <= self.limit:
            room.widgets += size
            self._sink(change)
            return True
        self._let_go(_bytes(change), change.request)
        return False

    def _cut(self, output: _Output, room: _Room) -> None:
        """Keep what still fits of it, if it is the first that does not fit whole."""
        rest = _bytes(output)
        if not room.full and isinstance(output, Printed):
            kept, rest = _split(rest, self.limit - room.kept - PER_OUTPUT)
            if kept:
                self._sink(msgspec.structs.replace(output, text=kept.decode(*_UTF8)))
        room.full = True
        self._let_go(rest, output.request)

    def _let_go(self, rest: bytes, request: str) -> None:
        tally = self._tallies.get(request) or self._tallies.setdefault(request, _Tally())
        tally.bytes += len(rest)
        tally.digest.update(rest)

    def _tell(self, request: str) -> None:
        tally = self._tallies.get(request)
        if tally is None or tally.told == tally.outputs:
            return
        tally.told = tally.outputs
        self._sink(
            Capped(
                request=request,
                limit=self.limit,
                outputs=tally.outputs,
                bytes=tally.bytes,
                sha256=tally.digest.hexdigest(),
            )
        )


_UTF8 = ("utf-8", "surrogatepass")  # JSON can hold half a pair


def _pieces(output: _Output) -> Iterator[_Output]:
    """A text of 100 MB in many, so that nothing after this has to hold it whole."""
    if isinstance(output, PrintedMuch):
        yield from output.pieces()
        return
    if not isinstance(output, Printed) or len(output.text) <= PIECE:
        yield output
        return
    for start in range(0, len(output.text), PIECE):
        piece = output.text[start : start + PIECE]
        yield msgspec.structs.replace(output, text=piece)


def _size(output: _Output) -> int:
    if isinstance(output, Printed) and output.text.isascii():
        return len(output.text)
    return len(_bytes(output))


def _bytes(output: _Output) -> bytes:
    match output:
        case Printed(text=text):
            return text.encode(*_UTF8)
        case Displayed(output=bundle):
            return _json(bundle)
        case DisplayUpdated(data=data, metadata=metadata):
            return _json({"data": data, "metadata": metadata})
        case WidgetChanged(state=state):
            return _json(state)
    return b""


def _json(bundle: dict[str, Any]) -> bytes:
    try:
        return _encode(bundle)
    except (UnicodeEncodeError, OverflowError):  # what only Python's own JSON can hold
        return repr(bundle).encode(*_UTF8)


def _split(text: bytes, room: int) -> tuple[bytes, bytes]:
    """`text` in two, the first of at most `room` bytes, no character cut."""
    at = max(0, min(room, len(text)))
    while 0 < at < len(text) and text[at] & 0xC0 == 0x80:
        at -= 1
    return text[:at], text[at:]


def _is_error(output: _Output) -> bool:
    return isinstance(output, Displayed) and output.output.get("output_type") == "error"
