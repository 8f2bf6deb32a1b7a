"""`nbrun start`: run a notebook as a runbook, in a supervisor of its own."""

import os
import socket
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from nbrun import config, parameter_values, parameters, provenance, roles, run_directory, runbook
from nbrun import events as ev
from nbrun.commands.values import Wanted, gather
from nbrun.config import Config
from nbrun.errors import ExitCode, UsageError
from nbrun.journal import Journal
from nbrun.jupyter import find_kernelspec
from nbrun.kernel import LocalKernel
from nbrun.parameter_values import Values
from nbrun.redaction import Redaction
from nbrun.roles import Taken
from nbrun.run_directory import RunDirectory
from nbrun.runbook import Notebook, Runbook


@dataclass(frozen=True)
class Request:
    """What was asked for on the command line (see `nbrun start --help`)."""

    runbook: Path
    assignments: tuple[str, ...] = ()
    parameters_file: Path | None = None
    undeclared: bool = False
    runs_dir: Path | None = None
    kernel: str | None = None
    cwd: Path | None = None
    step: bool = False
    strict: bool = False
    on_failure: Literal["ask", "stop"] = "ask"
    shell_errors: Literal["fail", "ignore"] = "fail"
    yes: bool = False
    yes_destructive: bool = False
    role: str | None = None
    reason: str = ""
    ticket: str = ""
    json: bool = False


@dataclass(frozen=True)
class Checked:
    """A request with nothing wrong in it. Nothing has been made or started for it yet."""

    notebook: Notebook
    kernelspec: str
    language: str
    given: Values
    cwd: Path
    policy: ev.Policy
    config: Config
    taken: Taken | None

    def redaction(self) -> Redaction:
        return self.given.redaction(
            self.kernelspec,
            self.language,
            self.config.redact_patterns,
            self.taken.secrets if self.taken else None,
        )


def start(request: Request) -> ExitCode:
    """Check everything, then run. The kernel boots while the rest is imported and made.

    Raises:
        DeclinedError: something is wrong with the order; nothing was made or run.
        NbrunError: the supervisor ended before the run began.
    """
    checked = check(request)
    kernel = LocalKernel(
        checked.kernelspec,
        cwd=checked.cwd,
        attended=checked.policy.attended,
        environment=checked.taken.environment if checked.taken else None,
    )
    kernel.launch()
    try:
        book = planned(checked)
        directory = run_directory.create(run_directory.runs_dir(request.runs_dir), book.path)
        writer = Journal.create(directory.journal)
        started = _started(request, checked, book, directory)
        from nbrun.commands.conduct import conduct

        redaction = checked.redaction()
        return conduct(started, directory, writer, kernel, redaction, json=request.json)
    finally:
        kernel.shutdown()


# ── checking ─────────────────────────────────────────────────────────────────────────────────


def check(request: Request) -> Checked:
    """Raises UsageError when something is wrong with the request."""
    read = runbook.read(request.runbook)
    name = runbook.kernel_name(read, request.kernel)
    spec = find_kernelspec(name)
    language = runbook.language(read) or str(spec.language)
    settings = config.load_for(read.path)
    policy = _policy(request, settings)
    return Checked(
        notebook=read,
        kernelspec=str(name),
        language=language,
        cwd=_cwd(request, read.path),
        policy=policy,
        config=settings,
        taken=roles.take(settings.role(request.role), os.environ) if request.role else None,
        given=parameter_values.resolved(
            gather(_wanted(request, policy), request.runbook, request.kernel),
            read.node,
            kernel_name=str(name),
            language=language,
            undeclared=request.undeclared,
        ),
    )


def planned(checked: Checked) -> Runbook:
    """The steps, with a cell that sets the parameters."""
    given = checked.given
    node = parameters.inject(
        checked.notebook.node, given.values, checked.kernelspec, checked.language
    )
    return runbook.plan(
        replace(checked.notebook, node=node),
        given.ground(checked.config.defaults, checked.language),
    )


def _wanted(request: Request, policy: ev.Policy) -> Wanted:
    return Wanted(
        assignments=request.assignments,
        file=request.parameters_file,
        interactive=policy.attended,
    )


def _cwd(request: Request, path: Path) -> Path:
    cwd = (request.cwd or path.parent).absolute()
    if not cwd.is_dir():
        raise UsageError(f"--cwd {cwd}: there is no such folder")
    return cwd


def _policy(request: Request, settings: Config) -> ev.Policy:
    attended = not request.json and _someone_is_there()
    if request.step and not attended:
        raise UsageError("--step asks before every step, and there is no terminal to ask on")
    return ev.Policy(
        attended=attended,
        on_failure=request.on_failure,
        step=request.step,
        strict=request.strict or settings.strict,
        shell_errors=request.shell_errors,
        yes=request.yes,
        yes_destructive=request.yes_destructive,
        allow=settings.allow,
        need_reason=settings.need_reason,
    )


def _someone_is_there() -> bool:
    """A person can be asked: the keyboard is a terminal, and so is somewhere to ask on."""
    return sys.stdin.isatty() and (sys.stdout.isatty() or sys.stderr.isatty())


# ── the first event ──────────────────────────────────────────────────────────────────────────


def _started(
    request: Request, checked: Checked, book: Runbook, directory: RunDirectory
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
        operator=provenance.operator(),
        host=socket.gethostname(),
        versions=provenance.versions(),
        policy=checked.policy,
        reason=request.reason,
        ticket=request.ticket,
        notices=book.notices + checked.given.notices,
        secrets=tuple(sorted(checked.given.secret)),
        role=checked.taken.told() if checked.taken else None,
    )
