"""A brief of a run for somebody who takes it over: what was done, what is open, what waits."""

from nbrun.core import events as ev
from nbrun.core.choices.handover import operator_of
from nbrun.core.events import Record
from nbrun.core.state import RunState
from nbrun.views.text import identities, phrases, waiting


def rows(state: RunState, last_stop: Record | None) -> list[tuple[str, str]]:
    """Return the brief as names and values. `last_stop`: the record of the last stop, if any."""
    plan = state.plan
    found = [
        ("run", plan.run),
        ("runbook", plan.runbook),
        ("owner", f"{state.owner.name} (uid {state.owner.uid}), on {plan.host}"),
        ("operated by", operator_of(state).name),
        *identities.rows(plan.role),
        ("ticket", plan.ticket),
        ("done", _steps(state, passed=True)),
        *(("off script", phrases.deviation_and_reason(state, each)) for each in state.deviations),
        ("open", _steps(state, passed=False)),
        ("waits", _waits(state, last_stop)),
    ]
    return [(name, value) for name, value in found if value]


def _steps(state: RunState, *, passed: bool) -> str:
    named = [state.steps[id_] for id_ in state.order if state.steps[id_].passed is passed]
    return "; ".join(f"{each.step.number} {each.step.title}" for each in named)


def _waits(state: RunState, last_stop: Record | None) -> str:
    place = waiting.place_and_reason(state)
    if place is None:
        return ""
    is_current = last_stop is not None and last_stop.event == state.stop
    since = f", since {phrases.timestamp(last_stop.at)}" if last_stop and is_current else ""
    return f"{' · '.join(place)}{since}"


def is_stop(record: Record) -> bool:
    """Return True if the run stops at `record`."""
    return isinstance(record.event, ev.Stopped)
