"""Plan a runbook with all that it includes."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from nbrun.core.model import IncludedRunbook
from nbrun.errors import RunbookError
from nbrun.runbook import loader
from nbrun.runbook.includes.cells import IncludeFault
from nbrun.runbook.includes.files import IncludeReader
from nbrun.runbook.includes.step_ids import with_unique_ids
from nbrun.runbook.includes.values import Binder, BoundInclude
from nbrun.runbook.loader import Notebook, Runbook
from nbrun.runbook.parameters import injection
from nbrun.runbook.parameters.resolve import ResolvedParameters

_MOST_FAULTS = 20  # in one message


def bind(source: Notebook, parameters: ResolvedParameters) -> tuple[BoundInclude, ...]:
    """Read all that `source` includes, and bind its parameters.

    Raises:
        RunbookError: a file can't be included, or a value does not fit. The message has all faults
            of a runbook that anybody wrote by hand.
    """
    bound, faults = try_to_bind(source, parameters)
    if faults:
        more = [f"and {len(faults) - _MOST_FAULTS} more"] if len(faults) > _MOST_FAULTS else []
        raise RunbookError("; ".join([*map(str, faults[:_MOST_FAULTS]), *more]))
    return bound


def try_to_bind(
    source: Notebook, parameters: ResolvedParameters
) -> tuple[tuple[BoundInclude, ...], list[IncludeFault]]:
    """Bind as `bind` does, as far as that is possible. Return also what is wrong."""
    reader, binder = IncludeReader(source), Binder()
    bound = binder.bind(reader.read(), parameters)
    return bound, reader.faults + binder.faults


def plan(
    source: Notebook,
    parameters: ResolvedParameters,
    defaults: Mapping[str, Any],
    included: Collection[BoundInclude],
) -> Runbook:
    """Return the steps of `source` and of all that it includes, with those that assign parameters.

    Raises:
        ParameterError: the notebook's language can't express a value.
        RunbookError: the contract of a step is not valid.
    """
    language = parameters.declarations.language
    node = injection.inject(source.node, parameters.values, language)
    context = parameters.contract_context(defaults)
    inner = books(node, included, defaults)
    planned = loader.plan(replace(source, node=node), context, inner)
    recorded = [
        part
        for each in included
        for part in (_recorded(each), *inner[each.source.cell.id].includes)
    ]
    return replace(planned, includes=tuple(recorded))


def books(
    node: Mapping[str, Any], included: Iterable[BoundInclude], defaults: Mapping[str, Any]
) -> dict[str, Runbook]:
    """Return the planned runbooks that the notebook `node` includes, by the cell of each.

    Raises:
        ParameterError, RunbookError: as `plan` does.
    """
    taken = {cell["id"] for cell in node["cells"]}
    return {each.source.cell.id: _book(each, defaults, taken) for each in included}


def _book(bound: BoundInclude, defaults: Mapping[str, Any], taken: set[str]) -> Runbook:
    source = bound.source
    book = plan(source.notebook, bound.parameters, defaults, bound.included)
    return with_unique_ids(book, source.cell.id, source.name, taken)


def _recorded(bound: BoundInclude) -> IncludedRunbook:
    return IncludedRunbook(
        cell=bound.source.cell.id,
        path=bound.source.name,
        sha256=bound.source.notebook.sha256,
        parameters=dict(bound.shown),
        names=tuple(bound.parameters.declarations.parameters),
    )


def notebooks(included: Iterable[BoundInclude]) -> list[Notebook]:
    """Return every notebook that is included, on all levels."""
    return [each.source.notebook for each in _all(included)]


def notices(included: Iterable[BoundInclude]) -> tuple[str, ...]:
    """Return what was corrected in the included runbooks."""
    return tuple(
        f"{each.path.name}: {notice}" for each in notebooks(included) for notice in each.notices
    )


def _all(included: Iterable[BoundInclude]) -> Iterator[BoundInclude]:
    for each in included:
        yield each
        yield from _all(each.included)
