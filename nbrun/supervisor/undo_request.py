"""A request to undo a run that has ended: what is left to undo, and the request to start it."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from nbrun.core import events as ev
from nbrun.core.addresses import is_address
from nbrun.core.model import RunbookProof
from nbrun.core.reducer import fold
from nbrun.core.run_options import RunOptions
from nbrun.core.state import Phase, RunState
from nbrun.errors import ForeignRunError, NbrunError, RunbookError, UsageError
from nbrun.journal import own_runs, run_directory, start_marker
from nbrun.journal.reader import JournalReader, first_record
from nbrun.journal.run_directory import RunDirectory
from nbrun.runbook import undo_runbook
from nbrun.runbook.loader import ParsedNotebook
from nbrun.runbook.parameters.types import RawValue
from nbrun.runbook.trust.rules import RunbookRule, SignedRule
from nbrun.supervisor.requests import StartRequest


def read_ended_run(directory: RunDirectory, *, foreign: bool) -> RunState:
    """Return the state of a run that is over, and whose cells this user may run.

    Raises:
        RunbookError: no step of the run has an undo.
        ForeignRunError: the run may be anybody's, and `foreign` was not given.
        UsageError: the run has not ended.
        JournalError: the record can't be read.
    """
    own_runs.require_own(directory, foreign=foreign)
    state = _state(directory)
    if not state.undos:
        raise RunbookError(f"{directory.id}: no step of this run has an undo")
    if not foreign and not start_marker.began_here(directory):
        raise ForeignRunError(
            f"{directory.id}: nbrun did not begin this run here, as this user. "
            f"What is undone are cells of its record: read it first (nbrun log {directory.id}). "
            "To run them: --foreign"
        )
    if state.phase is not Phase.FINISHED:
        raise UsageError(
            f"{directory.id}: the run has not ended: undo its steps with u at a stop "
            f"(nbrun attach {directory.id}), or cancel the run first"
        )
    return state


def parse(directory: RunDirectory) -> ParsedNotebook:
    """Return the notebook that undoes what is left to undo of an ended run.

    Raises:
        RunbookError: nothing is left to undo.
        UsageError: another run is undoing it.
    """
    return undo_runbook.compose(_state(directory), _undone_by_others(directory))


def proofs(directory: RunDirectory, rules: Iterable[RunbookRule]) -> tuple[RunbookProof, ...]:
    """Return how the runbook of an ended run satisfied `rules` when that run began.

    Raises:
        RunbookError: it did not satisfy one of them, or the record can't be believed about that.
    """
    recorded = _state(directory).plan.proofs if start_marker.began_here(directory) else ()
    for rule in rules:
        name = "require_signed" if isinstance(rule, SignedRule) else "require_commit_on"
        if not any((each.rule, each.settings) == (name, str(rule.settings)) for each in recorded):
            raise RunbookError(
                f"{directory.id}: {rule.settings} has [runbooks] {name}, and this run's record "
                "does not show that its runbook satisfied that: undo the steps by hand"
            )
    return recorded


def _state(directory: RunDirectory) -> RunState:
    return fold(record.event for record in JournalReader(directory.journal))


def request(
    directory: RunDirectory, state: RunState, options: RunOptions, secrets: dict[str, RawValue]
) -> StartRequest:
    """Return the request for the run that undoes `state`: as that run was, but for `options`."""
    plan = state.plan
    recorded = {
        name: RawValue(value, value if isinstance(value, str) else None, f"record of {plan.run}")
        for name, value in plan.parameters.items()
        if name not in plan.secrets
    }
    return StartRequest(
        runbook=Path(plan.runbook),
        attended=True,
        undoes=directory.path,
        address=plan.runbook if is_address(plan.runbook) else "",
        options=_options(plan, options),
        given=recorded | secrets,
    )


def _options(plan: ev.RunStarted, given: RunOptions) -> RunOptions:
    policy = plan.policy
    return replace(
        given,
        undeclared=True,
        kernel=plan.kernelspec,
        cwd=Path(plan.cwd),
        role=plan.role.name if plan.role else None,
        group=policy.group,
        shell_errors=policy.shell_errors,
        nested_errors=policy.nested_errors,
    )


def _undone_by_others(directory: RunDirectory) -> frozenset[str]:
    """Return the ids of the undos that earlier runs in the same folder have run already.

    Raises:
        UsageError: such a run has not ended.
    """
    found: set[str] = set()
    for each in run_directory.all_runs(directory.path.parent):
        if each.id > directory.id and _undoes(each) == directory.id:
            state = _state(each)
            if state.phase is not Phase.FINISHED:
                raise UsageError(
                    f"{each.id} is undoing {directory.id}, and has not ended: "
                    f"nbrun attach {each.id}, or nbrun resume {each.id}"
                )
            found |= {id_ for id_, step in state.steps.items() if step.succeeded}
    return frozenset(found)


def _undoes(directory: RunDirectory) -> str:
    """Return the run that a run undoes; empty for none, and for a record that can't be read."""
    try:
        first = first_record(directory.journal)
    except (NbrunError, OSError):
        return ""
    return first.event.undoes if first and isinstance(first.event, ev.RunStarted) else ""
