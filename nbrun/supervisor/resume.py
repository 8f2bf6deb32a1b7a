"""An interrupted run made ready to go on: its journal, its kernel, and the runbook it follows."""

import difflib
import os
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from nbrun import config
from nbrun.config import Config
from nbrun.core import events as ev
from nbrun.core import guards
from nbrun.core.model import Step
from nbrun.core.redaction import Redaction
from nbrun.core.state import Phase, RunState
from nbrun.errors import UsageError
from nbrun.journal import recovery
from nbrun.journal.run_directory import RunDirectory
from nbrun.journal.writer import Journal
from nbrun.kernel.jupyter_adapter import find_kernelspec
from nbrun.kernel.local import LocalKernel
from nbrun.kernel.roles.roles import Held
from nbrun.runbook import loader
from nbrun.runbook.contract import Ground
from nbrun.runbook.loader import Runbook
from nbrun.runbook.parameters import resolve
from nbrun.supervisor import kernel_plan, secret_reentry
from nbrun.supervisor.requests import ResumeOrder
from nbrun.system import provenance


@dataclass(frozen=True)
class Opened:
    """A run that only has to go on. `seen`: when something was last seen of it, in seconds since it
    began; `secrets`: the values of those that were given again."""

    writer: Journal
    state: RunState
    seen: float
    role: Held | None
    resumed: ev.RunResumed
    replaced: ev.RunbookReplaced | None
    secrets: Mapping[str, Any]


def open_run(directory: RunDirectory, order: ResumeOrder) -> Opened:
    """Take the journal of an interrupted run.

    Raises:
        UsageError: it goes on or has ended; its role can't be taken again; or the new runbook is
            none, or the policy does not allow it. Nothing was changed.
        JournalError: the journal can't be written, or is damaged.
    """
    found = open_journal(directory)
    try:
        find_kernelspec(found.state.plan.kernelspec)
        why_not = guards.of_new_runbook(found.state, order.reason) if order.new_runbook else None
        if why_not is not None:
            raise UsageError(f"{directory.id}: {why_not}")
        secrets = secret_reentry.values(found.state, order.given)
        replaced = replacement(found.state) if order.new_runbook else None
        role = role_of(found.state)
    except BaseException:
        found.writer.close()
        raise
    resumed = ev.RunResumed(
        operator=provenance.operator(os.getppid()),
        host=socket.gethostname(),
        versions=provenance.versions(),
        reason=order.reason,
        boot_id=provenance.boot_id(),
        role=role.taken.told() if role else None,
        secrets=tuple(sorted(secrets)),
    )
    return Opened(found.writer, found.state, found.seen, role, resumed, replaced, secrets)


def open_journal(directory: RunDirectory) -> recovery.Reopened:
    """The journal of a run that was interrupted, and of no other. Raises as `open_run` does."""
    try:
        found = recovery.open_again(directory.journal)
    except BlockingIOError:
        raise UsageError(
            f"{directory.id}: the run goes on: see nbrun attach and nbrun watch"
        ) from None
    if found.state.phase is Phase.FINISHED:
        found.writer.close()
        raise UsageError(f"{directory.id}: the run has ended: see nbrun log")
    return found


def role_of(state: RunState) -> Held | None:
    """The role that the run's kernels have, taken again.

    Raises:
        UsageError: it can't be, or nbrun.toml has no such role any more.
    """
    plan = state.plan
    if plan.role is None:
        return None
    role = _settings(state).role(plan.role.name)
    before = plan.role.keys.get("unix_user", "")
    if role.unix_user != before:
        raise UsageError(
            f"the role {role.name}: unix_user is {role.unix_user!r} now, and was {before!r} when "
            "the run began, whose kernel runs as that user: put it back"
        )
    return kernel_plan.held(role, plan.kernelspec, Path(plan.cwd), plan.run)


def redaction_of(
    state: RunState, role: Held | None, secrets: Mapping[str, Any] = MappingProxyType({})
) -> Redaction:
    """What is kept out of the record from here on. The secrets among the parameters were known to
    the process that is gone, and to no other: `secrets` are those that were given again. Without
    `role` neither are those known that commands print."""
    taken = state.plan.role
    unknown = taken.env_from_cmd if taken and role is None else ()
    return Redaction(
        {**(role.taken.secrets if role else {}), **secrets},
        secret_reentry.spellings(state, secrets),
        patterns=_settings(state).redact_patterns,
        lost=(*state.plan.secrets, *unknown),
    )


def _settings(state: RunState) -> Config:
    return config.load_for(Path(state.plan.runbook))


def kernel_of(state: RunState, role: Held | None = None) -> LocalKernel:
    """What the run's kernels are spoken to through, the one it has and those to come."""
    plan = state.plan
    return LocalKernel(
        plan.kernelspec,
        cwd=Path(plan.cwd),
        attended=True,
        generation=state.generation,
        role=role,
    )


# ── the runbook, as it was and as it is ──────────────────────────────────────────────────────


def changes(state: RunState) -> str:
    """How the runbook's file differs from what the run follows, as a unified diff; empty where its
    steps do not.

    Raises:
        UsageError: it can't be read as a runbook.
    """
    if not _has_changed(state):
        return ""
    return _diff(state.order_of_steps(), _as_it_is(state).steps)


def _has_changed(state: RunState) -> bool:
    path = Path(state.plan.runbook)
    return loader.read(path).sha256 != state.plan.runbook_sha256


def replacement(state: RunState) -> ev.RunbookReplaced:
    """The runbook as it is now, taken for the steps that were not run."""
    book = _as_it_is(state)
    steps = merged(state, book.steps)
    return ev.RunbookReplaced(
        operator=provenance.operator(os.getppid()),
        runbook_sha256=book.sha256,
        git_commit=provenance.git_commit(book.path.parent),
        steps=steps,
        epilogue=book.epilogue,
        diff=_diff(state.order_of_steps(), steps),
    )


def _as_it_is(state: RunState) -> Runbook:
    plan = state.plan
    read = loader.read(Path(plan.runbook))
    language = state.kernel_info.language if state.kernel_info else loader.language(read)
    node = resolve.inject(read.node, plan.parameters, plan.kernelspec, language)
    return loader.plan(replace(read, node=node), _ground(state, read.node, language))


def _ground(state: RunState, node: Any, language: str | None) -> Ground:
    """As when the run began: what its questions may name."""
    declared = resolve.declared(node, language, state.plan.kernelspec)
    hidden = {*state.plan.secrets, *(name for name, each in declared.items() if each.secret)}
    known = resolve.known_values(declared, state.plan.parameters, language)
    shown = {name: value for name, value in known.items() if name not in hidden}
    return Ground(_settings(state).defaults, shown, frozenset(hidden))


def merged(state: RunState, new: Iterable[Step]) -> tuple[Step, ...]:
    """The steps of `new` in their order, but those that were run or passed over as they were
    recorded; one that `new` lacks stays behind the one it followed."""
    touched = {id_: each.step for id_, each in state.steps.items() if each.attempts or each.skipped}
    steps = [touched.get(step.id, step) for step in new]
    for id_ in state.order:
        if id_ in touched and touched[id_] not in steps:
            steps.insert(_place(state, steps, id_), touched[id_])
    return tuple(
        msgspec.structs.replace(step, number=number) for number, step in enumerate(steps, 1)
    )


def _place(state: RunState, steps: list[Step], id_: str) -> int:
    """Behind the nearest step before `id_`, in the order so far, that is among `steps`."""
    before = state.order[: state.order.index(id_)]
    places = {step.id: place for place, step in enumerate(steps, 1)}
    return max((places[other] for other in before if other in places), default=0)


def _diff(old: Iterable[Step], new: Iterable[Step]) -> str:
    lines = difflib.unified_diff(_told(old), _told(new), "recorded", "now", lineterm="", n=3)
    return "\n".join(lines)


def _told(steps: Iterable[Step]) -> list[str]:
    return [line for step in steps for line in (f"## {step.title}", *step.source.splitlines(), "")]
