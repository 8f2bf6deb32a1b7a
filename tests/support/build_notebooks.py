"""Builders of notebook JSON, as plain dicts, for tests."""

import json
from pathlib import Path
from typing import Any

PYTHON = {
    "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
    "language_info": {"name": "python"},
}


def notebook(
    *cells: dict[str, Any], metadata: dict[str, Any] | None = None, **keys: Any
) -> dict[str, Any]:
    """Return a notebook in nbformat 4.5. `keys` replace its top-level keys."""
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": PYTHON if metadata is None else metadata,
        "cells": list(cells),
    } | keys


def _cell(kind: str, source: Any, id: str | None, tags: Any, metadata: Any) -> dict[str, Any]:
    metadata = dict(metadata or {}) | ({} if tags is None else {"tags": tags})
    return {"cell_type": kind, "metadata": metadata, "source": source} | ({"id": id} if id else {})


def code(
    source: Any = "1 + 1",
    *,
    id: str | None = None,
    tags: Any = None,
    metadata: dict[str, Any] | None = None,
    **keys: Any,
) -> dict[str, Any]:
    """Return a code cell, without an id unless one is given. `keys` replace its own keys."""
    empty = {"outputs": [], "execution_count": None}
    return _cell("code", source, id, tags, metadata) | empty | keys


def markdown(
    source: Any,
    *,
    id: str | None = None,
    tags: Any = None,
    metadata: dict[str, Any] | None = None,
    **keys: Any,
) -> dict[str, Any]:
    """Return a Markdown cell, without an id unless one is given."""
    return _cell("markdown", source, id, tags, metadata) | keys


def raw(source: Any, *, id: str | None = None, **keys: Any) -> dict[str, Any]:
    """Return a raw cell, without an id unless one is given."""
    return _cell("raw", source, id, None, None) | keys


def write(folder: Path, nb: dict[str, Any] | bytes, name: str = "runbook.ipynb") -> Path:
    """Write `nb`, a notebook or the bytes of a file, and return its path."""
    path = folder / name
    path.write_bytes(nb if isinstance(nb, bytes) else json.dumps(nb).encode())
    return path
