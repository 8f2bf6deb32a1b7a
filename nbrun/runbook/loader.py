"""A notebook, accepted or refused; and the runbook of steps that it holds."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nbrun.core.model import Contract, Narration, Step
from nbrun.errors import RunbookError
from nbrun.runbook import contract
from nbrun.runbook import notebook as notebook_json
from nbrun.runbook.contract import Ground
from nbrun.runbook.notebook import short

_TITLE_LENGTH = 60
_HEADING_LENGTH = 200  # more is no title, and the patterns below are slow on a hostile line
_HEADING = re.compile(r" {0,3}#{1,6}\s+")  # CommonMark's ATX heading
_FENCE = re.compile(r" {0,3}(```|~~~)")
_INLINE = (
    (re.compile(r"!?\[([^\]]*)\]\([^)]*\)"), r"\1"),
    (re.compile(r"(`+|\*\*|__|~~)(.+?)\1"), r"\2"),
    (re.compile(r"(?<!\w)([*_])(\S(?:.*?\S)?)\1(?!\w)"), r"\2"),
    (re.compile(r"</?[a-zA-Z][^>]*>"), ""),
)


@dataclass(frozen=True)
class Notebook:
    """A notebook as its file has it, in nbformat 4.5, without outputs and execution counts.

    `path` is absolute, `sha256` the hex digest of the file's bytes, `notices` what was put right.
    `node` is its JSON, in plain dicts: of a large notebook, nbformat's own take several times that.
    """

    path: Path
    sha256: str
    node: dict[str, Any]
    notices: tuple[str, ...] = ()

    @property
    def metadata(self) -> Any:
        return self.node["metadata"]


@dataclass(frozen=True)
class Runbook:
    """The notebook as planned: its steps in order, and the cells after the last of them."""

    path: Path
    sha256: str
    metadata: dict[str, Any]
    steps: tuple[Step, ...]
    epilogue: tuple[Narration, ...]
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Parsed:
    """A notebook file's JSON, made uniform, and not yet held against nbformat's schema."""

    path: Path
    sha256: str
    document: dict[str, Any]
    notices: tuple[str, ...]

    @property
    def metadata(self) -> dict[str, Any]:
        found: dict[str, Any] = self.document["metadata"]
        return found


def read(path: Path) -> Notebook:
    """Read the notebook at `path`. The same bytes give the same cell ids every time.

    RunbookError, in one line with the file, the cell (from 1) and what to do, when it can't be a
    runbook.
    """
    return validated(parse(path))


def parse(path: Path) -> Parsed:
    """As far as nbformat is not needed, which takes its time to import. Raises as `read` does."""
    path = path.absolute()
    data = notebook_json.read_bytes(path)
    document = notebook_json.parse(path, data)
    document, upgraded = _upgraded(path, document)
    notebook_json.check_metadata(path, document)
    _refuse_nothing_to_run(path, document["cells"])
    notices = upgraded + notebook_json.give_ids(document["cells"])
    return Parsed(path, hashlib.sha256(data).hexdigest(), document, notices)


def validated(parsed: Parsed) -> Notebook:
    """The rest of `read`."""
    _refuse_invalid(parsed.path, parsed.document)
    return Notebook(parsed.path, parsed.sha256, parsed.document, parsed.notices)


def plan(notebook: Notebook, ground: Ground | None = None) -> Runbook:
    """The steps of `notebook`: its code cells that are not blank, and its Markdown cells that a
    person acts on, numbered from 1.

    As in nbclient a blank code cell does not run, so it is no step. The Markdown and raw cells
    before a step are its narration. RunbookError names the cell whose contract is broken.
    """
    ground = _grounded(notebook, ground or Ground())
    steps: list[Step] = []
    narration: list[Narration] = []
    position = 0
    for cell in notebook.node["cells"]:
        position += not _is_injected(cell)  # counted as in the file
        where = f"{notebook.path}, cell {position}"
        own = contract.of_cell(where, cell["cell_type"], cell["metadata"], ground)
        if cell["cell_type"] != "code" and not own.manual:
            narration.append(_narration(cell))
        elif cell["source"].strip():
            steps.append(_step(cell, len(steps) + 1, tuple(narration), own))
            narration = []
    metadata = _without(notebook.metadata, "papermill")
    return Runbook(
        notebook.path, notebook.sha256, metadata, tuple(steps), tuple(narration), notebook.notices
    )


def _is_injected(cell: Any) -> bool:
    return "injected-parameters" in cell["metadata"].get("tags", ())


def _grounded(notebook: Notebook, ground: Ground) -> Ground:
    """`ground` with the notebook's own defaults."""
    own = notebook.metadata.get("nbrun", {})
    faults = [
        *contract.wrong_values("metadata.nbrun", own, contract.NOTEBOOK),
        *contract.wrong_values(
            "metadata.nbrun.defaults", own.get("defaults", {}), contract.DEFAULTS
        ),
    ]
    for fault in faults:
        raise RunbookError(f"{notebook.path}: {fault}")
    return replace(ground, defaults={**ground.defaults, **own.get("defaults", {})})


def kernel_name(notebook: Notebook | Parsed, override: str | None) -> str | None:
    """The kernelspec to start: `override`, else the notebook's own; None when it names none."""
    return override or _named(notebook, "kernelspec", "name")


def language(notebook: Notebook) -> str | None:
    """The language that the notebook says it is in; None when it says none."""
    return _named(notebook, "language_info", "name") or _named(notebook, "kernelspec", "language")


def _named(notebook: Notebook | Parsed, *keys: str) -> str | None:
    value: Any = notebook.metadata
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, str) and value else None


def _upgraded(path: Path, document: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """`document` in nbformat 4.5, and notices of what it was."""
    if document["nbformat"] == 3:
        return _upgraded_from_3(path, document), ("upgraded from nbformat 3",)
    minor = document.get("nbformat_minor", 0)
    if minor == 5:
        return document, ()
    notice = f"{'upgraded' if minor in range(5) else 'taken'} from nbformat 4.{short(minor)} to 4.5"
    return {**document, "nbformat_minor": 5}, (notice,)


def _upgraded_from_3(path: Path, document: dict[str, Any]) -> dict[str, Any]:
    import nbformat

    sheet = {"cells": document.pop("cells"), "metadata": {}}
    try:
        with _quiet():
            node = nbformat.from_dict({**document, "worksheets": [sheet]})  # type: ignore[no-untyped-call]
            upgraded: dict[str, Any] = _plain(nbformat.convert(node, 4))  # type: ignore[no-untyped-call]
    except Exception as error:  # noqa: BLE001  # whatever its converter trips over in a bad file
        why = short(str(error))
        raise RunbookError(
            f"{path}: nbformat 3 that can't be upgraded ({why}); save it as nbformat 4"
        ) from None
    for cell in upgraded["cells"]:
        del cell["id"]  # a random one
    return upgraded


@contextmanager
def _quiet() -> Iterator[None]:
    """nbformat logs what is wrong before and after it converts; it is refused here anyway."""
    from traitlets.log import get_logger  # the one that nbformat writes to

    logger: Any = get_logger()
    disabled, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = disabled


def _refuse_nothing_to_run(path: Path, cells: list[dict[str, Any]]) -> None:
    if not any(cell["cell_type"] == "code" and cell["source"].strip() for cell in cells):
        raise RunbookError(f"{path}: nothing to run: it has no code cell with any source; add one")


def _refuse_invalid(path: Path, document: dict[str, Any]) -> None:
    import nbformat

    try:
        nbformat.validate(document)
    except nbformat.ValidationError as error:
        raise RunbookError(_schema_fault(path, error)) from None


def _schema_fault(path: Path, error: Any) -> str:
    place = list(error.relative_path)
    where = str(path)
    if place[:1] == ["cells"] and len(place) > 1:
        where += f", cell {place[1] + 1}"
        place = place[2:]
    key = f"{'.'.join(map(str, place))}: " if place else ""
    message = " ".join(str(error.message).split())
    message = message if len(message) <= 160 else f"{message[:159]}…"
    return f"{where}: no valid notebook: {key}{message}; correct it in Jupyter"


def _narration(cell: Any) -> Narration:
    return Narration(
        id=cell["id"],
        kind=cell["cell_type"],
        source=cell["source"],
        attachments=_plain(cell.get("attachments", {})),
        metadata=_without(cell["metadata"], "papermill"),
    )


def _step(cell: Any, number: int, narration: tuple[Narration, ...], own: Contract) -> Step:
    return Step(
        id=cell["id"],
        number=number,
        title=_title(cell, narration),
        source=cell["source"],
        tags=tuple(cell["metadata"].get("tags", ())),
        metadata=_without(cell["metadata"], "papermill", "tags"),
        narration=narration,
        contract=own,
    )


def _without(metadata: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: _plain(value) for key, value in metadata.items() if key not in keys}


def _plain(value: Any) -> Any:
    """Plain dicts and lists, copied: a step shares nothing with the notebook it came from."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


# What a cell is when no heading of its own says so: the one before it is the notebook's title.
_TITLES = {"parameters": "Parameters", "injected-parameters": "Parameters given"}


def _title(cell: Any, narration: tuple[Narration, ...]) -> str:
    own = cell["metadata"].get("nbrun", {}).get("title")
    if isinstance(own, str) and own.strip():
        return own.strip()
    for tag in cell["metadata"].get("tags", ()):
        if tag in _TITLES:
            return _TITLES[tag]
    if contract.is_manual(cell):
        own_heading = next(_headings(cell["source"]), None)
        if own_heading:
            return own_heading
    headings = [h for part in narration if part.kind == "markdown" for h in _headings(part.source)]
    if headings:
        return headings[-1]
    line: str = cell["source"].strip().splitlines()[0]
    first = line.lstrip("#/ ").strip() or line  # a comment says what follows
    return first if len(first) <= _TITLE_LENGTH else first[: _TITLE_LENGTH - 1].rstrip() + "…"


def _headings(markdown: str) -> Iterator[str]:
    """The texts of the Markdown's headings, in order, without their inline markup."""
    fenced = False
    for line in markdown.splitlines():
        if _FENCE.match(line):
            fenced = not fenced
        match = None if fenced else _HEADING.match(line)
        text = _unmarked(line[match.end() :][:_HEADING_LENGTH]) if match else ""
        if text:
            yield text


def _unmarked(text: str) -> str:
    text = re.sub(r"(^|\s)#+\s*$", "", text)
    for pattern, replacement in _INLINE:
        text = pattern.sub(replacement, text)
    return text.strip()
