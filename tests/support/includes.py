"""Runbooks that include others, planned as a run plans them."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from nbrun.errors import RunbookError
from nbrun.runbook import loader
from nbrun.runbook.includes import planning
from nbrun.runbook.loader import Runbook
from nbrun.runbook.parameters.declarations import declarations_of
from nbrun.runbook.parameters.resolve import resolve
from nbrun.runbook.parameters.types import RawValue
from tests.support.build_notebooks import markdown


def include(
    path: Path, folder: Path | None = None, *, id: str = "inc", source: str = "", **values: Any
) -> dict[str, Any]:
    """Return a cell that includes the file `path` from `folder`, by default the file's own."""
    relative = os.path.relpath(path, folder or path.parent)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    own: dict[str, Any] = {"include": f"{relative}@sha256:{digest}"}
    own |= {"parameters": values} if values else {}
    return markdown(source, id=id, metadata={"nbrun": own})


def planned(
    path: Path,
    given: Mapping[str, RawValue] | None = None,
    defaults: Mapping[str, Any] | None = None,
) -> Runbook:
    """Plan the runbook at `path` as a run does, with these parameter values."""
    source = loader.read(path)
    parameters = resolve(declarations_of(source.node, "python"), given or {})
    bound = planning.bind(source, parameters)
    return planning.plan(source, parameters, defaults or {}, bound)


def refusal(path: Path, given: Mapping[str, RawValue] | None = None) -> str:
    """Return the message with which the runbook at `path` is refused, without the cell."""
    with pytest.raises(RunbookError) as caught:
        planned(path, given)
    place, _, message = str(caught.value).partition(": ")
    assert place.startswith(str(path.parent))
    assert ", cell " in place
    return message
