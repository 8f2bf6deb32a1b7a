"""Check a notebook for errors and risks as a runbook. Each rule is a small function."""

import ast
import difflib
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nbrun.errors import NbrunError
from nbrun.runbook import contract, loader, notebook
from nbrun.runbook.contract import ContractContext
from nbrun.runbook.parameters import resolve
from nbrun.runbook.parameters.declarations import (
    Declarations,
    declarations_of,
    surplus_cells,
)
from nbrun.runbook.parameters.languages import PYTHON, language_name

Level = Literal["error", "warning"]
_MAGIC = re.compile(
    r"""^([ \t]*)(?:(?:[\w.\[\]"', ]+=[ \t]*)?[%!](?:.*\\\n)*.*|.*\?\??[ \t]*)$""", re.MULTILINE
)
_INPUT_CALL = re.compile(r"(?<![\w.])(?:input|getpass|getpass\.getpass)\s*\(")
# Tokens and keys in the form in which providers issue them
_TOKENS = re.compile(
    r"AKIA[0-9A-Z]{16}|gh[pousr]_\w{36,}|xox[abprs]-[\w-]{10,}|glpat-[\w-]{20,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----|\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]+"
)
# A variable that is named like a secret, with text assigned to it
_NAMED_SECRET = re.compile(
    r"(?i)\b\w*(?:password|passwd|secret|token|api_?key|private_?key)\w*\s*(?::\s*\w+\s*)?=\s*"
    r"[rbuf]?([\"'])(?P<value>[^\"'\n]{6,})\1"
)
_PLACEHOLDER = re.compile(
    r"(?i)^(?:<.*>|\{.*\}|\$.*|x+|\*+|.*(?:example|changeme|placeholder|todo).*)$"
)


@dataclass(frozen=True)
class Finding:
    """One problem that a rule found.

    Attributes:
        cell: counts from 1 in the file; None for the whole notebook.
        line: counts from 1 in the cell; None for the whole cell.
        rule: the name of the rule.
    """

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
class _Subject:
    """A notebook to check.

    Attributes:
        cells: as nbrun reads them.
        raw: as they are in the file.
        surplus: the numbers of the cells that are tagged as parameters in vain.
        ignored: notices of what the schema of notebooks does not allow.
    """

    path: Path
    cells: list[dict[str, Any]]
    raw: list[Any]
    metadata: Mapping[str, Any]
    declarations: Declarations
    context: ContractContext
    surplus: list[int]
    ignored: tuple[str, ...]

    @property
    def is_python(self) -> bool:
        return self.declarations.language in PYTHON


def findings(path: Path, defaults: Mapping[str, Any], *, unattended: bool) -> list[Finding]:
    """Return the findings in the notebook at `path`: those of the whole, then those of each cell.

    `defaults`: the contract defaults of nbrun.toml. `unattended`: no person will answer a cell.
    """
    try:
        subject = _load(path, defaults)
    except NbrunError as error:
        message = str(error).removeprefix(str(path)).lstrip(":, ")
        return [Finding(str(path), None, None, "error", "notebook", message)]
    found = [*_of_notebook(subject)]
    for number, cell in enumerate(subject.cells, start=1):
        for line, level, rule, message in _of_cell(subject, number, cell, unattended=unattended):
            found.append(Finding(str(path), number, line, level, rule, message))
    return found


def _load(path: Path, defaults: Mapping[str, Any]) -> _Subject:
    """Read the notebook as a run does.

    Raises:
        NbrunError: a run would refuse the notebook, or the schema of its parameters.
    """
    read = loader.read(path)
    metadata = read.metadata
    language = language_name(notebook.kernel_name(metadata), notebook.language(metadata))
    declarations = declarations_of(read.node, language)
    resolve.check_defaults(declarations)
    own = metadata.get("nbrun", {}).get("defaults", {})
    # A question may name any declared parameter: the operator can give its value.
    known = dict.fromkeys(declarations.parameters, "") | declarations.literal_defaults()
    merged = {**defaults, **(own if isinstance(own, dict) else {})}
    return _Subject(
        path=path,
        cells=read.node["cells"],
        raw=notebook.saved_cells(path, notebook.read_bytes(path)),
        metadata=metadata,
        declarations=declarations,
        context=ContractContext(merged, known, declarations.secrets),
        surplus=surplus_cells(read.node),
        ignored=read.ignored,
    )


# ── rules for the whole notebook ─────────────────────────────────────────────────────────────────


def _of_notebook(subject: _Subject) -> Iterator[Finding]:
    def whole(level: Level, rule: str, message: str) -> Finding:
        return Finding(str(subject.path), None, None, level, rule, message)

    for fault in contract.notebook_faults(subject.metadata):
        yield whole("error", "contract", fault)
    if notebook.kernel_name(subject.metadata) is None:
        message = "names no kernel: choose one in Jupyter, or start it with --kernel"
        yield whole("error", "kernel", message)
    for notice in subject.ignored:
        yield whole("warning", "schema", notice)
    counts = [cell.get("execution_count", cell.get("prompt_number")) for cell in subject.raw]
    run = [count for count in counts if isinstance(count, int)]
    if run != sorted(run):
        yield whole(
            "warning", "execution-count", "its cells were last run in another order: clear them"
        )
    for name in _unused(subject):
        yield whole("warning", "unused-parameter", f"no cell uses the parameter {name}")


def _unused(subject: _Subject) -> list[str]:
    """Return the declared parameters whose names are words of no other code cell."""
    rest = [
        cell["source"]
        for cell in subject.cells
        if cell["cell_type"] == "code" and "parameters" not in cell["metadata"].get("tags", ())
    ]
    words = set(re.findall(r"[^\W\d]\w*", "\n".join(rest)))
    return [name for name in subject.declarations.parameters if name not in words]


# ── rules for a cell ─────────────────────────────────────────────────────────────────────────────

CellFinding = tuple[int | None, Level, str, str]  # line, level, rule, message


def _of_cell(
    subject: _Subject, number: int, cell: dict[str, Any], *, unattended: bool
) -> Iterator[CellFinding]:
    metadata, source = cell["metadata"], cell["source"]
    for fault in contract.faults(cell["cell_type"], metadata, subject.context):
        yield None, "error", "contract", fault
    yield from _tags(metadata)
    yield from _secrets(source)
    if number in subject.surplus:
        message = "tagged as parameters like a cell before it, and not read: keep one such cell"
        yield None, "warning", "parameters", message
    if cell["cell_type"] != "code":
        return
    yield from _saved_outputs(subject.raw[number - 1])
    impact = metadata.get("nbrun", {}).get("impact", subject.context.defaults.get("impact"))
    asked = {"confirm", "type"} & {*metadata.get("nbrun", {})} or "confirm" in _tags_of(metadata)
    if impact == "destructive" and not asked:
        yield (
            None,
            "warning",
            "destructive",
            "its impact is destructive, and it does not ask: add confirm",
        )
    if subject.is_python:
        yield from _syntax(source)
    if unattended:
        yield from _input_calls(source)
        if asked:
            yield None, "warning", "unattended", "it asks for confirmation: the run needs --yes"


def _tags_of(metadata: Mapping[str, Any]) -> list[str]:
    return list(metadata.get("tags", ()))


def _tags(metadata: Mapping[str, Any]) -> Iterator[CellFinding]:
    """Find tags that are almost one of nbrun's: a misspelled tag has no effect."""
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
                f"the tag {tag!r} has no effect; did you mean {near[0]!r}?",
            )


def _saved_outputs(raw: Any) -> Iterator[CellFinding]:
    if isinstance(raw, dict) and raw.get("outputs"):
        yield (
            None,
            "warning",
            "output",
            "it was saved with outputs, which may contain secrets: clear them",
        )


def _secrets(source: str) -> Iterator[CellFinding]:
    for number, line in enumerate(source.splitlines(), start=1):
        named = _NAMED_SECRET.search(line)
        if _TOKENS.search(line) or (named and not _PLACEHOLDER.match(named["value"])):
            yield number, "error", "secret", "looks like a secret: make it a secret parameter"


def _syntax(source: str) -> Iterator[CellFinding]:
    """Find Python that does not parse after IPython's magics are replaced by `pass`."""
    if source.lstrip().startswith("%%"):
        return
    without = _MAGIC.sub(lambda magic: magic[1] + "pass" + "\n" * magic[0].count("\n"), source)
    if _parse_error(source) is None:
        return
    error = _parse_error(without)
    if isinstance(error, SyntaxError):
        yield error.lineno, "error", "syntax", f"not valid Python: {error.msg}"
    elif error is not None:
        yield None, "error", "syntax", f"can't be parsed as Python: {error}"


def _parse_error(source: str) -> Exception | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(source, "cell", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return error
    return None


def _input_calls(source: str) -> Iterator[CellFinding]:
    for number, line in enumerate(source.splitlines(), start=1):
        if _INPUT_CALL.search(line.split("#", 1)[0]):
            yield (
                number,
                "error",
                "unattended",
                "asks a person, and an unattended run has none: use a parameter",
            )
