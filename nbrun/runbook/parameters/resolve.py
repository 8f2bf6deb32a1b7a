"""Typed parameters: what a notebook declares, what it is given, and the cell that gives it.

The only importer of papermill.
"""

import ast
import difflib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any

from nbrun.core.secret_encodings import secret_fault
from nbrun.errors import ParameterError
from nbrun.runbook.parameters.declarations import Parameter, in_lines, in_python
from nbrun.runbook.parameters.languages import PYTHON, check_form, refuse_shells_own, tongue
from nbrun.runbook.parameters.literals import DIALECTS, literal
from nbrun.runbook.parameters.schema import fault, in_metadata, is_closed
from nbrun.runbook.parameters.types import Given, as_text, from_text, of_type, refuse_unsafe
from nbrun.runbook.parameters.yaml_file import read_file

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = [
    "Given",
    "Parameter",
    "as_text",
    "declared",
    "inject",
    "known_values",
    "missing",
    "read_file",
    "refuse_missing",
    "refuse_unrecordable",
    "resolve",
    "spellings",
    "value_of",
]

_CELL_ID = "injected-parameters"


def declared(
    node: Mapping[str, Any], language: str | None, kernel_name: str | None = None
) -> dict[str, Parameter]:
    """The parameters of a notebook, by name: those of the schema in its metadata, then those that
    only its first code cell tagged `parameters` assigns, unless the schema takes no others.

    RunbookError when the schema is none.
    """
    in_cell = _in_cell(node, tongue(kernel_name, language))
    in_schema = in_metadata(node.get("metadata", {}))
    both = {
        name: _with_default(each, in_cell[name]) if name in in_cell else each
        for name, each in in_schema.items()
    }
    if is_closed(node.get("metadata", {})):
        return both
    return both | {name: each for name, each in in_cell.items() if name not in both}


def _with_default(parameter: Parameter, in_cell: Parameter) -> Parameter:
    told = parameter.help or in_cell.help
    return replace(parameter, default=in_cell.default, help=told)


def _in_cell(node: Mapping[str, Any], spoken: str) -> dict[str, Parameter]:
    for cell in node["cells"]:
        if cell["cell_type"] == "code" and "parameters" in cell["metadata"].get("tags", ()):
            source = cell["source"]
            return in_python(source) if spoken in PYTHON else in_lines(source, spoken)
    return {}


def resolve(
    declared: Mapping[str, Parameter],
    given: Mapping[str, Given],
    *,
    language: str | None,
    undeclared: bool,
) -> dict[str, Any]:
    """The values to inject, of the declared types: what was given, and the schema's defaults.

    A name that is not declared is refused, or with `undeclared` taken with its value as written.
    Values are JSON's types, exact in 64 bits. ParameterError names parameter, value and origin.
    """
    spoken = tongue(None, language)
    for name, value in given.items():
        try:
            check_form(name, spoken)
            _check_declared(name, declared, spoken, free=undeclared)
        except ParameterError as error:
            raise ParameterError(f"{_label(name, value)}: {error}") from None
    defaults = {name: each for name, each in _defaults(declared) if name not in given}
    values = {name: _fitting(name, each, declared[name]) for name, each in defaults.items()}
    values |= {name: value_of(name, each, declared.get(name)) for name, each in given.items()}
    in_order = [*(name for name in declared if name in values), *values]
    return {name: values[name] for name in in_order}


def _defaults(declared: Mapping[str, Parameter]) -> Iterator[tuple[str, Given]]:
    for name, parameter in declared.items():
        if "default" in parameter.schema:
            yield name, Given(parameter.schema["default"], None, "the schema's default")


def missing(declared: Mapping[str, Parameter], given: Mapping[str, Given]) -> list[Parameter]:
    """The parameters that must be given and were not."""
    return [each for name, each in declared.items() if each.required and name not in given]


def refuse_missing(missing: Sequence[Parameter]) -> None:
    """ParameterError that names them, if there are any."""
    if missing:
        names = ", ".join(each.name for each in missing)
        raise ParameterError(
            f"the runbook requires {names}: give each with -p NAME=VALUE (see --help-parameters)"
        )


def refuse_unrecordable(name: str, given: Given) -> None:
    """ParameterError when neither a record nor a message could hold what was given exactly."""
    try:
        refuse_unsafe(given.value)
    except ParameterError as error:
        raise ParameterError(f"{_label(name, given)}: {error}") from None


def value_of(name: str, given: Given, parameter: Parameter | None) -> Any:
    """Return the value that `given` is for a parameter: of its type, as its schema allows, and
    long enough to be redacted if it is secret.

    Raises:
        ParameterError: `given` is refused. The message names the parameter, the origin, and a
            value that is not secret.
    """
    parameter = parameter or Parameter(name, "any")
    value = _fitting(name, given, parameter)
    problem = secret_fault(value) if given.secret or parameter.secret else None
    if problem is not None:
        raise ParameterError(f"{_label(name, given)}: {problem}")
    return value


def _fitting(name: str, given: Given, parameter: Parameter) -> Any:
    secret = given.secret or parameter.secret
    try:
        value = _typed(given, parameter)
        why_not = fault(replace(parameter, secret=secret), value)
        if why_not is not None:
            raise ParameterError(why_not)
    except ParameterError as error:
        shown = "" if secret else f"{_short(given.value if given.text is None else given.text)}: "
        raise ParameterError(f"{_label(name, given)}: {shown}{error}") from None
    return value


def known_values(
    declared: Mapping[str, Parameter], values: Mapping[str, Any], spoken: str | None
) -> dict[str, Any]:
    """What is known of the parameters before anything runs: what is given, and in Python the
    defaults that are plain values."""
    known = {}
    for name, parameter in declared.items() if tongue(None, spoken) in PYTHON else ():
        with suppress(ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            known[name] = json.loads(json.dumps(ast.literal_eval(parameter.default)))
    return known | dict(values)


def inject(
    node: dict[str, Any], values: Mapping[str, Any], kernel_name: str | None, language: str | None
) -> dict[str, Any]:
    """The notebook `node` with papermill's cell of assignments after its `parameters` cell, and
    without what papermill has left in its metadata. It shares the other cells with `node`, which
    stays as it is; without values it is `node`.

    ParameterError when the language can't be given such a value.
    """
    if not values:
        return node
    spoken = tongue(kernel_name, language)
    for name, value in values.items():
        _check_writable(name, value, spoken)
    cells = _parameterized(node["cells"], dict(values), spoken)
    return {**_without_papermill(node), "cells": [_without_papermill(cell) for cell in cells]}


def spellings(
    values: Mapping[str, Any], kernel_name: str | None, language: str | None
) -> dict[str, str]:
    """How the injected cell writes each value."""
    from papermill.translators import papermill_translators

    spoken = tongue(kernel_name, language)
    name = _registered(spoken)
    translator = papermill_translators.find_translator(name, spoken)
    return {each: str(translator.translate(value)) for each, value in values.items()}


def _check_declared(
    name: str, declared: Mapping[str, Parameter], spoken: str, *, free: bool
) -> None:
    if name in declared:
        return
    if free:
        refuse_shells_own(name, spoken)
        return
    if not declared:
        raise ParameterError("this notebook declares no parameters; to set it anyway: --undeclared")
    near = difflib.get_close_matches(name, declared, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ParameterError(f"is not declared; {hint}the notebook declares {', '.join(declared)}")


def _typed(given: Given, parameter: Parameter) -> Any:
    choice = _choice(given, parameter)
    if choice is not None:
        return choice
    if given.value is None and parameter.optional:
        return None
    if given.value is None and parameter.type != "any":
        raise ParameterError(f"null where a {parameter.type} is expected; quote it if it is text")
    if given.text is None or parameter.type == "any":
        return of_type(given.value, parameter.type)
    return from_text(given.text, parameter.type)


def _choice(given: Given, parameter: Parameter) -> Any:
    """The value of a mixed list of choices that the text spells in JSON; None when none."""
    if given.text is None or parameter.type != "any":
        return None
    spelled = (each for each in parameter.choices if not isinstance(each, str))
    return next((each for each in spelled if json.dumps(each) == given.text), None)


def _label(name: str, given: Given) -> str:
    return f"parameter {name!r} ({given.where})"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:79] + "…"


def _check_writable(name: str, value: Any, spoken: str) -> None:
    """What `resolve` gives passes, unless the language lacks such a value."""
    try:
        check_form(name, spoken)
        refuse_unsafe(value)
        if spoken in DIALECTS:
            literal(DIALECTS[spoken], value)
        elif spoken not in PYTHON:
            raise ParameterError(f"nbrun can't write parameters in the language {spoken!r}")
    except ParameterError as error:
        raise ParameterError(f"parameter {name!r}: {error}") from None


def _without_papermill(has_metadata: dict[str, Any]) -> dict[str, Any]:
    metadata = has_metadata["metadata"]
    if "papermill" not in metadata:
        return has_metadata
    kept = {key: value for key, value in metadata.items() if key != "papermill"}
    return {**has_metadata, "metadata": kept}


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
    cells: list[dict[str, Any]], values: dict[str, Any], spoken: str
) -> list[dict[str, Any]]:
    """`cells` with papermill's among them. It looks for tags alone, so that it is given the cells
    up to the last one with a tag that it knows, and of these nothing else."""
    tags = [_papermills_tags(cell) for cell in cells]
    upto = 1 + max((place for place, own in enumerate(tags) if own), default=-1)
    shown = [_shown_to_papermill(own) for own in tags[:upto]]
    places = {id(cell): place for place, cell in enumerate(shown)}
    made = _papermills(shown, values, spoken)
    kept = [cells[places[id(cell)]] if id(cell) in places else None for cell in made]
    injected = next(cell for cell in made if id(cell) not in places)
    taken = {cell.get("id") for cell in (*kept, *cells[upto:]) if cell is not None}
    ids = (_CELL_ID if n == 1 else f"{_CELL_ID}-{n}" for n in count(1))
    own = {
        **injected,
        "id": next(each for each in ids if each not in taken),
        "metadata": dict(injected["metadata"]),
    }
    return [*(own if cell is None else cell for cell in kept), *cells[upto:]]


def _papermills_tags(cell: dict[str, Any]) -> list[str]:
    """Those that it looks for: it would put its cell after a tagged Markdown cell, too."""
    tags = cell["metadata"].get("tags", []) if cell["cell_type"] == "code" else []
    return [tag for tag in tags if tag in ("parameters", "injected-parameters")]


def _shown_to_papermill(tags: list[str]) -> dict[str, Any]:
    """A cell with what papermill.iorw.load_notebook_node adds."""
    return _nbformats({"cell_type": "code", "metadata": {"tags": tags, "papermill": {}}})


def _papermills(
    cells: list[dict[str, Any]], values: dict[str, Any], spoken: str
) -> list[dict[str, Any]]:
    """`cells`, the same objects, with the new one among them, perhaps in place of an old one."""
    from papermill.parameterize import parameterize_notebook

    node = _nbformats({"nbformat": 4, "nbformat_minor": 5, "metadata": {"papermill": {}}})
    node["cells"] = cells
    kernel_name = _registered(spoken)
    with _quiet():
        node = parameterize_notebook(node, values, kernel_name=kernel_name, language=spoken)
    made: list[dict[str, Any]] = node["cells"]
    return made


def _nbformats(document: dict[str, Any]) -> dict[str, Any]:
    """With the attributes by which papermill asks."""
    import nbformat

    node: NotebookNode = nbformat.from_dict(document)  # type: ignore[no-untyped-call]
    return node


def _registered(spoken: str) -> str:
    """The name of papermill's translator for the language, with nbrun's literals in it."""
    from papermill.translators import papermill_translators

    if spoken in PYTHON:
        return spoken
    dialect = DIALECTS[spoken]
    base = papermill_translators.find_translator(spoken, spoken)
    translate = classmethod(lambda _cls, value: literal(dialect, value))
    name = f"nbrun-{spoken}"
    papermill_translators.register(name, type("Translator", (base,), {"translate": translate}))
    return name
