"""The cells of an output notebook while it is built: as JSON in a temporary file, not in memory.

The cell of an attempt is stored when the next attempt begins. An event that still changes the
cell, such as late output, loads it again.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from nbrun.core import events as ev
from nbrun.system.spool import Spool
from nbrun.views.export.display_state import DisplayState
from nbrun.views.export.outputs import AttemptOutputs
from nbrun.views.export.spool import StreamTextSpool

_MAX_STREAM_TEXT = 1 << 20  # characters of an attempt's streams that are in memory at a time

NotebookCell = dict[str, Any]
AttemptKey = tuple[str, int]  # the id of the step, and the number of the attempt


class _ChangeableCell(msgspec.Struct):
    """The cell of an ended attempt with displays or widgets that later events may change."""

    cell: NotebookCell
    displays: list[tuple[int, str]]
    captures: dict[str, int]
    has_views: bool
    clear_next: bool


_encode = msgspec.json.Encoder().encode
_changeable = msgspec.json.Decoder(_ChangeableCell)


class CellStore:
    """Cells in notebook order. The cell of an attempt is found by the attempt's key."""

    def __init__(self) -> None:
        self._spool = Spool()
        self._stream_texts = StreamTextSpool()
        self._numbers: dict[AttemptKey, int] = {}
        self._open: dict[AttemptKey, tuple[NotebookCell, AttemptOutputs]] = {}
        self._changeable: set[int] = set()  # the numbers of stored `_ChangeableCell`s

    def __len__(self) -> int:
        return len(self._spool)

    def add(self, cell: NotebookCell) -> int:
        """Append a cell that belongs to no attempt, and return its number."""
        return self._spool.add(cell_json(cell))

    def replace(self, number: int, cell: NotebookCell) -> None:
        """Replace a cell that `add` appended."""
        self._spool.replace(number, cell_json(cell))

    def begin(self, key: AttemptKey, cell: NotebookCell) -> None:
        """Append the cell of an attempt. Its list of outputs is empty, and `outputs` fills it."""
        self._store_open()
        self._numbers[key] = self._spool.add(b"")
        self._open[key] = cell, AttemptOutputs(cell["outputs"])

    def attempt(self, key: AttemptKey) -> NotebookCell:
        """Return the cell of an attempt, for the caller to change.

        Raises:
            KeyError: no such attempt has begun.
        """
        return self._load(key)[0]

    def add_output(self, event: ev.Output) -> dict[str, Any]:
        """Add an output to its attempt and return its entry in the list of outputs.

        Of a long stream, the entry holds only the last texts (see `AttemptOutputs.add`).

        Raises:
            KeyError: no such attempt has begun.
        """
        outputs = self.outputs(event.step, event.attempt)
        output = outputs.add(event)
        if outputs.stream_characters > _MAX_STREAM_TEXT:
            self._stream_texts.take_out(output["text"])
            outputs.stream_characters = 0
        return output

    def outputs(self, step: str, attempt: int) -> AttemptOutputs:
        """Return the outputs of an attempt.

        Raises:
            KeyError: no such attempt has begun.
        """
        key = step, attempt
        return (self._open.get(key) or self._load(key))[1]

    def finish(self, displays: DisplayState) -> Iterator[Iterator[bytes]]:
        """Yield each cell's JSON, in chunks, as it stands in the notebook.

        `displays` is the state of displays and widgets at the end. No cell may be changed
        meanwhile.
        """
        self._store_open()
        for number in range(len(self._spool)):
            stored = self._spool[number]
            if number in self._changeable:
                cell, outputs = _load_changeable(stored)
                cell["outputs"] = outputs.finished(displays)
                stored = cell_json(cell)
            yield self._stream_texts.put_back(stored)

    def close(self) -> None:
        self._spool.close()
        self._stream_texts.close()

    def _load(self, key: AttemptKey) -> tuple[NotebookCell, AttemptOutputs]:
        found = self._open.get(key)
        if found is None:
            number = self._numbers[key]
            load = _load_changeable if number in self._changeable else _load_final
            found = self._open[key] = load(self._spool[number])
        return found

    def _store_open(self) -> None:
        for key, (cell, outputs) in self._open.items():
            number = self._numbers[key]
            if outputs.clear_next or not outputs.is_final:
                self._changeable.add(number)
                stored = _ChangeableCell(
                    cell,
                    outputs.displays,
                    outputs.captures,
                    outputs.has_views,
                    outputs.clear_next,
                )
                self._spool.replace(number, _encode(stored))
            else:
                self._changeable.discard(number)
                self._spool.replace(number, cell_json(cell))
        self._open.clear()


def cell_json(cell: NotebookCell) -> bytes:
    """Return a cell as it stands in the list of cells of a notebook that is indented by one."""
    formatted = msgspec.json.format(_encode(cell), indent=1)
    return b"  " + formatted.replace(b"\n", b"\n  ")


def _load_changeable(stored: bytes) -> tuple[NotebookCell, AttemptOutputs]:
    found = _changeable.decode(stored)
    outputs = AttemptOutputs(
        found.cell["outputs"],
        found.displays,
        found.captures,
        has_views=found.has_views,
        clear_next=found.clear_next,
    )
    return found.cell, outputs


def _load_final(stored: bytes) -> tuple[NotebookCell, AttemptOutputs]:
    cell: NotebookCell = msgspec.json.decode(stored)
    return cell, AttemptOutputs(cell["outputs"])
