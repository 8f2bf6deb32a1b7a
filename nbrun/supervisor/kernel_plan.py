"""Plan the kernel of a new run: the part of a request that has to be known to launch it.

The rest of the request is checked while the kernel boots (see `prepare`).
"""

import os
from dataclasses import dataclass
from pathlib import Path

from nbrun import config
from nbrun.audit import runbook_trust
from nbrun.audit.tracing import switch
from nbrun.config import Config
from nbrun.core import trace_context
from nbrun.core.model import RunbookProof
from nbrun.errors import UsageError
from nbrun.journal import run_directory
from nbrun.journal.run_directory import RunDirectory
from nbrun.kernel.jupyter_adapter import (
    check_encryption,
    find_kernelspec,
    kernelspec_for,
    provisioner_of,
    python_for,
    starts_here,
)
from nbrun.kernel.launcher import KernelLauncher
from nbrun.kernel.remote import launcher as remote_launcher
from nbrun.kernel.remote.api import GatewayApi
from nbrun.kernel.remote.launcher import GatewayLauncher
from nbrun.kernel.roles.roles import Role, RoleContext, RunRole
from nbrun.runbook import loader, notebook
from nbrun.runbook.loader import ParsedNotebook
from nbrun.supervisor import gateway as gateways
from nbrun.supervisor.requests import StartRequest
from nbrun.system import group_access, provenance


@dataclass(frozen=True)
class KernelPlan:
    """The launch of a run's kernel, and the files that were read to plan it.

    Attributes:
        language: the kernelspec's.
        attended: the kernel may ask for input.
        proofs: how the runbook satisfied the rules of nbrun.toml.
        run: the id that the run will have.
        role: the role that the kernel acts as, already taken.
        gateway: what runs the kernel; None for this machine.
    """

    parsed: ParsedNotebook
    kernelspec: str
    language: str
    cwd: Path
    attended: bool
    config: Config
    proofs: tuple[RunbookProof, ...]
    run: str
    role: RunRole | None
    gateway: GatewayApi | None = None

    def launcher(self) -> KernelLauncher | GatewayLauncher:
        """Return the launcher of the kernel, which is not running yet."""
        if self.gateway is not None:
            return GatewayLauncher(self.gateway, self.kernelspec, attended=self.attended)
        return KernelLauncher(
            self.kernelspec,
            cwd=self.cwd,
            attended=self.attended,
            role=self.role,
            variables=switch.kernel_variables(
                os.environ, self.run, trace_context.incoming(os.environ)
            ),
        )


def plan_kernel(request: StartRequest) -> KernelPlan:
    """Check as much of `request` as a kernel needs, and take the role that it names.

    Raises:
        UsageError: that part of the request is wrong.
    """
    options = request.options
    path = request.runbook.absolute()
    cwd = _cwd(options.cwd, Path.cwd() if request.address else path.parent)
    settings = config.load_for_run(request.address or str(path), cwd)
    parsed, proofs = _parse(request, settings)
    settings.check_trust()
    gateway = gateways.choose(options, settings)
    name, language = _kernelspec(options.kernel, parsed, gateway)
    if options.group:
        group_access.gid_of(options.group)
    run = run_directory.new_id(parsed.path)
    return KernelPlan(
        parsed=parsed,
        kernelspec=name,
        language=language,
        cwd=cwd,
        attended=request.attended,
        config=settings,
        proofs=proofs,
        run=run,
        role=take_role(settings.role(options.role), name, cwd, run) if options.role else None,
        gateway=gateway,
    )


def _parse(
    request: StartRequest, settings: Config
) -> tuple[ParsedNotebook, tuple[RunbookProof, ...]]:
    """Return the runbook that `request` names, or the one that undoes an ended run.

    The rules are checked first of all, on the bytes that will run: a runbook that is not allowed
    starts nothing.
    """
    rules = settings.runbook_rules
    if request.undoes is None:
        path = request.runbook.absolute()
        data = loader.read_bytes(path)
        proofs = runbook_trust.prove(path, data, rules)
        return loader.parse(path, data), proofs
    from nbrun.supervisor import undo_request  # seldom needed: keep the start of others quick

    directory = RunDirectory(request.undoes)
    undo_request.lock(directory)
    parsed = undo_request.parse(directory, settings)
    return parsed, undo_request.proofs(directory, rules)


def _kernelspec(
    option: str | None, parsed: ParsedNotebook, gateway: GatewayApi | None
) -> tuple[str, str]:
    """Return the name and the language of the kernelspec, where the kernel is to run.

    Raises RunbookError, UsageError.
    """
    named = option or notebook.kernel_name(parsed.metadata)
    if gateway is not None:
        wanted = option or gateway.settings.kernel or named
        return remote_launcher.find_kernelspec(gateway, wanted, parsed.language)
    if named is None and parsed.language:
        named = kernelspec_for(parsed.language)
    return str(named), str(find_kernelspec(named).language)


def take_role(role: Role, kernelspec: str, cwd: Path, run: str) -> RunRole:
    """Take `role` for the kernels of a run, which start in the folder `cwd`.

    Raises:
        UsageError: the role can't be taken.
    """
    check_role(role, kernelspec)
    context = RoleContext(
        environ=os.environ,
        python=python_for(kernelspec),
        cwd=str(cwd),
        here=Path.cwd(),
        run=run,
        operator=provenance.account(os.getuid()),
    )
    return RunRole(role, context)


def check_role(role: Role, kernelspec: str) -> None:
    """Check that the kernels of a kernelspec can have `role`.

    Raises:
        UsageError: they are started by a provisioner that does not let nbrun decide about them.
    """
    spec = find_kernelspec(kernelspec)
    provisioner = provisioner_of(spec)
    if provisioner and (role.unix_user or not starts_here(spec)):
        wants = "starts it as another Unix user" if role.unix_user else "decides about all of it"
        raise UsageError(
            f"the role {role.name}: the kernel {kernelspec!r} is started by the provisioner "
            f"{provisioner!r}, and the role {wants}: choose another kernel, or no role"
        )
    if role.unix_user:
        check_encryption(kernelspec)


def provisioner_notices(kernelspec: str) -> tuple[str, ...]:
    """Return what the operator should know of a kernel that is started in a way of its own."""
    spec = find_kernelspec(kernelspec)
    if starts_here(spec):
        return ()
    return (
        f"the kernel is started by the provisioner {provisioner_of(spec)!r}: nbrun can't see its "
        "processes, and does not find it again if nbrun itself is killed",
    )


def _cwd(option: Path | None, default: Path) -> Path:
    cwd = (option or default).absolute()
    if not cwd.is_dir():
        raise UsageError(f"--cwd {cwd}: no such folder")
    return cwd
