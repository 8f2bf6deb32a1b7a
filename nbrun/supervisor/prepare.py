"""Check a request to start a run, and create the run's directory and journal."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path

import msgspec

from nbrun import config
from nbrun.audit import approval_signatures, ssh_signatures
from nbrun.config import Config
from nbrun.core import events as ev
from nbrun.core import model, trace_context
from nbrun.core.redaction.common_words import common_secrets
from nbrun.core.redaction.redactor import Redaction
from nbrun.errors import JournalError, SignatureError, UsageError
from nbrun.journal import run_directory, runs_index
from nbrun.journal.run_directory import RunDirectory
from nbrun.journal.writer import Journal
from nbrun.kernel.remote.api import GatewayApi
from nbrun.kernel.roles.roles import RunRole
from nbrun.notifications import receivers
from nbrun.runbook import loader, notebook
from nbrun.runbook.includes import planning
from nbrun.runbook.includes.values import BoundInclude
from nbrun.runbook.loader import Notebook, Runbook
from nbrun.runbook.parameters import injection, sources
from nbrun.runbook.parameters.declarations import declarations_of, surplus_cells
from nbrun.runbook.parameters.languages import language_name
from nbrun.runbook.parameters.resolve import ResolvedParameters, resolve
from nbrun.runbook.trust import repository
from nbrun.supervisor import gateway
from nbrun.supervisor.kernel_plan import KernelPlan, provisioner_notices
from nbrun.supervisor.requests import StartRequest
from nbrun.system import group_access, provenance

MAX_OUTPUT = 64 * 2**20  # bytes, if neither the request nor nbrun.toml sets a limit


@dataclass(frozen=True)
class CheckedRequest:
    """A valid request, with all that it refers to. Nothing was created or started for it yet.

    Attributes:
        sign_key: the fingerprint of the key that signs the record; empty without one.
        proofs: how the runbook satisfied the rules of nbrun.toml.
        included: the runbooks that it includes, with their parameters.
        run: the id that the run will have.
        step_timeout: as in the request.
    """

    notebook: Notebook
    kernelspec: str
    parameters: ResolvedParameters
    cwd: Path
    policy: model.Policy
    sign_key: str
    config: Config
    proofs: tuple[model.RunbookProof, ...]
    included: tuple[BoundInclude, ...]
    run: str
    role: RunRole | None
    step_timeout: float | None = None
    gateway: GatewayApi | None = None

    def redaction(self) -> Redaction:
        """Return the redaction of the run's secrets and of what the team's patterns match."""
        parameters = self.parameters
        secrets = parameters.secret_values
        return Redaction(
            {**(self.role.taken.secrets if self.role else {}), **secrets},
            injection.source_literals(secrets, parameters.declarations.language),
            self.config.redact_patterns,
        )

    def notices(self) -> tuple[str, ...]:
        """Return what the operator should know before the run, for the record."""
        unmatched = sources.unmatched_variables(os.environ, self.parameters.declarations.parameters)
        return (
            self.notebook.notices
            + tuple(
                f"{self.notebook.places.in_file(number)} is tagged as parameters like a cell "
                "before it: it declares nothing"
                for number in surplus_cells(self.notebook.node)
            )
            + tuple(
                f"{variable} is set, and this runbook has no such parameter"
                for variable in unmatched
            )
            + planning.notices(self.included)
            + self._common_secret_notices()
            + self.config.notices
            + receivers.notices(self.config)
            + (gateway.notices(self.gateway) or provisioner_notices(self.kernelspec))
        )

    def _common_secret_notices(self) -> tuple[str, ...]:
        notebooks = (self.notebook, *planning.notebooks(self.included))
        sources = (cell["source"] for each in notebooks for cell in each.node["cells"])
        place = (str(self.notebook.path), str(self.cwd), self.kernelspec)
        common = common_secrets(self.parameters.secret_values, (*place, *sources))
        return tuple(
            f"the secret {name} is a common word, or the runbook contains it: a reader can guess "
            "it from the text around its placeholders. Choose another value"
            for name in common
        )


@dataclass(frozen=True)
class PreparedRun:
    """A run that is ready to begin."""

    started: ev.RunStarted
    directory: RunDirectory
    journal: Journal


def check(request: StartRequest, kernel: KernelPlan) -> CheckedRequest:
    """Check the part of `request` that `kernel` does not cover.

    Raises:
        UsageError: that part of the request, the notebook or a parameter is wrong.
    """
    policy = _policy(request, kernel.config)
    valid = loader.validate(kernel.parsed)
    own_language = notebook.language(valid.metadata) or kernel.language
    language = language_name(kernel.kernelspec, own_language)
    declarations = declarations_of(valid.node, language, valid.places)
    parameters = resolve(declarations, request.given, undeclared=request.options.undeclared)
    return CheckedRequest(
        notebook=valid,
        kernelspec=kernel.kernelspec,
        parameters=parameters,
        cwd=kernel.cwd,
        policy=policy,
        sign_key=_fingerprint(policy),
        config=kernel.config,
        proofs=kernel.proofs,
        included=planning.bind(valid, parameters),
        run=kernel.run,
        role=kernel.role,
        gateway=kernel.gateway,
        step_timeout=request.step_timeout,
    )


def prepare(request: StartRequest, checked: CheckedRequest) -> PreparedRun:
    """Plan the run, and create its directory and its journal.

    Raises:
        UsageError: the notebook can't be planned. Nothing was created.
        JournalError: the journal can't be created.
    """
    runbook = plan(checked)
    runs_dir = config.runs_dir(request.options.runs_dir)
    directory = run_directory.create(runs_dir, checked.run)
    journal = Journal.create(directory.journal)
    if checked.policy.group:
        directory.share(group_access.gid_of(checked.policy.group))
    return PreparedRun(
        started=_run_started(request, checked, runbook, directory),
        directory=directory,
        journal=journal,
    )


def plan(checked: CheckedRequest) -> Runbook:
    """Return the runbook's steps, with the one that assigns the parameters.

    Raises:
        ParameterError: the notebook's language can't express a value.
        RunbookError: the contract of a step is not valid.
    """
    limit = {} if checked.step_timeout is None else {"timeout": checked.step_timeout}
    defaults = {**checked.config.defaults, **limit}
    return planning.plan(checked.notebook, checked.parameters, defaults, checked.included)


def _shared_folder_notice(directory: RunDirectory) -> tuple[str, ...]:
    """Return a notice if other users can replace the run's directory by another one."""
    parent = directory.path.parent
    if not group_access.is_open_to_replacement(parent):
        return ()
    return (f"others can rename and replace the runs in {parent}: chmod +t {parent} prevents that",)


def _group_access_notice(group: str, directory: RunDirectory) -> tuple[str, ...]:
    """Return a notice if the members of `group` can't reach the run's directory."""
    folder = (
        group_access.blocking_folder(directory.path, group_access.gid_of(group)) if group else None
    )
    if folder is None:
        return ()
    return (
        f"the group {group} can't get to this run: {folder} does not let its members through; "
        f"chgrp {group} and chmod g+x would, or other --runs-dir",
    )


def _policy(request: StartRequest, settings: Config) -> model.Policy:
    """Combine the options of the command line with the settings of nbrun.toml.

    Raises:
        UsageError: --step or --by-hand was given and there is no terminal, or --by-hand where the
            script may not be left.
    """
    options = request.options
    if options.step and not request.attended:
        raise UsageError("--step asks before every step, and there is no terminal to ask on")
    if options.by_hand:
        _check_by_hand(request, settings)
    if options.operators and options.group not in ("", options.operators):
        raise UsageError("--operators shares the run with its group: leave --group out")
    approval_signatures.check_files(settings.approver_keys)
    if request.by_program and not (settings.programs.propose or settings.programs.decide):
        raise UsageError("the policy in nbrun.toml lets programs do nothing, and start no run")
    key = options.sign or settings.sign_key
    return model.Policy(
        attended=request.attended,
        on_failure=options.on_failure,
        step=options.step or request.by_program,
        by_hand=options.by_hand,
        strict=options.strict or settings.strict,
        shell_errors=options.shell_errors,
        nested_errors=options.nested_errors,
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
        approvals=settings.approvals,
        approve_within=settings.approve_within,
        approver_keys=dict(settings.approver_keys),
        group=options.group or options.operators,
        operators=options.operators,
        role_users=_role_users(settings),
        programs=settings.programs,
    )


def _role_users(settings: Config) -> tuple[str, ...]:
    """Return the accounts that the team's roles act as, each by the name that its uid has."""
    return tuple(sorted(set(map(provenance.account_name, settings.role_users))))


def _check_by_hand(request: StartRequest, settings: Config) -> None:
    """Refuse --by-hand without a terminal, and where doing a step by hand is not allowed."""
    if not request.attended:
        raise UsageError("--by-hand asks about every step, and there is no terminal to ask on")
    if request.options.strict or settings.strict:
        raise UsageError("--by-hand leaves the script at every step, which --strict refuses")
    if settings.allow is not None and "by_hand" not in settings.allow:
        raise UsageError("--by-hand: the policy in nbrun.toml does not allow by_hand")


def _max_output(option: int | None, setting: int | None) -> int:
    """Return the limit of a step's recorded output in bytes. The option takes precedence."""
    if option is not None:
        return option
    return MAX_OUTPUT if setting is None else setting


def _fingerprint(policy: model.Policy) -> str:
    """Return the fingerprint of the signing key; empty without one.

    The key signs a test now. At the end of the run, it would be too late to find that it can't.
    """
    if not policy.sign:
        return ""
    key = Path(policy.sign)
    try:
        ssh_signatures.sign(key, b"can it sign?")
        return ssh_signatures.fingerprint(key)
    except SignatureError as error:
        raise UsageError(
            f"--sign {key}: can't sign: {error}. Add a key with a passphrase to ssh-agent"
        ) from error


def _operator(request: StartRequest) -> model.Operator:
    """Return who starts the run: the user of the process that started this one."""
    operator = provenance.operator(os.getppid())
    return msgspec.structs.replace(
        operator, channel="program" if request.by_program else "terminal"
    )


def _run_started(
    request: StartRequest, checked: CheckedRequest, runbook: Runbook, directory: RunDirectory
) -> ev.RunStarted:
    return ev.RunStarted(
        run=directory.id,
        runbook=request.address or str(runbook.path),
        runbook_sha256=runbook.sha256,
        git_commit=None if request.address else repository.checked_out_commit(runbook.path.parent),
        metadata=runbook.metadata,
        steps=runbook.steps,
        epilogue=runbook.epilogue,
        parameters=checked.parameters.values,
        kernelspec=checked.kernelspec,
        cwd="" if checked.gateway else str(checked.cwd),
        operator=_operator(request),
        host=socket.gethostname(),
        versions=provenance.versions(),
        policy=checked.policy,
        reason=request.options.reason,
        ticket=request.options.ticket,
        notices=checked.notices()
        + _group_access_notice(checked.policy.group, directory)
        + _shared_folder_notice(directory),
        boot_id=provenance.boot_id(),
        sign_key=checked.sign_key,
        secrets=tuple(sorted(checked.parameters.secrets)),
        role=checked.role.taken.recorded() if checked.role else None,
        index=_index_head(directory),
        settings=checked.config.files,
        gateway=checked.gateway.settings.url if checked.gateway else "",
        proofs=checked.proofs,
        traceparent=trace_context.incoming(os.environ),
        undoes=request.undoes.name if request.undoes is not None else "",
        includes=runbook.includes,
    )


def _index_head(directory: RunDirectory) -> str:
    """Return where the index of runs stands; empty if it can't be read, as is recorded later."""
    try:
        return runs_index.head(directory.path.parent)
    except JournalError:
        return ""
