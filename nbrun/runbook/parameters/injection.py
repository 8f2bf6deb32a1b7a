"""Insert the cell that assigns a run's parameter values. The only importer of papermill.

What papermill does here: it decides where the new cell goes (after the cell tagged `parameters`, or
in place of an earlier injected one), tags it `injected-parameters`, and writes each assignment in
the syntax of the notebook's language, with a translator from its registry.

What papermill does not do here:

- It does not read which parameters exist. Its `inspect_notebook` skips a line that has two `=`
  (`url = 'http://h/?a=1'`) and knows only Python. `cell_declarations` reads the cell instead.
- It does not write the values of languages other than Python. Its translators let a value run code
  (Julia and PowerShell read `$(...)` in their strings) or garble text that is not ASCII. Subclasses
  of its translators with the literals of `literals` are registered and used instead. For JavaScript
  and TypeScript, it has no translator.

Importing papermill takes about 370 ms, so the functions import it, and only if there are values.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import count
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from nbrun.errors import ParameterError
from nbrun.runbook.parameters.declarations import declarations_of
from nbrun.runbook.parameters.languages import PYTHON, check_name
from nbrun.runbook.parameters.literals import DIALECTS, literal
from nbrun.runbook.parameters.types import refuse_unsafe

if TYPE_CHECKING:
    from nbformat import NotebookNode

_CELL_ID = "injected-parameters"
_PAPERMILL_TAGS = ("parameters", "injected-parameters")


def inject(node: dict[str, Any], values: Mapping[str, Any], language: str) -> dict[str, Any]:
    """Return the notebook `node` with a cell that assigns `values`, written in `language`.

    The result lacks papermill's metadata of an earlier execution. It shares the other cells with
    `node`, which does not change. Without values, the result is `node` itself.

    Raises:
        ParameterError: the language can't express a value.
    """
    if not values:
        return node
    for name, value in values.items():
        _check_assignment(name, value, language)
    declared = declarations_of(node, language).parameters if language not in PYTHON else {}
    keywords = {name: each.keyword for name, each in declared.items()}
    cells = _parameterized(node["cells"], dict(values), language, keywords)
    return {**_without_papermill(node), "cells": [_without_papermill(cell) for cell in cells]}


def source_literals(values: Mapping[str, Any], language: str) -> dict[str, str]:
    """Return the literal of each value, by name, as the injected cell has it."""
    if not values:
        return {}
    from papermill.translators import papermill_translators

    translator = papermill_translators.find_translator(_translator_name(language), language)
    return {name: str(translator.translate(value)) for name, value in values.items()}


def _check_assignment(name: str, value: Any, language: str) -> None:
    """Raise ParameterError if `name = value` can't be written safely.

    `resolve` has checked the names and values of a new run. Those of a resumed run come from its
    record, so they are checked here, before they become code.
    """
    try:
        check_name(name, language)
        refuse_unsafe(value)
        if language in DIALECTS:
            literal(DIALECTS[language], value)
        elif language not in PYTHON:
            raise ParameterError(f"nbrun can't write parameters in the language {language!r}")
    except ParameterError as error:
        raise ParameterError(f"parameter {name!r}: {error}") from None


def _without_papermill(node: dict[str, Any]) -> dict[str, Any]:
    """Return a notebook or a cell without papermill's metadata."""
    metadata = node["metadata"]
    if "papermill" not in metadata:
        return node
    others = {key: value for key, value in metadata.items() if key != "papermill"}
    return {**node, "metadata": others}


def _parameterized(
    cells: list[dict[str, Any]],
    values: dict[str, Any],
    language: str,
    keywords: Mapping[str, str],
) -> list[dict[str, Any]]:
    """Return `cells` with the injected cell in the place that papermill chooses.

    papermill looks at tags only and needs nbformat's nodes, which are large. So it gets stand-ins
    with the tags alone, for the cells up to the last one that has a tag of papermill's.
    """
    tags = [_papermill_tags(cell) for cell in cells]
    end = 1 + max((index for index, found in enumerate(tags) if found), default=-1)
    stand_ins = [_stand_in(found) for found in tags[:end]]
    indexes = {id(cell): index for index, cell in enumerate(stand_ins)}
    made = _parameterized_by_papermill(stand_ins, values, language, keywords)
    injected = next(cell for cell in made if id(cell) not in indexes)
    # None marks the place of the injected cell
    placed = [cells[indexes[id(cell)]] if id(cell) in indexes else None for cell in made]
    taken = {cell.get("id") for cell in (*placed, *cells[end:]) if cell is not None}
    own = {**injected, "id": _free_id(taken), "metadata": dict(injected["metadata"])}
    return [*(own if cell is None else cell for cell in placed), *cells[end:]]


def _free_id(taken: set[Any]) -> str:
    ids = (_CELL_ID if n == 1 else f"{_CELL_ID}-{n}" for n in count(1))
    return next(each for each in ids if each not in taken)


def _papermill_tags(cell: dict[str, Any]) -> list[str]:
    """Return the tags that papermill looks for. It would obey those of a Markdown cell too."""
    tags = cell["metadata"].get("tags", []) if cell["cell_type"] == "code" else []
    return [tag for tag in tags if tag in _PAPERMILL_TAGS]


def _stand_in(tags: list[str]) -> dict[str, Any]:
    """Return a cell with `tags` and what papermill.iorw.load_notebook_node adds to each cell."""
    return _nbformat_node({"cell_type": "code", "metadata": {"tags": tags, "papermill": {}}})


def _parameterized_by_papermill(
    cells: list[dict[str, Any]],
    values: dict[str, Any],
    language: str,
    keywords: Mapping[str, str],
) -> list[dict[str, Any]]:
    """Return `cells`, the same objects, and the new cell among them or in place of an old one."""
    from papermill.parameterize import parameterize_notebook

    node = _nbformat_node({"nbformat": 4, "nbformat_minor": 5, "metadata": {"papermill": {}}})
    node["cells"] = cells
    kernel_name = _translator_name(language, keywords)
    with _quiet():
        node = parameterize_notebook(node, values, kernel_name=kernel_name, language=language)
    made: list[dict[str, Any]] = node["cells"]
    return made


def _nbformat_node(document: dict[str, Any]) -> dict[str, Any]:
    """Return `document` with its keys as attributes too, as papermill reads them."""
    import nbformat

    node: NotebookNode = nbformat.from_dict(document)  # type: ignore[no-untyped-call]
    return node


def _translator_name(language: str, keywords: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return the name of a translator for `language` with nbrun's literals, registered for it.

    `keywords`: the declarations' keywords, by name (see `types.Parameter.keyword`).
    """
    from papermill.translators import Translator, papermill_translators

    if language in PYTHON:
        return language
    dialect = DIALECTS[language]
    is_javascript = language in ("javascript", "typescript")
    base = (
        Translator if is_javascript else papermill_translators.find_translator(language, language)
    )
    own: dict[str, Any] = {"translate": classmethod(lambda _cls, value: literal(dialect, value))}
    if is_javascript:
        own["assign"] = classmethod(
            lambda _cls, name, text: _javascript_assignment(keywords.get(name), name, text)
        )
        own["comment"] = classmethod(lambda _cls, text: f"// {text}")
    if language == "bash":
        own["codify"] = classmethod(partial(_bash_assignments, base))
    name = f"nbrun-{language}"
    papermill_translators.register(name, type("Translator", (base,), own))
    return name


def _javascript_assignment(keyword: str | None, name: str, text: str) -> str:
    """Assign to a declared variable; declare a constant again, and an undeclared name.

    Deno accepts a second `const` of a name, and no assignment to one that is not declared.
    """
    declaring = {None: "let ", "const": "const "}.get(keyword, "")
    return f"{declaring}{name} = {text};"


def _bash_assignments(
    base: Any, _cls: Any, parameters: Mapping[str, Any], comment: str = "Parameters"
) -> str:
    """Return papermill's cell, which first makes plain variables of those that hold text.

    In a variable that an earlier cell declared with `-i`, bash would compute the text, and run the
    commands that are in it; with `-l` or `-u` it would change the text.
    """
    first, _, rest = str(base.codify.__func__(_cls, parameters, comment=comment)).partition("\n")
    names = [name for name, value in parameters.items() if isinstance(value, str | list)]
    return "\n".join([first, *([f"declare +i +l +u {' '.join(names)}"] if names else []), rest])


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence papermill's warning that no cell is tagged `parameters`: --undeclared allows it."""
    logger = logging.getLogger("papermill")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
