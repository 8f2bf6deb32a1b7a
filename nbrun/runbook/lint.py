"""Check a notebook for errors and risks as a runbook. Each rule is a small function."""

import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nbrun.errors import NbrunError
from nbrun.runbook import attached_cells, contract, loader, notebook
from nbrun.runbook.contract import ContractContext
from nbrun.runbook.includes import planning
from nbrun.runbook.includes.cells import IncludeFault, is_include
from nbrun.runbook.includes.values import BoundInclude
from nbrun.runbook.language_rules import unseen_failures
from nbrun.runbook.parameters import resolve
from nbrun.runbook.parameters.declarations import (
    Declarations,
    declarations_of,
    surplus_cells,
)
from nbrun.runbook.parameters.languages import PYTHON, language_name
from nbrun.runbook.parameters.resolve import ResolvedParameters
from nbrun.runbook.python_syntax import syntax_fault
from nbrun.runbook.secret_patterns import lines_with_secrets
from nbrun.runbook.text_formats.suffixes import is_text

Level = Literal["error", "warning"]
_CELL_MAGIC = re.compile(r"\s*%%(\S+)")
_PYTHON_MAGICS = ("time", "timeit", "capture", "prun", "debug")  # their cell is Python
_SHELLS = ("bash", "zsh", "sh", ".net-powershell")
_PLAIN_TAG = re.compile(r"[\w -]+")
_INPUT_CALL = re.compile(r"(?<![\w.])(?:input|getpass|getpass\.getpass)\s*\(")


@dataclass(frozen=True)
class Finding:
    """One problem that a rule found.

    Attributes:
        cell: counts from 1 in the file; None for the whole notebook.
        line: counts from 1, in the cell of a notebook or in the file of a text runbook; None for
            the whole cell or notebook.
        rule: the name of the rule.
        in_text: the file is a text runbook, whose cells have no numbers for people.
    """

    path: str
    cell: int | None
    line: int | None
    level: Level
    rule: str
    message: str
    in_text: bool = False

    def __str__(self) -> str:
        place = [self.path]
        place += [f"cell {self.cell}"] if self.cell and not self.in_text else []
        place += [f"line {self.line}"] if self.line else []
        return f"{', '.join(place)}: {self.level}: {self.message} [{self.rule}]"


@dataclass(frozen=True)
class _Subject:
    """A notebook to check.

    Attributes:
        cells: as nbrun reads them.
        raw: as they are in the file of a notebook, with their results.
        surplus: the numbers of the cells that are tagged as parameters in vain.
        ignored: notices of what the schema of notebooks does not allow.
        read: the notebook as a run reads it.
    """

    path: Path
    cells: list[dict[str, Any]]
    raw: list[Any]
    metadata: Mapping[str, Any]
    declarations: Declarations
    context: ContractContext
    surplus: list[int]
    ignored: tuple[str, ...]
    read: loader.Notebook

    @property
    def says_kernel(self) -> bool:
        """True if the file names a kernel, or is a text runbook that says its language."""
        if notebook.kernel_name(self.metadata) is not None:
            return True
        return is_text(self.path) and notebook.language(self.metadata) is not None

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
        own = _of_cell(subject, number, cell, unattended=unattended)
        found += [_in_cell(subject, number, each) for each in own]
    found += _of_language(subject)
    if not any(finding.rule == "contract" for finding in found):
        found += _of_includes(subject, defaults, unattended=unattended)
    return found


def _in_cell(subject: _Subject, number: int, found: "CellFinding") -> Finding:
    """Return what was found in the cell `number`, with the line of the file of a text runbook."""
    line, level, rule, message = found
    places = subject.read.places
    place = places.line(number, line)
    return Finding(str(subject.path), number, place, level, rule, message, bool(places.lines))


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
        raw=[] if is_text(path) else notebook.saved_cells(path, notebook.read_bytes(path)),
        metadata=metadata,
        declarations=declarations,
        context=ContractContext(merged, known, declarations.secrets),
        surplus=surplus_cells(read.node),
        ignored=read.ignored,
        read=read,
    )


# ── rules for the whole notebook ─────────────────────────────────────────────────────────────────


def _of_notebook(subject: _Subject) -> Iterator[Finding]:
    def whole(level: Level, rule: str, message: str) -> Finding:
        return Finding(str(subject.path), None, None, level, rule, message)

    for fault in contract.notebook_faults(subject.metadata):
        yield whole("error", "contract", fault)
    if not subject.says_kernel:
        message = "names no kernel: choose one in Jupyter, or start it with --kernel"
        yield whole("error", "kernel", message)
    for line, remark in subject.read.remarks:
        yield Finding(str(subject.path), None, line, "warning", "text", remark, in_text=True)
    for notice in subject.ignored:
        yield whole("warning", "schema", notice)
    outputs = sum(bool(isinstance(cell, dict) and cell.get("outputs")) for cell in subject.raw)
    if outputs:
        whose = f"{outputs} cells were" if outputs > 1 else "a cell was"
        message = f"{whose} saved with outputs, which may contain secrets: clear them"
        yield whole("warning", "output", message)
    counts = [cell.get("execution_count", cell.get("prompt_number")) for cell in subject.raw]
    run = [count for count in counts if isinstance(count, int)]
    if run != sorted(run):
        yield whole(
            "warning", "execution-count", "its cells were last run in another order: clear them"
        )
    for name in _unused(subject):
        yield whole("warning", "unused-parameter", f"no cell uses the parameter {name}")


def _of_includes(
    subject: _Subject, defaults: Mapping[str, Any], *, unattended: bool
) -> list[Finding]:
    """Return what is wrong with the includes, then with the steps as a whole.

    Then follows what is wrong in each file that is included, once.
    """
    bound, faults = planning.try_to_bind(subject.read, _any_parameters(subject))
    if faults:
        return [_include_fault(subject, fault) for fault in faults]
    found = _misplaced_cell(subject, bound, defaults)
    for path in dict.fromkeys(each.source.notebook.path for each in bound):
        inner = findings(path, defaults, unattended=unattended)
        found += [each for each in inner if each.rule != "kernel" and each not in found]
    return found


def _any_parameters(subject: _Subject) -> ResolvedParameters:
    """Return the parameters as they may be given to a run: none has a known value."""
    declared = subject.declarations
    names = frozenset(declared.parameters)
    return ResolvedParameters(declared, dict.fromkeys(names, "unknown"), declared.secrets, names)


def _include_fault(subject: _Subject, fault: IncludeFault) -> Finding:
    places = fault.places
    path = subject.path if places.path == subject.read.path else places.path
    line = places.line(fault.number, None)
    is_text = bool(places.lines)
    return Finding(str(path), fault.number, line, "error", "include", fault.message, is_text)


def _misplaced_cell(
    subject: _Subject, included: Collection[BoundInclude], defaults: Mapping[str, Any]
) -> list[Finding]:
    """Return the first check or undo that has no step, or can't have the one that it names."""
    try:
        books = planning.books(subject.read.node, included, defaults)
        loader.plan(subject.read, subject.context, books)
    except NbrunError as error:
        message = str(error).removeprefix(str(subject.path)).lstrip(":, ")
        return [Finding(str(subject.path), None, None, "error", "contract", message)]
    return []


def _of_language(subject: _Subject) -> Iterator[Finding]:
    """Find code whose failure the notebook's kernel does not report."""
    numbers = [n for n, cell in enumerate(subject.cells, 1) if cell["cell_type"] == "code"]
    sources = [subject.cells[number - 1]["source"] for number in numbers]
    for index, line, message in unseen_failures(sources, subject.declarations.language):
        yield _in_cell(subject, numbers[index], (line, "warning", "unseen-failure", message))


def _unused(subject: _Subject) -> list[str]:
    """Return the declared parameters whose names are words of no other code cell."""
    rest = [
        cell["source"]
        for cell in subject.cells
        if cell["cell_type"] == "code" and "parameters" not in cell["metadata"].get("tags", ())
    ]
    rest += [str(cell["metadata"]["nbrun"]) for cell in subject.cells if is_include(cell)]
    words = set(re.findall(r"[^\W\d]\w*", "\n".join(rest)))
    return [name for name in subject.declarations.parameters if name not in words]


# ── rules for a cell ─────────────────────────────────────────────────────────────────────────────

CellFinding = tuple[int | None, Level, str, str]  # line, level, rule, message


def _of_cell(
    subject: _Subject, number: int, cell: dict[str, Any], *, unattended: bool
) -> Iterator[CellFinding]:
    metadata, source = cell["metadata"], cell["source"]
    is_step = not attached_cells.is_attached(cell)
    for fault in _contract_faults(subject, cell):
        yield None, "error", "contract", fault
    yield from _tags(metadata)
    yield from _secrets(subject, cell)
    if number in subject.surplus:
        message = "tagged as parameters like a cell before it, and not read: keep one such cell"
        yield None, "warning", "parameters", message
    if cell["cell_type"] != "code":
        return
    impact = metadata.get("nbrun", {}).get("impact", subject.context.defaults.get("impact"))
    asked = {"confirm", "type"} & {*metadata.get("nbrun", {})} or "confirm" in _tags_of(metadata)
    if impact == "destructive" and not asked and "check" not in _tags_of(metadata):
        yield (
            None,
            "warning",
            "destructive",
            "its impact is destructive, and it does not ask: add confirm",
        )
    invalid = syntax_fault(source) if subject.is_python else None
    if invalid is not None:
        line, message = invalid
        yield line, "error", "syntax", message
    if unattended:
        yield from _input_calls(source)
        if asked and is_step:
            yield None, "warning", "unattended", "it asks for confirmation: the run needs --yes"


def _contract_faults(subject: _Subject, cell: Mapping[str, Any]) -> Iterator[str]:
    if is_include(cell):
        return iter(())  # `_of_includes` checks it
    if attached_cells.is_attached(cell):
        return attached_cells.faults(cell, subject.context)
    return contract.faults(cell["cell_type"], cell["metadata"], subject.context)


def _tags_of(metadata: Mapping[str, Any]) -> list[str]:
    return list(metadata.get("tags", ()))


def _tags(metadata: Mapping[str, Any]) -> Iterator[CellFinding]:
    """Find tags that are almost one of nbrun's: a misspelled tag has no effect."""
    for tag in _tags_of(metadata):
        if not _PLAIN_TAG.fullmatch(tag):  # another tool's, such as `vcp:parameters`
            continue
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


def _secrets(subject: _Subject, cell: Mapping[str, Any]) -> Iterator[CellFinding]:
    for number in lines_with_secrets(cell["source"], shell=_is_shell(subject, cell)):
        yield number, "error", "secret", "looks like a secret: make it a secret parameter"


def _is_shell(subject: _Subject, cell: Mapping[str, Any]) -> bool:
    magic = _CELL_MAGIC.match(cell["source"])
    is_shell_language = subject.declarations.language in _SHELLS
    return (
        cell["cell_type"] != "code"
        or is_shell_language
        or (magic is not None and magic[1] not in _PYTHON_MAGICS)
    )


def _input_calls(source: str) -> Iterator[CellFinding]:
    for number, line in enumerate(source.splitlines(), start=1):
        if _INPUT_CALL.search(line.split("#", 1)[0]):
            yield (
                number,
                "error",
                "unattended",
                "asks a person, and an unattended run has none: use a parameter",
            )
