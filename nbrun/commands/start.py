"""`nbrun start`: run a notebook as a runbook, with the operator at this terminal."""

import logging
import os
import platform
import pwd
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from rich.console import Console as RichConsole

from nbrun import __version__, parameters, run_directory, runbook
from nbrun import events as ev
from nbrun.commands.screens import JsonView, exit_code, screen
from nbrun.console import Asker, Console, View
from nbrun.engine import Engine
from nbrun.errors import ExitCode, UsageError
from nbrun.journal import Journal, Reading
from nbrun.kernel import LocalKernel, find_kernelspec
from nbrun.link import LocalLink
from nbrun.run_directory import RunDirectory
from nbrun.runbook import Runbook
from nbrun.views import notebook
from nbrun.views.dialogue import Dialogue
from nbrun.views.keyboard import Keyboard
from nbrun.views.terminal import TerminalView


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
    reason: str = ""
    ticket: str = ""
    json: bool = False


@dataclass(frozen=True)
class _Plan:
    """A checked request: nothing has been made or started for it yet."""

    runbook: Runbook
    kernelspec: str
    values: dict[str, Any]
    cwd: Path
    policy: ev.Policy


def start(request: Request) -> ExitCode:
    """Check everything, then run.

    Raises:
        UsageError: something is wrong with the request; nothing was made or run.
        JournalError: the record can't be kept.
    """
    plan = _checked(request)
    directory = run_directory.create(run_directory.runs_dir(request.runs_dir), request.runbook)
    writer = Journal.create(directory.journal)
    operator = _operator()
    started = _started(request, plan, directory, operator)
    return _run(plan, started, directory, writer, request)


# ── checking ─────────────────────────────────────────────────────────────────────────────────


def _checked(request: Request) -> _Plan:
    read = runbook.read(request.runbook)
    name = runbook.kernel_name(read, request.kernel)
    spec = find_kernelspec(name)
    language = runbook.language(read) or str(spec.language)
    values = _values(request, read, name, language)
    node = parameters.inject(read.node, values, name, language)
    return _Plan(
        runbook=runbook.plan(replace(read, node=node)),
        kernelspec=str(name),
        values=values,
        cwd=_cwd(request, read.path),
        policy=_policy(request),
    )


def _values(
    request: Request, read: runbook.Notebook, name: str | None, language: str
) -> dict[str, Any]:
    assignments = parameters.parse_assignments(request.assignments)
    from_file = parameters.read_file(request.parameters_file) if request.parameters_file else {}
    if not assignments and not from_file:
        return {}
    return parameters.resolve(
        parameters.declared(read.node, language, name),
        assignments,
        from_file,
        language=language,
        undeclared=request.undeclared,
    )


def _cwd(request: Request, path: Path) -> Path:
    cwd = (request.cwd or path.parent).absolute()
    if not cwd.is_dir():
        raise UsageError(f"--cwd {cwd}: there is no such folder")
    return cwd


def _policy(request: Request) -> ev.Policy:
    attended = not request.json and _someone_is_there()
    if request.step and not attended:
        raise UsageError("--step asks before every step, and there is no terminal to ask on")
    return ev.Policy(
        attended=attended,
        on_failure=request.on_failure,
        step=request.step,
        strict=request.strict,
        shell_errors=request.shell_errors,
    )


def _someone_is_there() -> bool:
    """A person can be asked: the keyboard is a terminal, and so is somewhere to ask on."""
    return sys.stdin.isatty() and (sys.stdout.isatty() or sys.stderr.isatty())


# ── the first event ──────────────────────────────────────────────────────────────────────────


def _started(
    request: Request, plan: _Plan, directory: RunDirectory, operator: ev.Operator
) -> ev.RunStarted:
    book = plan.runbook
    return ev.RunStarted(
        run=directory.id,
        runbook=str(book.path),
        runbook_sha256=book.sha256,
        git_commit=_git_commit(book.path.parent),
        metadata=book.metadata,
        steps=book.steps,
        epilogue=book.epilogue,
        parameters=plan.values,
        kernelspec=plan.kernelspec,
        cwd=str(plan.cwd),
        operator=operator,
        host=socket.gethostname(),
        versions=_versions(),
        policy=plan.policy,
        reason=request.reason,
        ticket=request.ticket,
        notices=book.notices,
    )


def _operator() -> ev.Operator:
    """Who runs this process, from the system's own knowledge, not from the environment's."""
    uid = os.getuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    via = os.ttyname(sys.stdin.fileno()) if sys.stdin.isatty() else "no terminal"
    return ev.Operator(uid=uid, name=name, via=via)


def _git_commit(folder: Path) -> str | None:
    """The commit that is checked out where the runbook lies; None outside a checkout."""
    git = shutil.which("git")
    if git is None:
        return None
    asked = subprocess.run(  # noqa: S603  fixed words; the folder is the one run in
        [git, "-C", str(folder), "rev-parse", "--verify", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
        timeout=5,
    )
    return asked.stdout.strip() or None


def _versions() -> dict[str, str]:
    packages = ("ipykernel", "jupyter-client", "nbclient", "nbformat", "papermill")
    return {
        "nbrun": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        **{package: version(package) for package in packages},
    }


# ── wiring ───────────────────────────────────────────────────────────────────────────────────


def _run(
    plan: _Plan,
    started: ev.RunStarted,
    directory: RunDirectory,
    writer: Journal,
    request: Request,
) -> ExitCode:
    logging.basicConfig(filename=directory.log, level=logging.WARNING)
    link = LocalLink(started.operator)
    engine = Engine(
        writer,
        make_kernel=lambda sink: LocalKernel(
            plan.kernelspec,
            cwd=plan.cwd,
            sink=sink,
            attended=plan.policy.attended,
            log=directory.log,
        ),
        publish=link.publish,
        save_notebook=_saver(directory, plan.runbook.path),
    )
    link.connect(engine.inbox)
    failure: list[BaseException] = []
    thread = threading.Thread(
        target=_engine_thread, args=(engine, started, link, failure), name="nbrun-engine"
    )
    thread.start()
    try:
        state = Console(link, *_terminal(plan, directory, link, request)).follow()
    except BaseException:  # a run must not wait for ever for a console that is gone
        link.send(ev.Cancel(reason="nbrun's own console failed"))
        raise
    finally:
        thread.join()
    if failure:
        raise failure[0]
    return exit_code(state)


def _engine_thread(
    engine: Engine, started: ev.RunStarted, link: LocalLink, failure: list[BaseException]
) -> None:
    """What ends the engine early is raised where the command can answer for it."""
    try:
        engine.run(started)
    except BaseException as error:  # noqa: BLE001
        failure.append(error)
    finally:
        link.close()


def _saver(directory: RunDirectory, book: Path) -> Callable[[ev.RunFinished | None], str | None]:
    """Writes the output notebook from the journal. One that can't be written stops nothing: it
    can be made again, and the journal says that it is missing."""
    path = directory.notebook(book)

    def save(ending: ev.RunFinished | None) -> str | None:
        content = notebook.build(Reading(directory.journal), ending)
        try:
            return notebook.write(path, content)
        except OSError as error:
            with directory.log.open("a") as log:
                log.write(f"{path}: the output notebook can't be written: {error}\n")
            return None

    return save


def _terminal(
    plan: _Plan, directory: RunDirectory, link: LocalLink, request: Request
) -> tuple[View, Asker | None]:
    if request.json:
        return JsonView(sys.stdout), None
    out = screen()
    view = TerminalView(out, live=out.is_terminal and not out.is_dumb_terminal)
    view.describe_record(str(directory.path))
    if not plan.policy.attended:
        return view, None
    asking = out if out.is_terminal else RichConsole(stderr=True, highlight=False)
    return view, Dialogue(
        asking,
        Keyboard(sys.stdin.fileno(), _writer(asking)),
        link.fileno(),
        lambda: Reading(directory.journal),
    )


def _writer(console: RichConsole) -> Callable[[str], None]:
    def write(text: str) -> None:
        console.file.write(text)
        console.file.flush()

    return write
