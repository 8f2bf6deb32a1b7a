"""Included runbooks: which of them has prepared the kernel that the steps of all share.

The setup steps of an included runbook assign its parameters and what follows from them, such as a
connection. If two included runbooks assign the same parameter, a step that runs after the other's
setup would act on the other's values. So the setup steps of its own runbook run again first.
"""

from collections.abc import Iterable

import msgspec

from nbrun.core.model import IncludedRunbook
from nbrun.core.state import RunState, StepState

_encode = msgspec.json.Encoder().encode  # tells 1 from True and from 1.0


def stale_setup(state: RunState, step: StepState) -> StepState | None:
    """Return the setup step that has to run again before `step`; None if there is none.

    For an undo, `step` is the step that it undoes.
    """
    included = step.step.included
    if included is None or step.step.contract.manual:
        return None
    others = [id_ for id_ in state.prepared if _changes_values(state, id_, included.cell)]
    last = state.prepared.index(others[-1]) if others else -1
    for own in _setup_before(state, step, included.cell):
        at = state.prepared.index(own.step.id) if own.step.id in state.prepared else -1
        if at < last:
            return own
        last = at  # each may depend on the one before: the values given come after the defaults
    return None


def by_cell(included: Iterable[IncludedRunbook]) -> dict[str, IncludedRunbook]:
    """Return the included runbooks by the cell that includes each."""
    return {each.cell: each for each in included}


def _changes_values(state: RunState, id_: str, cell: str) -> bool:
    """Return True if the step `id_` assigns a parameter of the runbook that `cell` includes."""
    step = state.steps.get(id_)
    other = step.step.included if step is not None else None
    if other is None or other.cell == cell or not {cell, other.cell} <= state.includes.keys():
        return False
    return _disagree(state.includes[cell], state.includes[other.cell])


def _disagree(one: IncludedRunbook, other: IncludedRunbook) -> bool:
    """Return True if both assign a name, unless both are known to give it the same value."""
    return any(
        name not in one.parameters
        or name not in other.parameters
        or _encode(one.parameters[name]) != _encode(other.parameters[name])
        for name in {*one.names} & {*other.names}
    )


def _setup_before(state: RunState, step: StepState, cell: str) -> list[StepState]:
    """Return the setup steps of an included runbook that have run, in order, up to `step`."""
    return [
        each
        for each in state.steps.values()
        if each.step.included is not None
        and each.step.included.cell == cell
        and each.step.is_setup
        and each.step.number < step.step.number
        and (each.passed and each.succeeded and each.attempts and not each.skipped)
    ]
