"""Read the JSON of a notebook file, normalize it, and refuse a file that is not a notebook."""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nbrun.errors import RunbookError
from nbrun.runbook.places import Places

_CELL_TYPES = {3: ("code", "markdown", "raw", "heading", "html"), 4: ("code", "markdown", "raw")}
_MAX_DEPTH = 100  # levels of metadata: the libraries that copy it recurse
_CELL_ID = re.compile(r"[a-zA-Z0-9-_]{1,64}")  # as in the schema of nbformat 4.5
_BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


def parse(path: Path, data: bytes) -> dict[str, Any]:
    """Parse `data`, the bytes of the file `path`, as a notebook of nbformat 3 or 4.

    The result has its cells under `cells` in both formats. Each cell is an object of a known type,
    with a string as its source, and without outputs and execution count.

    Raises:
        RunbookError: `data` is not such a notebook. The message names the file and the cell.
    """
    _refuse_bytes(path, data)
    document = _document(path, data)
    version = _version(path, document)
    cells = _cells(path, document, version)
    for number, cell in enumerate(cells, start=1):
        _normalize(f"{path}, cell {number}", cell, version)
    _refuse_unrecordable(str(path), {k: v for k, v in document.items() if k != "cells"})
    return {**document, "cells": cells}


def saved_cells(path: Path, data: bytes) -> list[Any]:
    """Return the cells as the file has them, with outputs and execution counts.

    Raises:
        RunbookError: as `parse` does.
    """
    _refuse_bytes(path, data)
    document = _document(path, data)
    return _cells(path, document, _version(path, document))


def read_bytes(path: Path) -> bytes:
    """Return the bytes of the file.

    Raises:
        RunbookError: the file can't be read.
    """
    try:
        return path.read_bytes()
    except IsADirectoryError:
        raise RunbookError(f"{path}: is a directory: name a notebook in it") from None
    except FileNotFoundError:
        raise RunbookError(f"{path}: no such file: check the path") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise RunbookError(f"{path}: can't be read ({why}): check the file") from None


def check_values(places: Places, document: dict[str, Any]) -> None:
    """Raise RunbookError if the journal can't store a value of the notebook exactly."""
    for number, cell in enumerate(document["cells"], start=1):
        _refuse_unrecordable(places.of_cell(number), cell)
    _refuse_unrecordable(str(places.path), document["metadata"])


def check_metadata(places: Places, document: dict[str, Any]) -> None:
    """Check the types of the metadata that nbrun reads, and add `metadata` where it is missing.

    Raises:
        RunbookError: metadata is of a wrong type, or the notebook is the record of a run.
    """
    own = _nbrun_metadata(str(places.path), document.setdefault("metadata", {}))
    if "run" in own:
        raise RunbookError(
            f"{places.path}: this is the record of a run: name the runbook that the run followed"
        )
    for number, cell in enumerate(document["cells"], start=1):
        where = places.of_cell(number)
        metadata = cell.setdefault("metadata", {})
        _nbrun_metadata(where, metadata)
        tags = metadata.get("tags", [])
        if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
            raise RunbookError(f"{where}: its tags must be a list of strings, not {short(tags)}")


def _nbrun_metadata(where: str, metadata: Any) -> dict[str, Any]:
    if not isinstance(metadata, dict):
        raise RunbookError(f"{where}: its metadata must be an object, not {short(metadata)}")
    own = metadata.get("nbrun", {})
    if not isinstance(own, dict):
        raise RunbookError(f"{where}: metadata.nbrun must be an object, not {short(own)}")
    return own


def kernel_name(metadata: Mapping[str, Any]) -> str | None:
    """Return the name of the kernelspec that a notebook's metadata names; None without one."""
    return _text_at(metadata, "kernelspec", "name")


def language(metadata: Mapping[str, Any]) -> str | None:
    """Return the language that a notebook's metadata names; None without one."""
    return _text_at(metadata, "language_info", "name") or _text_at(
        metadata, "kernelspec", "language"
    )


def _text_at(metadata: Any, *keys: str) -> str | None:
    value = metadata
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, str) and value else None


def give_ids(cells: list[dict[str, Any]]) -> tuple[str, ...]:
    """Give each cell a valid, unique id, in place. Return notices of the changes.

    Of several cells with the same id, the first keeps it.
    """
    taken: set[str] = set()
    without: list[tuple[int, dict[str, Any]]] = []
    # These texts go into the record's notices.
    counts = {"had no id": 0, "had an id that is not valid": 0, "had the id of another": 0}
    for position, cell in enumerate(cells):
        why = _id_fault(cell, taken)
        if why is None:
            taken.add(cell["id"])
        else:
            counts[why] += 1
            without.append((position, cell))
    for position, cell in without:
        cell["id"] = _made_id(position, cell["source"], taken)
        taken.add(cell["id"])
    return tuple(
        f"{count} cell{'s'[: count != 1]} {why}: given ids from their position and source"
        for why, count in counts.items()
        if count
    )


def _id_fault(cell: dict[str, Any], taken: set[str]) -> str | None:
    if "id" not in cell:
        return "had no id"
    if not isinstance(cell["id"], str) or not _CELL_ID.fullmatch(cell["id"]):
        return "had an id that is not valid"
    return "had the id of another" if cell["id"] in taken else None


def _made_id(position: int, source: str, taken: set[str]) -> str:
    digest = hashlib.sha256(f"{position}\n{source}".encode()).hexdigest()
    length = 8
    while digest[:length] in taken:
        length += 1
    return digest[:length]


def short(value: Any) -> str:
    """Return `value` as one line of at most 60 characters, for a message."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:59] + "…"


def _refuse_bytes(path: Path, data: bytes) -> None:
    if not data.strip():
        raise RunbookError(f"{path}: is empty: save the notebook again")
    if data.startswith(_BYTE_ORDER_MARKS):
        raise RunbookError(f"{path}: starts with a byte order mark: save it as UTF-8 without BOM")


def _document(path: Path, data: bytes) -> dict[str, Any]:
    """Return the file's JSON object. NaN is accepted here: saved outputs may contain it."""
    try:
        document = json.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise RunbookError(f"{path}: not UTF-8 at byte {error.start}: save it as UTF-8") from None
    except json.JSONDecodeError as error:
        where = f"{path}, line {error.lineno}, column {error.colno}"
        raise RunbookError(
            f"{where}: not JSON, or incomplete ({error.msg}): restore the notebook"
        ) from None
    except RecursionError:
        raise RunbookError(f"{path}: its JSON is nested too deep: is it a notebook?") from None
    except ValueError as error:  # a number of thousands of digits
        raise RunbookError(f"{path}: its JSON can't be read: {error}") from None
    if not isinstance(document, dict) or "nbformat" not in document:
        raise RunbookError(f"{path}: not a notebook: it has no nbformat. Name an .ipynb file")
    return document


def _version(path: Path, document: dict[str, Any]) -> int:
    version = document["nbformat"]
    if version in (3, 4) and type(version) is int:
        return version
    if version in (1, 2) and type(version) is int:
        raise RunbookError(
            f"{path}: nbformat {version} is too old: convert it with jupyter nbconvert first"
        )
    if isinstance(version, int) and version > 4:
        raise RunbookError(f"{path}: nbformat {version} is not supported: save it as nbformat 4")
    raise RunbookError(
        f"{path}: nbformat is {short(version)}, which is not a version: save it as nbformat 4"
    )


def _cells(path: Path, document: dict[str, Any], version: int) -> list[dict[str, Any]]:
    """Return the cells as they are in the file: in nbformat 3, those of all worksheets."""
    if version == 3:
        sheets = document.pop("worksheets", None)
        if not isinstance(sheets, list) or not all(isinstance(s, dict) for s in sheets):
            raise RunbookError(f"{path}: its worksheets must be a list of objects: save it again")
        lists = [sheet.get("cells") for sheet in sheets]
    else:
        lists = [document.get("cells")]
    cells: list[dict[str, Any]] = []
    for each in lists:
        if not isinstance(each, list):
            raise RunbookError(f"{path}: not a notebook: its cells must be a list. Save it again")
        cells += each
    return cells


def _normalize(where: str, cell: Any, version: int) -> None:
    """Make the source one string and remove the results of an earlier execution, in place."""
    if not isinstance(cell, dict):
        raise RunbookError(f"{where}: must be an object, not {short(cell)}: remove it")
    kind = cell.get("cell_type")
    if kind not in _CELL_TYPES[version]:
        raise RunbookError(f"{where}: unknown cell type {short(kind)}: use code or markdown")
    key = "input" if version == 3 and kind == "code" else "source"
    cell[key] = _source(where, cell.get(key), version)
    if kind == "code":
        cell["outputs"] = []
        cell["prompt_number" if version == 3 else "execution_count"] = None
    _refuse_unrecordable(where, cell)


def _source(where: str, source: Any, version: int) -> str:
    if isinstance(source, str):
        return source
    if not isinstance(source, list) or not all(isinstance(line, str) for line in source):
        raise RunbookError(f"{where}: its source must be text, not {short(source)}")
    # Some nbformat 3 files have lines without their line ends (nbformat.v3.rwbase).
    bare = version == 3 and source and not source[0].endswith(("\n", "\r"))
    return ("\n" if bare else "").join(source)


def _refuse_unrecordable(where: str, value: Any, depth: int = 0) -> None:
    """Refuse values that the journal, which is UTF-8 JSON, can't store exactly."""
    if depth > _MAX_DEPTH:
        raise RunbookError(
            f"{where}: metadata nested more than {_MAX_DEPTH} levels deep: remove it"
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise RunbookError(f"{where}: contains the number {value}, which is not JSON: remove it")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise RunbookError(f"{where}: contains a number of more than 64 bits: make it text")
    if isinstance(value, str) and any("\ud800" <= char <= "\udfff" for char in value):
        raise RunbookError(f"{where}: contains a lone surrogate, half of a character: remove it")
    children = [*value, *value.values()] if isinstance(value, dict) else value
    if isinstance(children, list):
        for child in children:
            _refuse_unrecordable(where, child, depth + 1)
