"""The cells of a runbook, found in papermill's notebook."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from papermill.execute import ERROR_MARKER_TAG

from nbrun.errors import RunbookError

INJECTED = "injected-parameters"


@dataclass(frozen=True)
class CellMap:
    """The places of a runbook's cells in papermill's notebook.

    `indexes`: by cell id. `injected`: of the cell that assigns the parameters, None without one.
    """

    indexes: dict[str, int]
    injected: int | None

    def index_after(self, cells: Sequence[str]) -> int:
        """Return the index behind the last of `cells`, which are ids."""
        return 1 + max((self.indexes[id_] for id_ in cells), default=-1)

    def with_room_at(self, index: int) -> "CellMap":
        """Return the map after a cell was inserted at `index`."""
        return CellMap({id_: at + (at >= index) for id_, at in self.indexes.items()}, index)


def match_cells(path: Path, managed: Sequence[Any], own: Sequence[Any]) -> CellMap:
    """Return where `own`, the cells of the file `path`, are among papermill's `managed` cells.

    Raises:
        RunbookError: the two are not the same cells.
    """
    theirs = [index for index, cell in enumerate(managed) if not _is_added(cell)]
    ours = own_cells(own)
    if [managed[index]["source"] for index in theirs] != [cell["source"] for cell in ours]:
        raise RunbookError(
            f"{path}: its cells are not those that papermill has read: it was changed meanwhile"
        )
    injected = [index for index, cell in enumerate(managed) if INJECTED in _tags(cell)]
    indexes = {cell["id"]: index for cell, index in zip(ours, theirs, strict=True)}
    return CellMap(indexes, injected[0] if injected else None)


def own_cells(cells: Sequence[Any]) -> list[Any]:
    """Return the cells of a notebook that papermill has not added."""
    return [cell for cell in cells if not _is_added(cell)]


def injected_source(cells: Sequence[Any]) -> str | None:
    """Return the source of the cell that assigns parameters; None without one."""
    return next((str(cell["source"]) for cell in cells if INJECTED in _tags(cell)), None)


def has_nothing_to_run(cells: Sequence[Any]) -> bool:
    """Return True if no code cell has any source."""
    return not any(cell["cell_type"] == "code" and cell["source"].strip() for cell in cells)


def _is_added(cell: Any) -> bool:
    """Return True for cells that papermill adds, in this execution or an earlier one."""
    return bool({INJECTED, ERROR_MARKER_TAG} & {*_tags(cell)})


def _tags(cell: Any) -> list[str]:
    tags: list[str] = cell["metadata"].get("tags", [])
    return tags
