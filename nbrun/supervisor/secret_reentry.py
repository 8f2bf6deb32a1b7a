"""Check the secrets that an operator enters again for an interrupted run.

Only the process that began the run knew its secrets, and that process has ended.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from nbrun.core.redaction.redactor import Redaction
from nbrun.core.state import RunState
from nbrun.errors import ParameterError
from nbrun.runbook.parameters import injection, resolve
from nbrun.runbook.parameters.declarations import declarations_of
from nbrun.runbook.parameters.languages import language_name
from nbrun.runbook.parameters.types import Parameter, RawValue

_INJECTED = "injected-parameters"


def secret_parameters(state: RunState) -> dict[str, Parameter]:
    """Return the parameters that were secret when the run began, as its record declares them."""
    plan = state.plan
    cells = [
        {"cell_type": "code", "source": step.source, "metadata": {"tags": list(step.tags)}}
        for step in plan.steps
        if not (step.contract.manual or step.included)
    ]
    recorded = {"cells": cells, "metadata": plan.metadata}
    known = declarations_of(recorded, _language(state)).parameters
    found = {name: known.get(name, Parameter(name, "any")) for name in plan.secrets}
    return {name: replace(parameter, secret=True) for name, parameter in found.items()}


def refuse_non_secrets(state: RunState, names: Mapping[str, RawValue]) -> None:
    """Raise ParameterError for a parameter that was not secret: the record has its value."""
    for name in names:
        if name not in state.plan.secrets:
            raise ParameterError(
                f"parameter {name!r} (-p): was not a secret when the run began, so its value can't "
                f"change; secrets of this run: {', '.join(state.plan.secrets) or 'none'}"
            )


def values(state: RunState, given: Mapping[str, RawValue]) -> dict[str, Any]:
    """Return the values of the secrets in `given`, by name.

    nbrun can't check that a value is the same as before: the record contains nothing of a secret,
    not even a hash, from which somebody could guess it. But each literal must have the same form
    as the recorded one, so that the recorded source works with it.

    Raises:
        ParameterError: a value is refused, or its literal differs visibly from the recorded one.
    """
    refuse_non_secrets(state, given)
    parameters = secret_parameters(state)
    found = {
        name: resolve.value_of(name, raw, parameters[name]) for name, raw in sorted(given.items())
    }
    literals = source_literals(state, found)
    redaction, recorded = Redaction(found, literals), _injected_lines(state)
    for name, literal in literals.items():
        redacted = redaction.redact_text(literal)
        if not any(line.rstrip("; ").endswith(redacted) for line in recorded):
            raise ParameterError(
                f"parameter {name!r} ({given[name].origin}): is not the value that the run began "
                "with: the code would need other quotes or escapes"
            )
    return found


def source_literals(state: RunState, secrets: Mapping[str, Any]) -> dict[str, str]:
    """Return the literal of each secret in the language of the run's kernel."""
    return injection.source_literals(secrets, _language(state))


def _language(state: RunState) -> str:
    kernel = state.kernel_info
    return language_name(state.plan.kernelspec, kernel.language if kernel is not None else None)


def _injected_lines(state: RunState) -> list[str]:
    """Return the lines of the recorded cell that assigns the parameters."""
    cells = [step.source for step in state.plan.steps if _INJECTED in step.tags]
    return "\n".join(cells).splitlines()
