"""Prepare an interrupted run to be resumed: its journal, role, secrets, kernel and runbook."""

import difflib
import os
import shlex
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from nbrun import config
from nbrun.audit import runbook_trust
from nbrun.audit.tracing import switch
from nbrun.config import Config
from nbrun.core import events as ev
from nbrun.core import guards
from nbrun.core.model import Policy, Step
from nbrun.core.redaction.redactor import Redaction
from nbrun.core.state import Phase, RunState
from nbrun.errors import ForeignRunError, UnprovenKernelError, UsageError
from nbrun.journal import own_runs, recovery, start_marker
from nbrun.journal.run_directory import RunDirectory
from nbrun.journal.writer import Journal
from nbrun.kernel.jupyter_adapter import find_kernelspec, python_for
from nbrun.kernel.launcher import KernelLauncher
from nbrun.kernel.remote.launcher import GatewayLauncher
from nbrun.kernel.roles.roles import RunRole
from nbrun.notifications import receivers
from nbrun.notifications.receivers import Receivers
from nbrun.runbook import loader, notebook
from nbrun.runbook.includes import planning
from nbrun.runbook.loader import Runbook
from nbrun.runbook.parameters.declarations import declarations_of
from nbrun.runbook.parameters.languages import language_name
from nbrun.runbook.parameters.resolve import ResolvedParameters
from nbrun.runbook.text_formats import realign
from nbrun.runbook.trust import repository
from nbrun.supervisor import gateway, kernel_plan, secret_reentry
from nbrun.supervisor.requests import ResumeRequest
from nbrun.system import process_origin, provenance
from nbrun.system.sudo import Sudo


@dataclass(frozen=True)
class ResumableRun:
    """An interrupted run that is ready to be resumed.

    Attributes:
        plan: the run's beginning, with what is executed from it on this user's own word.
        last_seen: time of the last sign of the old supervisor, in seconds since the run began.
        launcher: of the run's later kernels; it also finds the one that the run may have.
        secrets: the values of the secrets that were entered again, by name.
        receivers: hooks and chat services, by this user's settings and never by the record.
    """

    writer: Journal
    state: RunState
    plan: ev.RunStarted
    launcher: KernelLauncher | GatewayLauncher
    last_seen: float
    role: RunRole | None
    resumed: ev.RunResumed
    replaced: ev.RunbookReplaced | None
    secrets: Mapping[str, Any]
    receivers: Receivers


def open_run(directory: RunDirectory, request: ResumeRequest) -> ResumableRun:
    """Open the journal of an interrupted run, and check everything that resuming it needs.

    Raises:
        ForeignRunError: the run is not this user's own, or this user did not begin it.
        UsageError: the run is in progress or has ended; its role can't be taken again; or the new
            runbook is invalid, or the policy does not allow it. Nothing was changed.
        UnprovenKernelError: its record names a process that is not known to be its kernel.
        JournalError: the journal can't be written, or is damaged.
    """
    found = open_journal(directory, foreign=request.foreign)
    try:
        plan = believed_plan(directory, found.state, foreign=request.foreign)
        if not plan.gateway:
            find_kernelspec(plan.kernelspec)
        if request.new_runbook:
            refused = guards.new_runbook_refusal(found.state, request.reason)
            if refused is not None:
                raise UsageError(f"{directory.id}: {refused}")
        secrets = secret_reentry.values(found.state, request.given)
        replaced = (
            runbook_replacement(found.state, request.fetched) if request.new_runbook else None
        )
        role = retake_role(found.state)
        settings = _load_config(found.state)
        settings.check_trust("hooks", "notify")
        launcher = launcher_for(found.state, role)
    except BaseException:
        found.journal.close()
        raise
    resumed = ev.RunResumed(
        operator=provenance.operator(os.getppid()),
        host=socket.gethostname(),
        versions=provenance.versions(),
        reason=request.reason,
        boot_id=provenance.boot_id(),
        role=role.taken.recorded() if role else None,
        secrets=tuple(sorted(secrets)),
        settings=settings.files,
    )
    return ResumableRun(
        found.journal,
        found.state,
        plan,
        launcher,
        found.last_alive,
        role,
        resumed,
        replaced,
        secrets,
        receivers.look_up_again(settings),
    )


def open_journal(directory: RunDirectory, *, foreign: bool) -> recovery.ReopenedJournal:
    """Open the journal of an interrupted run for writing.

    Raises:
        ForeignRunError: others may have written it, or it belongs to another user.
        UsageError: the run is in progress or has ended, or a cell of the run asks for this.
        JournalError: the journal can't be written, or is damaged.
    """
    own_runs.require_own(directory, foreign=foreign)
    try:
        found = recovery.reopen(directory.journal)
    except BlockingIOError:
        raise UsageError(
            f"{directory.id}: the run is in progress: use nbrun attach or nbrun watch"
        ) from None
    refused = ""
    if found.state.phase is Phase.FINISHED:
        refused = f"the run has ended: see nbrun log {directory.id}"
    elif process_origin.is_own_kernel(found.state.kernels):
        refused = "a cell can't resume or cancel its own run: this process belongs to its kernel"
    if refused:
        found.journal.close()
        raise UsageError(f"{directory.id}: {refused}")
    return found


def believed_plan(directory: RunDirectory, state: RunState, *, foreign: bool) -> ev.RunStarted:
    """Return the run's first event, with a policy that executes only what this user wants.

    Of a run that this account began, the record is what nbrun wrote itself. The record of any other
    run (a copy, a clone, a run of another machine or user) may say anything: with `foreign`, its
    sinks, its signing key and its group are those of this user's settings instead.

    Raises:
        ForeignRunError: this account did not begin the run, and `foreign` was not given.
        UsageError: this user's settings can't be read, or have another gateway.
        UnprovenKernelError: the kernel is on a gateway, and may be anybody's.
    """
    plan = state.plan
    if start_marker.began_here(directory):
        return plan
    own = msgspec.structs.replace(plan.policy, **_own_settings(state))
    if not foreign:
        raise ForeignRunError(
            f"{directory.id}: nbrun did not begin this run here, as this user: it is a copy, or it "
            "began on another machine or with another home folder. Read it first: nbrun log "
            f"{directory.id}. To act on it: --foreign{_differences(plan.policy, own)}"
        )
    _check_own_gateway(directory, state)
    return msgspec.structs.replace(plan, policy=own)


def _check_own_gateway(directory: RunDirectory, state: RunState) -> None:
    """Check that a record which may say anything sends no token anywhere, and ends no kernel.

    Raises:
        UsageError: the gateway is not that of this user's settings.
        UnprovenKernelError: the record names a kernel there, which may be anybody's.
    """
    url, remote = state.plan.gateway, state.remote
    if not url:
        return
    own = _load_config(state).gateway_for(None)
    if own is None or own.url != url:
        raise UsageError(
            f"{directory.id}: its record says that the kernel is on {url}, and nbrun did not begin "
            "this run here: if that is your gateway, set it as [gateway] url in your nbrun.toml"
        )
    if remote is not None and state.may_have_kernel:
        raise UnprovenKernelError(
            f"{directory.id}: its record names the kernel {remote.id} on {url}, and nbrun did not "
            "begin this run here: continue where it began, or end that kernel on the gateway first"
        )


def _own_settings(state: RunState) -> dict[str, Any]:
    settings = _load_config(state)
    settings.check_trust()
    return {
        "forward": settings.forward,
        "sign": str(settings.sign_key or ""),
        "group": "",
        "approver_keys": dict(settings.approver_keys),
    }


def _differences(recorded: Policy, own: Policy) -> str:
    """Return what the record wants executed that this user's settings do not."""
    words = {
        "forward its lines to": (shlex.join(recorded.forward), shlex.join(own.forward)),
        "sign it with": (recorded.sign, own.sign),
        "share it with the group": (recorded.group, own.group),
    }
    told = [
        f"The record says to {what} {wanted}; your settings say {is_set or 'nothing'}"
        for what, (wanted, is_set) in words.items()
        if wanted and wanted != is_set
    ]
    return "".join(f". {each}, and that holds" for each in told)


def retake_role(state: RunState) -> RunRole | None:
    """Take the role of the run's kernels again; None if the run has no role.

    Raises:
        UsageError: the role can't be taken, or nbrun.toml no longer defines it.
    """
    plan = state.plan
    if plan.role is None:
        return None
    role = _load_config(state).role(plan.role.name)
    before = plan.role.keys.get("unix_user", "")
    if role.unix_user != before:
        raise UsageError(
            f"the role {role.name}: unix_user is {role.unix_user!r} now, but was {before!r} when "
            "the run began, and its kernel runs as that user: restore it in nbrun.toml"
        )
    return kernel_plan.take_role(role, plan.kernelspec, Path(plan.cwd), plan.run)


def redaction_for(
    state: RunState, role: RunRole | None, secrets: Mapping[str, Any] = MappingProxyType({})
) -> Redaction:
    """Return the redaction for the rest of the run.

    Only the process that is gone knew the secret parameters; `secrets` are those that were entered
    again. Without `role`, the secrets that its commands print are unknown, too.
    """
    taken = state.plan.role
    unknown = taken.env_from_cmd if taken and role is None else ()
    return Redaction(
        {**(role.taken.secrets if role else {}), **secrets},
        secret_reentry.source_literals(state, secrets),
        patterns=_load_config(state).redact_patterns,
        unknown=(*state.plan.secrets, *unknown),
    )


def _load_config(state: RunState) -> Config:
    return config.load_for_run(state.plan.runbook, Path(state.plan.cwd))


def launcher_for(
    state: RunState, role: RunRole | None = None, sudo: Sudo | None = None
) -> KernelLauncher | GatewayLauncher:
    """Return the launcher of the run's later kernels, which also finds the one it may have.

    Raises:
        UnprovenKernelError: the record names a process that is not known to be the run's kernel.
        UsageError: the secrets of its gateway can't be fetched.
    """
    plan = state.plan
    if plan.gateway:
        api = gateway.of_record(plan.gateway, _load_config(state))
        return GatewayLauncher(api, plan.kernelspec, attended=True, generation=state.generation)
    launcher = KernelLauncher(
        plan.kernelspec,
        cwd=Path(plan.cwd),
        attended=True,
        generation=state.generation,
        role=role,
        sudo=sudo,
        variables=switch.kernel_variables(os.environ, plan.run, plan.traceparent),
    )
    if state.process is not None:
        launcher.check_running(state.process)
    return launcher


def sudo_for(state: RunState) -> Sudo | None:
    """Return how a running kernel of the run's role is reached, by this user's own settings.

    Raises:
        UsageError: nbrun.toml no longer defines the role, or the kernelspec is gone.
    """
    role = state.plan.role
    if role is None or "unix_user" not in role.keys or state.process is None:
        return None
    user = _load_config(state).role(role.name).unix_user
    return Sudo(user, python_for(state.plan.kernelspec)) if user else None


# ── the runbook, as recorded and as it is now ────────────────────────────────────────────────


def runbook_diff(state: RunState, fetched: Path | None = None) -> str:
    """Return a unified diff from the recorded steps to the runbook file; empty if they are equal.

    `fetched` is that file if the runbook is at an address.

    Raises:
        UsageError: the file is not a readable runbook.
    """
    if state.plan.undoes:  # its runbook was made from a record
        return ""
    path = fetched or Path(state.plan.runbook)
    if loader.read(path).sha256 == state.plan.runbook_sha256:
        return ""
    return _diff(state.ordered_steps(), _load_current_runbook(state, path).steps)


def runbook_replacement(state: RunState, fetched: Path | None = None) -> ev.RunbookReplaced:
    """Return the event that takes the steps that did not run yet from the current runbook file.

    `fetched` is as for `runbook_diff`.

    Raises:
        UsageError: the file is not a readable runbook, or not one that nbrun.toml allows.
    """
    path = fetched or Path(state.plan.runbook)
    data = loader.read_bytes(path)
    proofs = runbook_trust.prove(path, data, _load_config(state).runbook_rules)
    book = _load_current_runbook(state, path, data)
    new = _recognized(state, book)
    steps = merge_steps(state, new)
    _refuse_changed_values(state, new)
    return ev.RunbookReplaced(
        operator=provenance.operator(os.getppid()),
        runbook_sha256=book.sha256,
        git_commit=None if fetched else repository.checked_out_commit(book.path.parent),
        steps=steps,
        epilogue=book.epilogue,
        diff=_diff(state.ordered_steps(), steps),
        proofs=proofs,
        includes=book.includes,
    )


def _refuse_changed_values(state: RunState, new: Iterable[Step]) -> None:
    """Refuse other values for an included runbook whose parameters the kernel has already.

    The steps that assigned them are not run again: later steps would act on the old values, while
    their questions show the new ones.
    """
    for step in new:
        known = state.steps.get(step.id)
        if known is None or step.included is None or not step.sets_parameters:
            continue
        if known.attempts and known.step.source != step.source:
            raise UsageError(
                f"{state.plan.runbook}: the parameters of {step.included.path} have changed, and "
                f"{known.step.title!r} has assigned the old ones already: restore them"
            )


def _load_current_runbook(state: RunState, path: Path, data: bytes | None = None) -> Runbook:
    plan = state.plan
    read = loader.read(path, data)
    kernel = state.kernel_info
    own_language = kernel.language if kernel else notebook.language(read.metadata)
    declarations = declarations_of(read.node, language_name(plan.kernelspec, own_language))
    secrets = frozenset(plan.secrets)
    parameters = ResolvedParameters(declarations, plan.parameters, secrets, unread=secrets)
    included = planning.bind(read, parameters)
    return planning.plan(read, parameters, _load_config(state).defaults, included)


def _recognized(state: RunState, book: Runbook) -> tuple[Step, ...]:
    """Return the steps of the file; those of a text with the ids that the run knows them by."""
    run = _kept(state)
    _refuse_moved_includes(state, book, run)
    recorded = [step for step in state.ordered_steps() if step.included is None]
    own = [step for step in book.steps if step.included is None]
    known = iter(realign.realigned(book.path, recorded, run, own))
    return tuple(next(known) if step.included is None else step for step in book.steps)


def _refuse_moved_includes(state: RunState, book: Runbook, run: Iterable[str]) -> None:
    """Refuse a text whose includes may be others than those that have run.

    Steps of two includes of one file have the same sources, so that these do not tell them apart.
    """
    cells = {each.cell for each in book.includes}
    for id_ in run:
        step = state.steps[id_].step
        if step.included is not None and step.included.cell not in cells:
            raise UsageError(
                f"{book.path}: step {step.number} ({step.title}) has been run, and the file has "
                "changed so that its include may be another one now: add "
                f'id="{step.included.cell}" to the block that includes it'
            )


def merge_steps(state: RunState, new: Iterable[Step]) -> tuple[Step, ...]:
    """Merge the recorded steps with `new` ones, in the order of `new`.

    Steps that the run has dealt with stay as recorded. Such a step that `new` lacks keeps its place
    behind the step that it followed.
    """
    fixed = {id_: state.steps[id_].step for id_ in _kept(state)}
    steps = [fixed.get(step.id, step) for step in new]
    for id_ in state.order:
        if id_ in fixed and fixed[id_] not in steps:
            steps.insert(_insert_position(state, steps, id_), fixed[id_])
    return tuple(
        msgspec.structs.replace(step, number=number) for number, step in enumerate(steps, 1)
    )


def _kept(state: RunState) -> list[str]:
    """Return the ids of the steps that were run, done by a person, found done, or skipped."""
    return [
        id_
        for id_, each in state.steps.items()
        if each.attempts or each.skipped or each.done or each.already_done
    ]


def _insert_position(state: RunState, steps: list[Step], id_: str) -> int:
    """Return the index behind the nearest recorded predecessor of `id_` that is in `steps`."""
    before = state.order[: state.order.index(id_)]
    positions = {step.id: position for position, step in enumerate(steps, 1)}
    return max((positions[other] for other in before if other in positions), default=0)


def _diff(old: Iterable[Step], new: Iterable[Step]) -> str:
    lines = difflib.unified_diff(
        _source_lines(old), _source_lines(new), "recorded", "now", lineterm="", n=3
    )
    return "\n".join(lines)


def _source_lines(steps: Iterable[Step]) -> list[str]:
    return [line for step in steps for line in (f"## {step.title}", *step.source.splitlines(), "")]
