"""Load a notebook, refuse one that can't be a runbook, and plan its steps."""

import hashlib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from nbrun.core.model import Contract, IncludedRunbook, Narration, Step
from nbrun.errors import RunbookError
from nbrun.runbook import attached_cells, contract, notebook, titles, validation
from nbrun.runbook.attached_cells import AttachedCell
from nbrun.runbook.contract import ContractContext
from nbrun.runbook.includes import cells as includes
from nbrun.runbook.notebook import short
from nbrun.runbook.places import Places
from nbrun.runbook.text_formats.suffixes import is_text


@dataclass(frozen=True)
class Notebook:
    """A valid notebook in nbformat 4.5, without outputs and execution counts.

    Attributes:
        path: absolute.
        sha256: the hex digest of the file's bytes.
        node: the notebook's JSON in plain dicts. nbformat's nodes need several times the memory.
        notices: what was corrected.
        ignored: those of the notices that are about faults which the schema does not allow.
        places: where the cells are in the file.
        remarks: those of the notices that are about a line of a text runbook, and that line.
    """

    path: Path
    sha256: str
    node: dict[str, Any]
    notices: tuple[str, ...]
    ignored: tuple[str, ...]
    places: Places
    remarks: tuple[tuple[int, str], ...]

    @property
    def metadata(self) -> dict[str, Any]:
        found: dict[str, Any] = self.node["metadata"]
        return found


@dataclass(frozen=True)
class Runbook:
    """A planned notebook: its steps in order, and the cells after the last step (`epilogue`).

    `includes`: the runbooks that it includes, on all levels.
    """

    path: Path
    sha256: str
    metadata: dict[str, Any]
    steps: tuple[Step, ...]
    epilogue: tuple[Narration, ...]
    notices: tuple[str, ...] = ()
    includes: tuple[IncludedRunbook, ...] = ()


@dataclass(frozen=True)
class ParsedNotebook:
    """A notebook file's normalized JSON, which nbformat's schema has not checked yet.

    Attributes:
        language: of a text runbook that names no kernel, the language of its steps; else empty.
    """

    path: Path
    sha256: str
    document: dict[str, Any]
    notices: tuple[str, ...]
    places: Places
    language: str = ""
    remarks: tuple[tuple[int, str], ...] = ()

    @property
    def metadata(self) -> dict[str, Any]:
        found: dict[str, Any] = self.document["metadata"]
        return found


def read(path: Path, data: bytes | None = None) -> Notebook:
    """Read and validate the notebook at `path`. The same bytes give the same cell ids every time.

    `data`: the file's bytes, if they have been read.

    Raises:
        RunbookError: the notebook can't be a runbook. The message is one line with the file, the
            cell (from 1) and the remedy.
    """
    return validate(parse(path, data))


def read_bytes(path: Path) -> bytes:
    """Return the bytes of the runbook at `path`.

    Raises:
        RunbookError: the file can't be read, or its name can't be recorded.
    """
    path = path.absolute()
    _refuse_unrecordable_name(path)
    return notebook.read_bytes(path)


def parse(path: Path, data: bytes | None = None) -> ParsedNotebook:
    """Read the notebook at `path`, without nbformat, which is slow to import.

    `data`: the file's bytes, if they have been read.

    Raises:
        RunbookError: as `read` does.
    """
    path = path.absolute()
    data = read_bytes(path) if data is None else data
    return _parsed_text(path, data) if is_text(path) else _parsed_notebook(path, data)


def _parsed_notebook(path: Path, data: bytes) -> ParsedNotebook:
    document = notebook.parse(path, data)
    document, upgraded = _upgraded(path, document)
    places = Places(path)
    notebook.check_metadata(places, document)
    _refuse_nothing_to_run(path, document["cells"])
    notices = upgraded + notebook.give_ids(document["cells"])
    return ParsedNotebook(path, hashlib.sha256(data).hexdigest(), document, notices, places)


def _parsed_text(path: Path, data: bytes) -> ParsedNotebook:
    from nbrun.runbook.text_formats import reading

    text = reading.read(path, data)
    places = Places(path, text.lines)
    notebook.check_values(places, text.document)
    notebook.check_metadata(places, text.document)
    _refuse_nothing_to_run(path, text.document["cells"])
    return ParsedNotebook(
        path,
        hashlib.sha256(data).hexdigest(),
        text.document,
        tuple(f"line {remark.line}: {remark.message}" for remark in text.remarks),
        places,
        text.language if notebook.kernel_name(text.document["metadata"]) is None else "",
        tuple((remark.line, remark.message) for remark in text.remarks),
    )


def validate(parsed: ParsedNotebook) -> Notebook:
    """Check a parsed notebook against nbformat's schema. Faults that do not matter are removed.

    Raises:
        RunbookError: as `read` does.
    """
    document, ignored = validation.validate(parsed.places, parsed.document)
    return Notebook(
        parsed.path,
        parsed.sha256,
        document,
        parsed.notices + ignored,
        ignored,
        parsed.places,
        parsed.remarks,
    )


def plan(
    source: Notebook,
    context: ContractContext | None = None,
    included: Mapping[str, Runbook] = MappingProxyType({}),
) -> Runbook:
    """Return the steps of a notebook, numbered from 1.

    A step is a code cell that is not blank, or a Markdown cell that a person follows. A blank code
    cell does not run, as in nbclient; a check or an undo belongs to a step. The Markdown and raw
    cells before a step are its narration. `included`: the planned runbooks that it includes, by the
    id of the cell that includes each; their steps are there in place of that cell.

    Raises:
        RunbookError: a cell's contract is not valid. The message names the cell.
    """
    context = _with_own_defaults(source, context or ContractContext())
    steps: list[Step] = []
    attached: list[AttachedCell] = []
    narration: list[Narration] = []
    position, heading = 0, ""
    for cell in source.node["cells"]:
        position += not _is_injected(cell)  # messages count the cells of the file
        # An injected cell before the first one of the file is at no place of the file.
        where = source.places.of_cell(max(position, 1))
        if attached_cells.is_attached(cell):
            if cell["source"].strip():
                after = steps[-1].id if steps else ""
                attached.append(attached_cells.attached_cell(where, cell, after, context))
            continue
        if includes.is_include(cell):
            narration.append(_narration(cell))
            heading = titles.last_heading(narration) or heading
            book = included[cell["id"]]
            steps += _in_place(book.steps, len(steps), tuple(narration))
            narration = [*book.epilogue]
            continue
        own = contract.contract_of(where, cell["cell_type"], cell["metadata"], context)
        if cell["cell_type"] != "code" and not own.manual:
            narration.append(_narration(cell))
        elif cell["source"].strip():
            title = titles.step_title(cell, tuple(narration), heading)
            steps.append(_step(cell, len(steps) + 1, title, tuple(narration), own))
            heading = titles.last_heading(narration) or heading
            narration = []
    metadata = _without(source.metadata, "papermill")
    return Runbook(
        source.path,
        source.sha256,
        metadata,
        attached_cells.attach(steps, attached),
        tuple(narration),
        source.notices,
    )


def _in_place(
    steps: Iterable[Step], before: int, narration: tuple[Narration, ...]
) -> Iterator[Step]:
    """Yield the steps of an included runbook, numbered after the `before` that come first."""
    for number, step in enumerate(steps, start=before + 1):
        told = (*narration, *step.narration) if number == before + 1 else step.narration
        undo = step.undo and msgspec.structs.replace(step.undo, number=number)
        yield msgspec.structs.replace(step, number=number, narration=told, undo=undo)


def _is_injected(cell: Any) -> bool:
    return "injected-parameters" in cell["metadata"].get("tags", ())


def _with_own_defaults(source: Notebook, context: ContractContext) -> ContractContext:
    """Return `context` with the notebook's own defaults, which take precedence."""
    for fault in contract.notebook_faults(source.metadata):
        raise RunbookError(f"{source.path}: {fault}")
    own = source.metadata.get("nbrun", {}).get("defaults", {})
    return replace(context, defaults={**context.defaults, **own})


def _upgraded(path: Path, document: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return `document` in nbformat 4.5, and notices of the upgrade for the record."""
    if document["nbformat"] == 3:
        return _upgraded_from_3(path, document), ("upgraded from nbformat 3",)
    major, minor = document["nbformat"], document.get("nbformat_minor", 0)
    if (major, minor) == (4, 5):  # JSON may have 4.0 and 5.0, which nbformat takes for no numbers
        return document | {"nbformat": 4, "nbformat_minor": 5}, ()
    notice = f"{'upgraded' if minor in range(5) else 'taken'} from nbformat 4.{short(minor)} to 4.5"
    return document | {"nbformat": 4, "nbformat_minor": 5}, (notice,)


def _upgraded_from_3(path: Path, document: dict[str, Any]) -> dict[str, Any]:
    import nbformat

    sheet = {"cells": document.pop("cells"), "metadata": {}}
    try:
        with _quiet():
            node = nbformat.from_dict({**document, "worksheets": [sheet]})  # type: ignore[no-untyped-call]
            upgraded: dict[str, Any] = _plain(nbformat.convert(node, 4))  # type: ignore[no-untyped-call]
    except Exception as error:  # noqa: BLE001  # a bad file can make the converter raise anything
        why = short(str(error))
        raise RunbookError(
            f"{path}: can't be upgraded from nbformat 3 ({why}): save it as nbformat 4"
        ) from None
    for cell in upgraded["cells"]:
        del cell["id"]  # a random one: `give_ids` makes the same one at every load
    return upgraded


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence nbformat's log of faults: the validation that follows reports them."""
    from traitlets.log import get_logger  # nbformat logs to this one

    logger: Any = get_logger()
    disabled, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = disabled


def _refuse_unrecordable_name(path: Path) -> None:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        name = os.fsencode(path).decode("utf-8", "backslashreplace")
        raise RunbookError(
            f"{name}: the name is not text in the encoding of this locale "
            f"({sys.getfilesystemencoding()}), and can't be recorded: rename it, or set LC_ALL"
        ) from None


def _refuse_nothing_to_run(path: Path, cells: list[dict[str, Any]]) -> None:
    code = any(cell["cell_type"] == "code" and cell["source"].strip() for cell in cells)
    if not code and not any(map(includes.is_include, cells)):
        raise RunbookError(f"{path}: nothing to run: no code cell has any source. Add one")


def _narration(cell: Any) -> Narration:
    return Narration(
        id=cell["id"],
        kind=cell["cell_type"],
        source=cell["source"],
        attachments=_plain(cell.get("attachments", {})),
        metadata=_without(cell["metadata"], "papermill"),
    )


def _step(
    cell: Any, number: int, title: str, narration: tuple[Narration, ...], own: Contract
) -> Step:
    return Step(
        id=cell["id"],
        number=number,
        title=title,
        source=cell["source"],
        tags=tuple(cell["metadata"].get("tags", ())),
        metadata=_without(cell["metadata"], "papermill", "tags"),
        narration=narration,
        contract=own,
    )


def _without(metadata: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: _plain(value) for key, value in metadata.items() if key not in keys}


def _plain(value: Any) -> Any:
    """Return a copy in plain dicts and lists, so that a step shares nothing with its notebook."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value
