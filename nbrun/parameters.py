"""Typed parameters: what a notebook declares, what it is given, and the cell that gives it.

The only importer of papermill.
"""

import copy
import difflib
import keyword
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

from nbrun.errors import ParameterError
from nbrun.parameter_defaults import Parameter, in_lines, in_python
from nbrun.parameter_file import FileValue, read_file
from nbrun.parameter_literals import DIALECTS, literal
from nbrun.parameter_types import from_text, of_type, refuse_unsafe

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = [
    "FileValue",
    "Parameter",
    "declared",
    "inject",
    "parse_assignments",
    "read_file",
    "resolve",
]

_PYTHON = ("python", "pysparkkernel")
_ALIASES = {
    "ipython": "python",
    "r": "R",
    "c#": ".net-csharp",
    "f#": ".net-fsharp",
    "powershell": ".net-powershell",
    "pwsh": ".net-powershell",
}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_R_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._]*")
# bash runs or obeys what these hold, so only a runbook that declares one may be given it
_BASH_OWN = re.compile(r"PROMPT_COMMAND|PS[0-4]|ENV|PATH|IFS|SHELLOPTS|BASH.*|LD_.*")
_CELL_ID = "injected-parameters"


def declared(
    node: "NotebookNode", language: str | None, kernel_name: str | None = None
) -> dict[str, Parameter]:
    """The parameters of the first code cell tagged `parameters`, by name, in its order."""
    for cell in node.cells:
        if cell.cell_type == "code" and "parameters" in cell.metadata.get("tags", ()):
            tongue = _tongue(kernel_name, language)
            return in_python(cell.source) if tongue in _PYTHON else in_lines(cell.source, tongue)
    return {}


def parse_assignments(assignments: Sequence[str]) -> dict[str, str]:
    """`["name=text"]` by name; the first `=` divides. ParameterError when one has no such form."""
    found: dict[str, str] = {}
    for assignment in assignments:
        name, divider, text = assignment.partition("=")
        if not divider or not name:
            raise ParameterError(f"-p {assignment!r}: expected name=value, such as -p host=db1")
        if name in found:
            raise ParameterError(f"parameter {name!r} (-p): given twice; keep one")
        found[name] = text
    return found


def resolve(
    declared: Mapping[str, Parameter],
    assignments: Mapping[str, str],
    file_values: Mapping[str, FileValue],
    *,
    language: str | None,
    undeclared: bool,
) -> dict[str, Any]:
    """The values to inject, of the declared types; `assignments` (-p) go before `file_values`.

    A name that is not declared is refused, or with `undeclared` taken with its value as written.
    Values are JSON's types, exact in 64 bits. ParameterError names parameter, value and origin.
    """
    given: dict[str, str | FileValue] = {**file_values, **assignments}
    tongue = _tongue(None, language)
    for name, value in given.items():
        try:
            _check_form(name, tongue)
            _check_declared(name, declared, tongue, free=undeclared)
        except ParameterError as error:
            raise ParameterError(f"{_label(name, value)}: {error}") from None
    return {name: _converted(name, value, declared.get(name)) for name, value in given.items()}


def inject(
    node: "NotebookNode", values: Mapping[str, Any], kernel_name: str | None, language: str | None
) -> "NotebookNode":
    """A copy of `node` with papermill's cell of assignments after its `parameters` cell.

    Without values, an equal copy. ParameterError when the language can't be given such a value.
    """
    node = copy.deepcopy(node)
    if not values:
        return node
    tongue = _tongue(kernel_name, language)
    for name, value in values.items():
        _check_writable(name, value, tongue)
    cells = list(node.cells)
    with _papermills_metadata(node, cells), _quiet():
        return _parameterized(node, cells, dict(values), tongue)


def _tongue(kernel_name: str | None, language: str | None) -> str:
    """The name that papermill knows the language by: the kernel's comes first, as in papermill.

    Python where nothing is said; what nobody knows is given back as it is.
    """
    for name in (kernel_name, language):
        known = _ALIASES.get((name or "").lower(), (name or "").lower())
        if known in DIALECTS or known in _PYTHON:
            return known
    if language is None and (kernel_name or "python").startswith("python"):
        return "python"
    return language or kernel_name or ""


def _origin(given: str | FileValue) -> str:
    return "-p" if isinstance(given, str) else given.where


def _check_form(name: str, tongue: str) -> None:
    if tongue in _PYTHON:
        dunder = name.startswith("__") and name.endswith("__")
        good = name.isidentifier() and not keyword.iskeyword(name) and not dunder
    else:
        good = bool((_R_NAME if DIALECTS.get(tongue) is DIALECTS["R"] else _NAME).fullmatch(name))
    if not good:
        raise ParameterError(f"is no name for a parameter in {tongue or 'this language'}")


def _check_declared(
    name: str, declared: Mapping[str, Parameter], tongue: str, *, free: bool
) -> None:
    if name in declared:
        return
    if free and tongue == "bash" and _BASH_OWN.fullmatch(name):
        raise ParameterError(
            "bash itself acts on it: it can be set only where the notebook declares it"
        )
    if free:
        return
    if not declared:
        raise ParameterError("this notebook declares no parameters; to set it anyway: --undeclared")
    near = difflib.get_close_matches(name, declared, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ParameterError(f"is not declared; {hint}the notebook declares {', '.join(declared)}")


def _converted(name: str, given: str | FileValue, parameter: Parameter | None) -> Any:
    parameter = parameter or Parameter(name, "any")
    try:
        if isinstance(given, str):
            return from_text(given, parameter.type)
        return _from_file(given, parameter)
    except ParameterError as error:
        shown = (
            given if isinstance(given, str) else given.value if given.text is None else given.text
        )
        raise ParameterError(f"{_label(name, given)}: {_short(shown)}: {error}") from None


def _from_file(given: FileValue, parameter: Parameter) -> Any:
    if given.value is None and parameter.optional:
        return None
    if given.value is None and parameter.type != "any":
        raise ParameterError(f"null where a {parameter.type} is expected; quote it if it is text")
    if given.text is None or parameter.type == "any":
        return of_type(given.value, parameter.type)
    return from_text(given.text, parameter.type)


def _label(name: str, given: str | FileValue) -> str:
    return f"parameter {name!r} ({_origin(given)})"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:79] + "…"


def _check_writable(name: str, value: Any, tongue: str) -> None:
    """What `resolve` gives passes, unless the language lacks such a value."""
    try:
        _check_form(name, tongue)
        refuse_unsafe(value)
        if tongue in DIALECTS:
            literal(DIALECTS[tongue], value)
        elif tongue not in _PYTHON:
            raise ParameterError(f"nbrun can't write parameters in the language {tongue!r}")
    except ParameterError as error:
        raise ParameterError(f"parameter {name!r}: {error}") from None


@contextmanager
def _papermills_metadata(node: Any, cells: list[Any]) -> Iterator[None]:
    """Give `node` what papermill.iorw.load_notebook_node adds, for as long as papermill has it.

    Only code cells show their tags: papermill would put its cell after a tagged Markdown cell.
    """
    whole, own = node.metadata, [cell.metadata for cell in cells]
    node["metadata"] = {"papermill": {}}
    for cell in cells:
        tags = cell.metadata.get("tags", []) if cell.cell_type == "code" else []
        cell["metadata"] = {"tags": list(tags), "papermill": {}}
    yield
    node["metadata"] = whole
    for cell, metadata in zip(cells, own, strict=True):
        cell["metadata"] = metadata
    for metadata in (whole, *own):
        metadata.pop("papermill", None)


@contextmanager
def _quiet() -> Iterator[None]:
    """papermill warns when no cell is tagged `parameters`: the operator knows by then."""
    logger = logging.getLogger("papermill")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _parameterized(
    node: Any, cells: list[Any], values: dict[str, Any], tongue: str
) -> "NotebookNode":
    from papermill.parameterize import parameterize_notebook

    kernel_name = _registered(tongue)
    node = parameterize_notebook(node, values, kernel_name=kernel_name, language=tongue)
    injected = next(cell for cell in node.cells if not any(cell is old for old in cells))
    taken = {cell.get("id") for cell in node.cells}
    ids = (_CELL_ID if n == 1 else f"{_CELL_ID}-{n}" for n in count(1))
    injected["id"] = next(each for each in ids if each not in taken)
    parameterized: NotebookNode = node
    return parameterized


def _registered(tongue: str) -> str:
    """The name of papermill's translator for the language, with nbrun's literals in it."""
    from papermill.translators import papermill_translators

    if tongue in _PYTHON:
        return tongue
    dialect = DIALECTS[tongue]
    base = papermill_translators.find_translator(tongue, tongue)
    translate = classmethod(lambda _cls, value: literal(dialect, value))
    name = f"nbrun-{tongue}"
    papermill_translators.register(name, type("Translator", (base,), {"translate": translate}))
    return name
