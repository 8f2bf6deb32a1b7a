"""What is wrong or unwise in a notebook that is to be a runbook: rules, each a small function."""

import ast
import difflib
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nbrun.errors import NbrunError
from nbrun.runbook import contract, notebook
from nbrun.runbook.contract import Ground
from nbrun.runbook.parameters import resolve
from nbrun.runbook.parameters.declarations import Parameter
from nbrun.runbook.parameters.languages import PYTHON, tongue

Level = Literal["error", "warning"]
_MAGIC = re.compile(
    r"""^([ \t]*)(?:(?:[\w.\[\]"', ]+=[ \t]*)?[%!](?:.*\\\n)*.*|.*\?\??[ \t]*)$""", re.MULTILINE
)
_ASKS = re.compile(r"(?<![\w.])(?:input|getpass|getpass\.getpass)\s*\(")
# As providers print them; what is named like a secret and assigned a plain text
_TOKENS = re.compile(
    r"AKIA[0-9A-Z]{16}|gh[pousr]_\w{36,}|xox[abprs]-[\w-]{10,}|glpat-[\w-]{20,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----|\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]+"
)
_NAMED = re.compile(
    r"(?i)\b\w*(?:password|passwd|secret|token|api_?key|private_?key)\w*\s*(?::\s*\w+\s*)?=\s*"
    r"[rbuf]?([\"'])(?P<value>[^\"'\n]{6,})\1"
)
_HARMLESS = re.compile(
    r"(?i)^(?:<.*>|\{.*\}|\$.*|x+|\*+|.*(?:example|changeme|placeholder|todo).*)$"
)


@dataclass(frozen=True)
class Finding:
    """One thing found. `cell` counts from 1 in the file, `line` from 1 in the cell; None for the
    whole. `rule` names the rule."""

    path: str
    cell: int | None
    line: int | None
    level: Level
    rule: str
    message: str

    def __str__(self) -> str:
        place = [self.path]
        place += [f"cell {self.cell}"] if self.cell else []
        place += [f"line {self.line}"] if self.line else []
        return f"{', '.join(place)}: {self.level}: {self.message} [{self.rule}]"


@dataclass(frozen=True)
class _Book:
    """A notebook as the rules see it: `cells` as nbrun reads them, `raw` as the file has them."""

    path: Path
    cells: list[dict[str, Any]]
    raw: list[Any]
    metadata: Mapping[str, Any]
    language: str
    declared: Mapping[str, Parameter]
    ground: Ground

    @property
    def is_python(self) -> bool:
        return self.language in PYTHON


def findings(path: Path, defaults: Mapping[str, Any], *, unattended: bool) -> list[Finding]:
    """Everything found in the notebook at `path`, in the order of its cells. `defaults` are those
    of the team's contracts; `unattended`: nobody will be there to answer a cell."""
    try:
        book = _opened(path, defaults)
    except NbrunError as error:
        message = str(error).removeprefix(str(path)).lstrip(":, ")
        return [Finding(str(path), None, None, "error", "notebook", message)]
    found = [*_of_notebook(book)]
    for number, cell in enumerate(book.cells, start=1):
        for line, level, rule, message in _of_cell(book, number, cell, unattended=unattended):
            found.append(Finding(str(path), number, line, level, rule, message))
    return found


def _opened(path: Path, defaults: Mapping[str, Any]) -> _Book:
    data = notebook.read_bytes(path)
    document = notebook.parse(path, data)
    notebook.check_metadata(path, document)
    metadata = document["metadata"]
    names = [metadata.get(key) for key in ("language_info", "kernelspec")]
    language, kernel = (each.get("name") if isinstance(each, dict) else None for each in names)
    spoken = tongue(kernel, language)
    declared = resolve.declared(document, language, kernel)
    own = metadata.get("nbrun", {}).get("defaults", {})
    known = dict.fromkeys(declared, "") | resolve.known_values(declared, {}, spoken)
    hidden = frozenset(name for name, each in declared.items() if each.secret)
    merged = {**defaults, **(own if isinstance(own, dict) else {})}
    ground = Ground(merged, known, hidden)
    raw = notebook.saved_cells(path, data)
    return _Book(path, document["cells"], raw, metadata, spoken, declared, ground)


# ── rules about the whole ────────────────────────────────────────────────────────────────────


def _of_notebook(book: _Book) -> Iterator[Finding]:
    def whole(level: Level, rule: str, message: str) -> Finding:
        return Finding(str(book.path), None, None, level, rule, message)

    own = book.metadata.get("nbrun", {})
    faults = [
        *contract.wrong_values("metadata.nbrun", own, contract.NOTEBOOK),
        *contract.wrong_values(
            "metadata.nbrun.defaults", own.get("defaults", {}), contract.DEFAULTS
        ),
    ]
    yield from (whole("error", "contract", fault) for fault in faults)
    if not any(cell["cell_type"] == "code" and cell["source"].strip() for cell in book.cells):
        yield whole("error", "notebook", "nothing to run: it has no code cell with any source")
    counts = [cell.get("execution_count", cell.get("prompt_number")) for cell in book.raw]
    run = [count for count in counts if isinstance(count, int)]
    if run != sorted(run):
        yield whole("warning", "execution-count", "its cells were last run in another order; clear")
    for name in _unused(book):
        yield whole("warning", "unused-parameter", f"no cell uses the parameter {name}")


def _unused(book: _Book) -> list[str]:
    """The declared parameters that no other cell names, as a word."""
    rest = [
        cell["source"]
        for cell in book.cells
        if cell["cell_type"] == "code" and "parameters" not in cell["metadata"].get("tags", ())
    ]
    words = set(re.findall(r"[^\W\d]\w*", "\n".join(rest)))
    return [name for name in book.declared if name not in words]


# ── rules about a cell ───────────────────────────────────────────────────────────────────────

Told = tuple[int | None, Level, str, str]


def _of_cell(book: _Book, number: int, cell: dict[str, Any], *, unattended: bool) -> Iterator[Told]:
    metadata, source = cell["metadata"], cell["source"]
    for fault in contract.faults(cell["cell_type"], metadata, book.ground):
        yield None, "error", "contract", fault
    yield from _tags(metadata)
    yield from _secrets(source)
    if cell["cell_type"] != "code":
        return
    yield from _saved(book.raw[number - 1])
    impact = metadata.get("nbrun", {}).get("impact", book.ground.defaults.get("impact"))
    asked = {"confirm", "type"} & {*metadata.get("nbrun", {})} or "confirm" in _tags_of(metadata)
    if impact == "destructive" and not asked:
        yield None, "warning", "destructive", "it destroys something and does not ask: add confirm"
    if book.is_python:
        yield from _syntax(source)
    if unattended:
        yield from _questions(source)
        if asked:
            yield None, "warning", "unattended", "it asks to be confirmed: it needs --yes"


def _tags_of(metadata: Mapping[str, Any]) -> list[str]:
    return list(metadata.get("tags", ()))


def _tags(metadata: Mapping[str, Any]) -> Iterator[Told]:
    """A tag that is one of nbrun's but for its spelling takes no effect."""
    for tag in _tags_of(metadata):
        plain = tag.strip().lower().replace("_", "-")
        near = (
            [plain]
            if plain in contract.TAGS
            else difflib.get_close_matches(plain, contract.TAGS, n=1, cutoff=0.8)
        )
        if tag not in contract.TAGS and near:
            yield (
                None,
                "warning",
                "tag",
                f"the tag {tag!r} means nothing; did you mean {near[0]!r}?",
            )


def _saved(raw: Any) -> Iterator[Told]:
    if isinstance(raw, dict) and raw.get("outputs"):
        yield None, "warning", "output", "it was saved with outputs, which may tell secrets; clear"


def _secrets(source: str) -> Iterator[Told]:
    for number, line in enumerate(source.splitlines(), start=1):
        named = _NAMED.search(line)
        if _TOKENS.search(line) or (named and not _HARMLESS.match(named["value"])):
            yield number, "error", "secret", "looks like a secret; make it a secret parameter"


def _syntax(source: str) -> Iterator[Told]:
    """Python that does not parse, IPython's magics aside."""
    if source.lstrip().startswith("%%"):
        return
    without = _MAGIC.sub(lambda magic: magic[1] + "pass" + "\n" * magic[0].count("\n"), source)
    if _parse_error(source) is None:
        return
    error = _parse_error(without)
    if isinstance(error, SyntaxError):
        yield error.lineno, "error", "syntax", f"is not Python: {error.msg}"
    elif error is not None:
        yield None, "error", "syntax", f"can't be read as Python: {error}"


def _parse_error(source: str) -> Exception | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(source, "cell", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return error
    return None


def _questions(source: str) -> Iterator[Told]:
    for number, line in enumerate(source.splitlines(), start=1):
        if _ASKS.search(line.split("#", 1)[0]):
            yield (
                number,
                "error",
                "unattended",
                "asks a person, and nobody is there; use a parameter",
            )
