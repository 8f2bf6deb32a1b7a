"""The secrets of an interrupted run, given again: the process that knew them is gone."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from nbrun.core.redaction import Redaction
from nbrun.core.state import RunState
from nbrun.errors import ParameterError
from nbrun.runbook.parameters import resolve
from nbrun.runbook.parameters.resolve import Given, Parameter

_INJECTED = "injected-parameters"


def declared(state: RunState) -> dict[str, Parameter]:
    """The parameters that were secret as the run began, as its record declares them."""
    plan = state.plan
    cells = [
        {"cell_type": "code", "source": step.source, "metadata": {"tags": list(step.tags)}}
        for step in plan.steps
        if not step.contract.manual
    ]
    recorded = {"cells": cells, "metadata": plan.metadata}
    known = resolve.declared(recorded, _language(state), plan.kernelspec)
    own = {name: known.get(name, Parameter(name, "any")) for name in plan.secrets}
    return {name: replace(each, secret=True) for name, each in own.items()}


def refuse_others(state: RunState, names: Mapping[str, Given]) -> None:
    """ParameterError for a parameter whose value the record has: the run goes on with that."""
    for name in names:
        if name not in state.plan.secrets:
            raise ParameterError(
                f"parameter {name!r} (-p): was no secret as the run began, and can't be changed; "
                f"secrets of this run: {', '.join(state.plan.secrets) or 'none'}"
            )


def values(state: RunState, given: Mapping[str, Given]) -> dict[str, Any]:
    """The secrets `given` again, by name.

    Whether they are the same can't be told: nothing of a secret is recorded, and no hash of one, by
    which it could be guessed. But each has to be written as the recorded one was, so that it can
    stand in its place in what is run again.

    Raises:
        ParameterError: one is refused, or is another than the run began with as far as can be seen.
    """
    refuse_others(state, given)
    known = declared(state)
    found = {
        name: resolve.value_of(name, each, known[name]) for name, each in sorted(given.items())
    }
    spelled = spellings(state, found)
    redacting, recorded = Redaction(found, spelled), _injected(state)
    for name, literal in spelled.items():
        shape = redacting.redact_text(literal)
        if not any(line.rstrip("; ").endswith(shape) for line in recorded):
            raise ParameterError(
                f"parameter {name!r} ({given[name].where}): is another value than the run began "
                "with: it would be written otherwise"
            )
    return found


def spellings(state: RunState, secrets: Mapping[str, Any]) -> dict[str, str]:
    """How the kernel's language writes each."""
    if not secrets:
        return {}
    return resolve.spellings(secrets, state.plan.kernelspec, _language(state))


def _language(state: RunState) -> str | None:
    return state.kernel_info.language if state.kernel_info is not None else None


def _injected(state: RunState) -> list[str]:
    """The lines of the cell that set the parameters."""
    cells = [step.source for step in state.plan.steps if _INJECTED in step.tags]
    return "\n".join(cells).splitlines()
