"""Text runbooks for tests: write one, and read it as a run does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nbrun.errors import RunbookError
from nbrun.runbook.loader import ParsedNotebook, parse

Read = Callable[..., ParsedNotebook]
Refuse = Callable[..., str]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Return a function that writes a text to `runbook.md`, or another file, and reads it."""

    def read_text(text: str | bytes, name: str = "runbook.md") -> ParsedNotebook:
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return parse(path)

    return read_text


@pytest.fixture
def refuse(read: Read) -> Refuse:
    """Return a function that reads a text and returns the error's message without the path."""

    def refusal(text: str | bytes, name: str = "runbook.md") -> str:
        with pytest.raises(RunbookError) as caught:
            read(text, name)
        assert "\n" not in str(caught.value)
        return str(caught.value).split(name, 1)[1]

    return refusal


def cells(parsed: ParsedNotebook) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = parsed.document["cells"]
    return found


def code(parsed: ParsedNotebook) -> list[str]:
    """Return the sources of the code cells."""
    return [cell["source"] for cell in cells(parsed) if cell["cell_type"] == "code"]


def ids(parsed: ParsedNotebook) -> list[str]:
    """Return the ids of the cells that are steps or checks."""
    return [
        cell["id"]
        for cell in cells(parsed)
        if cell["cell_type"] == "code" or "manual" in cell["metadata"].get("tags", ())
    ]
