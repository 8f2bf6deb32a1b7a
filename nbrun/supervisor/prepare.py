"""An order to start a run, checked and made ready: what is to run, where it is kept, its kernel."""

import os
import socket
from dataclasses import dataclass, replace
from pathlib import Path

from nbrun import config
from nbrun.audit import ssh_signatures
from nbrun.config import Config
from nbrun.core import events as ev
from nbrun.core import model
from nbrun.core.redaction import Redaction
from nbrun.errors import SignatureError, UsageError
from nbrun.journal import run_directory
from nbrun.journal.run_directory import RunDirectory
from nbrun.journal.writer import Journal
from nbrun.kernel.roles.roles import Held
from nbrun.runbook import loader
from nbrun.runbook.loader import Notebook, Runbook
from nbrun.runbook.parameters import resolve
from nbrun.supervisor import bound_parameters
from nbrun.supervisor.bound_parameters import Values
from nbrun.supervisor.kernel_plan import Outline
from nbrun.supervisor.requests import StartRequest
from nbrun.system import group_access, provenance

MAX_OUTPUT = 64 * 2**20  # bytes


@dataclass(frozen=True)
class Checked:
    """An order with nothing wrong in it. Nothing has been made or started for it yet."""

    notebook: Notebook
    kernelspec: str
    language: str
    given: Values
    cwd: Path
    policy: model.Policy
    sign_key: str
    config: Config
    run: str
    role: Held | None

    def redaction(self) -> Redaction:
        """What keeps out of the record what nobody may see."""
        return self.given.redaction(
            self.kernelspec,
            self.language,
            self.config.redact_patterns,
            self.role.taken.secrets if self.role else None,
        )


@dataclass(frozen=True)
class Prepared:
    """A run that only has to begin."""

    started: ev.RunStarted
    directory: RunDirectory
    journal: Journal


def check(order: StartRequest, outline: Outline) -> Checked:
    """Raises UsageError when something is wrong with the rest of the order."""
    policy = _policy(order, outline.config)
    read = loader.validated(outline.parsed)
    language = loader.language(read) or outline.language
    return Checked(
        notebook=read,
        kernelspec=outline.kernelspec,
        language=language,
        given=bound_parameters.resolved(
            order.given,
            read.node,
            kernel_name=outline.kernelspec,
            language=language,
            undeclared=order.options.undeclared,
        ),
        cwd=outline.cwd,
        policy=policy,
        sign_key=_fingerprint(policy),
        config=outline.config,
        run=outline.run,
        role=outline.role,
    )


def prepare(order: StartRequest, checked: Checked) -> Prepared:
    """Make the run's folder and its journal.

    Raises:
        UsageError: something is wrong with the notebook after all; nothing was made.
        JournalError: the record can't be kept.
    """
    book = planned(checked)
    runs_dir = config.runs_dir(order.options.runs_dir)
    directory = run_directory.create(runs_dir, checked.run)
    journal = Journal.create(directory.journal)
    if order.options.group:
        directory.share(group_access.gid_of(order.options.group))
    return Prepared(
        started=_started(order, checked, book, directory),
        directory=directory,
        journal=journal,
    )


def _unreached(group: str, directory: RunDirectory) -> tuple[str, ...]:
    """That those whom the run is shared with can't get to it, and what to do."""
    folder = group_access.obstacle(directory.path, group_access.gid_of(group)) if group else None
    if folder is None:
        return ()
    return (
        f"the group {group} can't get to this run: {folder} does not let its members through; "
        f"chgrp {group} and chmod g+x would, or other --runs-dir",
    )


def planned(checked: Checked) -> Runbook:
    """The steps, with a cell that sets the parameters."""
    given = checked.given
    node = resolve.inject(checked.notebook.node, given.values, checked.kernelspec, checked.language)
    ground = given.ground(checked.config.defaults, checked.language)
    return loader.plan(replace(checked.notebook, node=node), ground)


def _policy(order: StartRequest, settings: Config) -> model.Policy:
    """Combine the options of the command line with the settings of nbrun.toml.

    Raises:
        UsageError: --step was given and there is no terminal.
    """
    options = order.options
    if options.step and not order.attended:
        raise UsageError("--step asks before every step, and there is no terminal to ask on")
    key = options.sign or settings.sign_key
    return model.Policy(
        attended=order.attended,
        on_failure=options.on_failure,
        step=options.step,
        strict=options.strict or settings.strict,
        shell_errors=options.shell_errors,
        wait_for=options.wait_for,
        max_output=_max_output(options.max_output, settings.max_output),
        sign=str(key.expanduser().absolute()) if key else "",
        forward=settings.forward,
        yes=options.yes,
        yes_destructive=options.yes_destructive,
        allow=settings.allow,
        need_reason=settings.need_reason,
        need_approval=settings.need_approval,
        approvers=settings.approvers,
        group=options.group,
    )


def _max_output(option: int | None, setting: int | None) -> int:
    """Return the bytes of output that are kept of a step: the option goes before nbrun.toml."""
    if option is not None:
        return option
    return MAX_OUTPUT if setting is None else setting


def _fingerprint(policy: model.Policy) -> str:
    """Of the key that is to sign, tried now: at the end of a run it is too late to find that it
    can't. Empty when there is none."""
    if not policy.sign:
        return ""
    key = Path(policy.sign)
    try:
        ssh_signatures.sign(key, b"can it sign?")
        return ssh_signatures.fingerprint(key)
    except SignatureError as error:
        raise UsageError(
            f"--sign {key}: can't sign: {error}. A key with a passphrase has to be in an agent"
        ) from error


def _started(
    order: StartRequest, checked: Checked, book: Runbook, directory: RunDirectory
) -> ev.RunStarted:
    return ev.RunStarted(
        run=directory.id,
        runbook=str(book.path),
        runbook_sha256=book.sha256,
        git_commit=provenance.git_commit(book.path.parent),
        metadata=book.metadata,
        steps=book.steps,
        epilogue=book.epilogue,
        parameters=checked.given.values,
        kernelspec=checked.kernelspec,
        cwd=str(checked.cwd),
        operator=provenance.operator(os.getppid()),
        host=socket.gethostname(),
        versions=provenance.versions(),
        policy=checked.policy,
        reason=order.options.reason,
        ticket=order.options.ticket,
        notices=book.notices + checked.given.notices + _unreached(order.options.group, directory),
        boot_id=provenance.boot_id(),
        sign_key=checked.sign_key,
        secrets=tuple(sorted(checked.given.secret)),
        role=checked.role.taken.told() if checked.role else None,
    )
