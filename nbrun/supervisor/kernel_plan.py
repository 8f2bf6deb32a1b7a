"""What of an order to start a run its kernel is started by: so much is found out first."""

import os
from dataclasses import dataclass
from pathlib import Path

from nbrun import config
from nbrun.config import Config
from nbrun.errors import UsageError
from nbrun.journal import run_directory
from nbrun.kernel.jupyter_adapter import check_encryption, find_kernelspec, python_of
from nbrun.kernel.launcher import KernelLauncher
from nbrun.kernel.roles.roles import Ground, Held, Role
from nbrun.runbook import loader
from nbrun.runbook.loader import Parsed
from nbrun.supervisor.requests import StartRequest
from nbrun.system import group_access, provenance


@dataclass(frozen=True)
class Outline:
    """What of an order a kernel is started by. The rest is checked while that boots."""

    parsed: Parsed
    kernelspec: str
    language: str  # of the kernelspec
    cwd: Path
    attended: bool
    config: Config
    run: str  # its id, if it comes to be one
    role: Held | None

    def launcher(self) -> KernelLauncher:
        return KernelLauncher(
            self.kernelspec,
            cwd=self.cwd,
            attended=self.attended,
            role=self.role,
        )


def of(order: StartRequest) -> Outline:
    """Raises UsageError when something is wrong with that much of the order."""
    parsed = loader.parse(order.runbook)
    options = order.options
    name = loader.kernel_name(parsed, options.kernel)
    spec = find_kernelspec(name)
    settings = config.load_for(parsed.path)
    if options.group:
        group_access.gid_of(options.group)
    run, cwd = run_directory.new_id(parsed.path), _cwd(options.cwd, parsed.path)
    return Outline(
        parsed=parsed,
        kernelspec=str(name),
        language=str(spec.language),
        cwd=cwd,
        attended=order.attended,
        config=settings,
        run=run,
        role=held(settings.role(options.role), str(name), cwd, run) if options.role else None,
    )


def held(role: Role, kernelspec: str, cwd: Path, run: str) -> Held:
    """`role`, taken for kernels of that kernelspec in the folder `cwd`.

    Raises:
        UsageError: it can't be.
    """
    if role.unix_user:
        check_encryption(kernelspec)
    ground = Ground(
        environ=os.environ,
        python=python_of(kernelspec),
        cwd=str(cwd),
        here=Path.cwd(),
        run=run,
        operator=provenance.account(os.getuid()),
    )
    return Held(role, ground)


def _cwd(option: Path | None, runbook: Path) -> Path:
    cwd = (option or runbook.parent).absolute()
    if not cwd.is_dir():
        raise UsageError(f"--cwd {cwd}: there is no such folder")
    return cwd
