"""The cells of an output notebook while it is made: as JSON in a temporary file, not in memory.

A cell is put there when nothing is expected to change it any more. What changes it after all, such
as a late output, takes it out again.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from nbrun.core import events as ev
from nbrun.views.export.outputs import AttemptOutputs, Bundle
from nbrun.views.export.spool import Aside, Pieces

_MOST_PRINTED = 1 << 20  # characters of an attempt's streams that are in memory at a time

Cell = dict[str, Any]
Key = tuple[str, int]  # the step and the number of an attempt


class _Unsettled(msgspec.Struct):
    """The cell of an attempt with outputs that may yet change though it is over."""

    cell: Cell
    named: list[tuple[int, str]]
    views: list[tuple[int, str]]
    clear_next: bool


_encode = msgspec.json.Encoder().encode
_unsettled = msgspec.json.Decoder(_Unsettled)


class Cells:
    """Cells in their order. Those of attempts are known by the attempt's key."""

    def __init__(self) -> None:
        self._pieces = Pieces()
        self._aside = Aside()
        self._numbers: dict[Key, int] = {}
        self._open: dict[Key, tuple[Cell, AttemptOutputs]] = {}
        self._left: set[int] = set()  # the numbers of those that are not settled

    def __len__(self) -> int:
        return len(self._pieces)

    def add(self, cell: Cell) -> int:
        """One that is no attempt's; its number."""
        return self._pieces.add(piece(cell))

    def replace(self, number: int, cell: Cell) -> None:
        """One that was added."""
        self._pieces.replace(number, piece(cell))

    def begin(self, key: Key, cell: Cell) -> None:
        """An attempt's. Its outputs, which are empty, change with `outputs`."""
        self._put_away()
        self._numbers[key] = self._pieces.add(b"")
        self._open[key] = cell, AttemptOutputs(cell["outputs"])

    def attempt(self, key: Key) -> Cell:
        """The cell of an attempt, to be changed. Raises KeyError when none has begun with that."""
        return self._opened(key)[0]

    def put_out(self, event: ev.Output) -> dict[str, Any]:
        """What is among its attempt's outputs for `event` now (see `AttemptOutputs.add`): of what
        is printed without end, only the last texts. Raises KeyError as `attempt` does."""
        outputs = self.outputs(event.step, event.attempt)
        output = outputs.add(event)
        if outputs.printed > _MOST_PRINTED:
            self._aside.put(output["text"])
            outputs.printed = 0
        return output

    def outputs(self, step: str, attempt: int) -> AttemptOutputs:
        """Of an attempt. Raises KeyError as `attempt` does."""
        key = step, attempt
        return (self._open.get(key) or self._opened(key))[1]

    def settled(
        self, bundles: Mapping[str, Bundle], texts: Mapping[str, str]
    ) -> Iterator[Iterator[bytes]]:
        """All of them, each as it stands in the notebook's JSON, in pieces, when `bundles` and
        `texts` are what displays and widgets show at the end. Nothing may be changed meanwhile."""
        self._put_away()
        for number in range(len(self._pieces)):
            kept = self._pieces[number]
            if number in self._left:
                cell, outputs = _taken_out(kept)
                outputs.settle(bundles, texts)
                kept = piece(cell)
            yield self._aside.put_back(kept)

    def close(self) -> None:
        self._pieces.close()
        self._aside.close()

    def _opened(self, key: Key) -> tuple[Cell, AttemptOutputs]:
        known = self._open.get(key)
        if known is None:
            number = self._numbers[key]
            kept = self._pieces[number]
            known = self._open[key] = _taken_out(kept) if number in self._left else _read(kept)
        return known

    def _put_away(self) -> None:
        for key, (cell, outputs) in self._open.items():
            number = self._numbers[key]
            if outputs.named or outputs.views or outputs.clear_next:
                self._left.add(number)
                left = _Unsettled(cell, outputs.named, outputs.views, outputs.clear_next)
                self._pieces.replace(number, _encode(left))
            else:
                self._left.discard(number)
                self._pieces.replace(number, piece(cell))
        self._open.clear()


def piece(cell: Cell) -> bytes:
    """A cell as it stands in the list of a notebook that is indented by one."""
    formatted = msgspec.json.format(_encode(cell), indent=1)
    return b"  " + formatted.replace(b"\n", b"\n  ")


def _taken_out(kept: bytes) -> tuple[Cell, AttemptOutputs]:
    found = _unsettled.decode(kept)
    outputs = AttemptOutputs(
        found.cell["outputs"], found.named, found.views, clear_next=found.clear_next
    )
    return found.cell, outputs


def _read(kept: bytes) -> tuple[Cell, AttemptOutputs]:
    cell: Cell = msgspec.json.decode(kept)
    return cell, AttemptOutputs(cell["outputs"])
