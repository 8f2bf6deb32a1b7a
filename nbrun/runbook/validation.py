"""Validate a notebook against nbformat's schema, apart from faults that do not concern a run.

nbclient and papermill run notebooks with such faults: they read only the keys that they know. Azure
Data Studio, for one, saves outputs in Markdown cells.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from nbrun.errors import RunbookError
from nbrun.runbook.notebook import short
from nbrun.runbook.places import Places

_NOTEBOOK_KEYS = frozenset(("metadata", "nbformat", "nbformat_minor", "cells"))
_TEXT_KEYS = frozenset(("id", "cell_type", "metadata", "source", "attachments"))
_CODE_KEYS = (_TEXT_KEYS - {"attachments"}) | {"outputs", "execution_count"}

_MAX_NAMES = 10  # in one notice

_Fault = tuple[str, str]  # the kind of fault, and the key that has it


def validate(places: Places, document: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return `document`, which is of nbformat 4.5, without its faults, and notices of the faults.

    The faults are keys that the schema does not know, and metadata of a form that it does not
    allow. `document` itself does not change.

    Raises:
        RunbookError: `document` has another fault. The message names the cell and the key.
    """
    import nbformat

    try:
        nbformat.validate(document)
    except nbformat.ValidationError:
        repaired, notices = _repaired(document)
    else:
        return document, ()
    try:
        nbformat.validate(repaired)
    except nbformat.ValidationError as error:
        raise RunbookError(_message(places, error)) from None
    return repaired, notices


def _repaired(document: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    notebook, faults = _repaired_part({**document, "cells": []}, _NOTEBOOK_KEYS, None)
    notices = [f"the notebook has {fault}: ignored" for fault in _in_words(faults)]
    cells = []
    of_cells: list[_Fault] = []
    for cell in document["cells"]:
        keys = _CODE_KEYS if cell["cell_type"] == "code" else _TEXT_KEYS
        repaired, faults = _repaired_part(cell, keys, f"{cell['cell_type']}_cell")
        cells.append(repaired)
        of_cells += faults
    notices += [f"cells have {fault}: ignored" for fault in _in_words(of_cells)]
    return {**notebook, "cells": cells}, tuple(notices)


def _repaired_part(
    part: dict[str, Any], keys: frozenset[str], definition: str | None
) -> tuple[dict[str, Any], list[_Fault]]:
    """Return a cell, or a notebook without its cells, without its faults, and the faults.

    `definition` is the part's name in the schema, None for a notebook.
    """
    faults = [("keys that nbformat does not know", key) for key in part if key not in keys]
    repaired = {key: value for key, value in part.items() if key in keys}
    metadata = repaired["metadata"] = dict(part["metadata"])
    if definition is None:
        _complete_kernelspec(metadata)
    elif "tags" in metadata:
        tags = metadata["tags"]
        metadata["tags"] = [tag for tag in dict.fromkeys(tags) if tag]
        surplus = [tag for n, tag in enumerate(tags) if not tag or tag in tags[:n]]
        faults += [("empty or repeated tags", tag) for tag in surplus]
    for holder, key in _invalid_keys(repaired, definition):
        if key in holder:
            del holder[key]
            faults.append(("metadata or attachments that are not valid", key))
    return repaired, faults


def _complete_kernelspec(metadata: dict[str, Any]) -> None:
    """Add the name for people that the schema requires and nbrun does not need, in place."""
    spec = metadata.get("kernelspec")
    if isinstance(spec, dict) and isinstance(spec.get("name"), str):
        metadata["kernelspec"] = {"display_name": spec["name"], **spec}


def _invalid_keys(
    part: dict[str, Any], definition: str | None
) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield the metadata and attachments that the schema refuses, each as a mapping and a key.

    Tags are not among them. One that is not valid may be meant as two, such as `setup,confirm`: to
    ignore it would be to run the step unasked.
    """
    from nbformat.validator import iter_validate

    found: Any = iter_validate(part, ref=definition, version=4, version_minor=5)  # type: ignore[no-untyped-call]
    for error in [*found]:
        match [*error.relative_path]:
            case ["metadata", str(key), *_] if key != "tags" or definition is None:
                yield part["metadata"], key
            case ["attachments", *_]:
                yield part, "attachments"


def _in_words(faults: Iterable[_Fault]) -> list[str]:
    keys: dict[str, list[str]] = {}
    for kind, key in faults:
        keys.setdefault(kind, []).append(key)
    return [f"{kind} ({_names(names)})" for kind, names in keys.items()]


def _names(names: list[str]) -> str:
    """Return `outputs × 3, name`: the names, and how many times each is there."""
    counts = {name: names.count(name) for name in dict.fromkeys(names)}
    shown = [
        (name if name.isidentifier() else short(name)) + (f" × {count}" if count > 1 else "")
        for name, count in [*counts.items()][:_MAX_NAMES]
    ]
    return ", ".join(shown + ["…"] * (len(counts) > _MAX_NAMES))


def _message(places: Places, error: Any) -> str:
    place = list(error.relative_path)
    where = str(places.path)
    if place[:1] == ["cells"] and len(place) > 1:
        where = places.of_cell(place[1] + 1)
        place = place[2:]
    key = f"{'.'.join(map(str, place))}: " if place else ""
    message = " ".join(str(error.message).split())
    message = message if len(message) <= 160 else f"{message[:159]}…"
    return f"{where}: not a valid notebook: {key}{message}: correct it in Jupyter"
