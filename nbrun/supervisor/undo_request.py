"""A request to undo a run that has ended: what is left to undo, and the request to start it."""

import fcntl
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from nbrun.config import Config
from nbrun.core import events as ev
from nbrun.core.addresses import is_address
from nbrun.core.model import RunbookProof
from nbrun.core.reducer import fold
from nbrun.core.run_options import RunOptions
from nbrun.core.state import Phase, RunState
from nbrun.errors import ForeignRunError, NbrunError, RunbookError, UsageError
from nbrun.journal import own_runs, run_directory, start_marker
from nbrun.journal.first_last import open_ends
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


def parse(directory: RunDirectory, settings: Config) -> ParsedNotebook:
    """Return the notebook that undoes what is left to undo of an ended run.

    What the policy says of `undone` at a stop holds here, too.

    Raises:
        RunbookError: nothing is left to undo.
        UsageError: another run is undoing it, or the policy does not allow it.
    """
    if settings.allow is not None and "undone" not in settings.allow:
        raise UsageError(f"{directory.id}: the policy in nbrun.toml does not allow undone")
    return undo_runbook.compose(
        _state(directory),
        _undone_by_others(directory),
        needs_approval="undone" in settings.need_approval,
    )


def lock(directory: RunDirectory) -> None:
    """Let no other process undo the run until this one has ended.

    Raises:
        UsageError: another process is about to undo it.
    """
    fd = os.open(directory.path, os.O_RDONLY | os.O_CLOEXEC)  # open until the process ends
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise UsageError(f"{directory.id}: another nbrun undo is undoing this run") from None


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
    directory: RunDirectory,
    state: RunState,
    options: RunOptions,
    secrets: dict[str, RawValue],
    settings: Config,
) -> StartRequest:
    """Return the request for the run that undoes `state`: as that run was, but for `options`.

    Raises:
        UsageError: the policy needs a reason, and there is none.
    """
    plan = state.plan
    if "undone" in settings.need_reason and not options.reason.strip():
        raise UsageError("a reason is needed: undone; say it with --reason")
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
        options=_options(directory, plan, options),
        given=recorded | secrets,
    )


def _options(directory: RunDirectory, plan: ev.RunStarted, given: RunOptions) -> RunOptions:
    policy = plan.policy
    return replace(
        given,
        reason=given.reason or f"undoes {directory.id}",
        runs_dir=directory.path.parent,  # where the next undo of this run looks for this one
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
        if each.id != directory.id and _undoes(each, directory.id):
            state = _state(each)
            if state.phase is not Phase.FINISHED:
                raise UsageError(
                    f"{each.id} is undoing {directory.id}, and has not ended: "
                    f"nbrun attach {each.id}, or nbrun resume {each.id}"
                )
            found |= {id_ for id_, step in state.steps.items() if step.succeeded}
    return frozenset(found)


def _undoes(directory: RunDirectory, undone: str) -> bool:
    """Return True if a run undoes the run `undone`; False for a record that can't be read."""
    try:
        with open_ends(directory.journal) as ends:
            first = ends.first_line()
        if first is None or f'"undoes":"{undone}"'.encode() not in first:  # as for most runs
            return False
        record = first_record(directory.journal)
    except (NbrunError, OSError):
        return False
    return record is not None and getattr(record.event, "undoes", "") == undone
