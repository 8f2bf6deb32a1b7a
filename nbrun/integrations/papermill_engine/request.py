"""The notebook that papermill wants executed, as a request to a supervisor.

nbrun reads the file that papermill has read, and assigns the same parameters itself. So the record
has the SHA-256 of the file, and everything that nbrun checks before a run is checked. The cells of
the two must be the same, one by one.
"""

import dataclasses
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import msgspec
import nbformat
from papermill.iorw import papermill_io
from papermill.log import logger

from nbrun.core import addresses
from nbrun.core.run_options import RunOptions
from nbrun.errors import ParameterError, UsageError
from nbrun.integrations.papermill_engine.cell_map import (
    CellMap,
    injected_source,
    match_cells,
    own_cells,
)
from nbrun.integrations.runbook_addresses.files import RunbookFile, keep, runbook_file
from nbrun.runbook import loader, notebook
from nbrun.runbook.parameters import resolve, sources
from nbrun.runbook.parameters.declarations import declarations_of
from nbrun.runbook.parameters.languages import language_name
from nbrun.runbook.parameters.types import Parameter, RawValue
from nbrun.supervisor.requests import StartRequest

_NATIVE = "python3"  # the kernel that jupyter_client starts for the name `python`
_PLACED = {"kernel", "cwd", "on_failure", "undeclared", "step", "by_hand"}  # set by the engine
_OWN_OPTIONS = {field.name for field in dataclasses.fields(RunOptions)} - _PLACED
_IGNORED = {"input_path", "start_timeout", "execution_timeout", "timeout", "language"}


def request_for(
    nb: Any, kernel_name: str, options: Mapping[str, Any]
) -> tuple[StartRequest, CellMap]:
    """Return the request to run papermill's notebook `nb`, and where its cells are.

    Raises:
        UsageError: an option, the notebook or a parameter is refused.
    """
    kernel = _NATIVE if kernel_name == "python" else kernel_name
    file = _file_of(options.get("input_path"))
    path = (file or _kept_copy(nb)).path
    parsed = loader.parse(path)
    cells = match_cells(path, nb.cells, parsed.document["cells"])
    language = language_name(kernel, notebook.language(parsed.metadata))
    declared = declarations_of(parsed.document, language).parameters
    in_file = injected_source(parsed.document["cells"])
    given = _given(_values_of(nb, in_file, declared), declared)
    own = {
        **_own_options(options),
        "kernel": kernel,
        "cwd": Path.cwd(),  # papermill has changed to its option `cwd`
        "on_failure": "stop",
        "undeclared": bool(given.keys() - declared.keys()),
    }
    limit = options.get("execution_timeout") or options.get("timeout")
    request = StartRequest(
        runbook=path,
        address=file.address if file else "",
        attended=False,
        options=RunOptions(**own),
        given=given,
        step_timeout=float(limit) if limit else None,
        bound=True,
    )
    return request, cells


def _own_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that are nbrun's. Warn of those that are nobody's."""
    unknown = sorted(options.keys() - _OWN_OPTIONS - _IGNORED)
    if unknown:
        logger.warning(f"the engine nbrun does not use: {', '.join(unknown)}")
    own = {name: value for name, value in options.items() if name in _OWN_OPTIONS}
    paths = {name: Path(own[name]) for name in ("runs_dir", "sign") if own.get(name)}
    try:
        msgspec.convert({**own, **dict.fromkeys(paths)}, RunOptions)
    except msgspec.ValidationError as error:
        raise UsageError(f"an option of the engine nbrun: {error}") from None
    return own | paths


# ── the notebook ─────────────────────────────────────────────────────────────────────────────


def _file_of(given: Any) -> RunbookFile | None:
    """Return the file that papermill has read; None for a notebook that is in no file."""
    if isinstance(given, str):
        if addresses.is_address(given):
            return runbook_file(given)
        path = Path(_working_folder(), given)
        if path.is_file():
            return RunbookFile(path)
    return None


def _kept_copy(nb: Any) -> RunbookFile:
    """Keep the notebook in a file, without the parameters: one of them may be a secret."""
    copy = deepcopy(nb)
    if copy.metadata.papermill.get("parameters"):
        copy.cells = own_cells(copy.cells)
    del copy.metadata["papermill"]
    content = nbformat.writes(copy, version=4).encode()  # type: ignore[no-untyped-call]
    return RunbookFile(keep(content, "notebook.ipynb"))


def _working_folder() -> str:
    """Return the folder where papermill was called. It has changed to its option `cwd` since."""
    handler = papermill_io.get_handler("local")
    folder = handler.cwd(None)  # sets another one, and returns the one before
    handler.cwd(folder)
    return folder or str(Path.cwd())


# ── parameters ───────────────────────────────────────────────────────────────────────────────


def _values_of(
    nb: Any, in_file: str | None, declared: Mapping[str, Parameter]
) -> Mapping[str, Any]:
    """Return the parameters that papermill was given for `nb`.

    `in_file` is the source of the cell that assigns parameters in its file, None without one.
    The notebook of an earlier execution names those of then. They count no more, but by the cell
    that assigns them, if the file has that: it is executed as it is. A secret in it has no value.
    """
    values: Mapping[str, Any] = nb.metadata.papermill.get("parameters", {})
    assigned = injected_source(nb.cells)
    if assigned is None:
        return {}
    has_secret = any(name in declared and declared[name].secret for name in values)
    return {} if assigned == in_file and not has_secret else values


def _given(values: Mapping[str, Any], declared: Mapping[str, Parameter]) -> dict[str, RawValue]:
    """Return papermill's parameters as nbrun takes them, with each secret from its source.

    Raises:
        ParameterError: a secret is not given by its source, or can't be fetched.
    """
    given = {}
    for name, value in values.items():
        plain = _plain(value)
        text = plain if isinstance(plain, str) else None
        # papermill assigns any value to any parameter. A schema of the runbook still applies.
        raw = RawValue(plain, text, "papermill", exact=True)
        resolve.refuse_unencodable(name, raw)
        secret = name in declared and declared[name].secret
        given[name] = _fetched(name, raw) if secret else raw
    return given


def _plain(value: Any) -> Any:
    """Return `value` in JSON's types. Of any other type, papermill writes the text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _fetched(name: str, raw: RawValue) -> RawValue:
    """Fetch a secret. papermill writes what it is given into its own notebook, in clear text."""
    if not sources.names_source(raw):
        raise ParameterError(
            f"parameter {name!r}: is a secret, and papermill's output notebook would hold it: give "
            f"{name} as @env:VAR, @file:PATH, @keyring:SERVICE/NAME or @cmd:COMMAND"
        )
    return sources.fetch(name, raw, None)
