"""The command line: options and their help, and the one place that maps errors to exit codes."""

import io
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from nbrun import __version__
from nbrun.errors import ExitCode, NbrunError
from nbrun.views import spelling

app = typer.Typer(
    name="nbrun",
    help="Run a Jupyter notebook as an operations runbook, and keep a record of what was done.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class OnFailure(StrEnum):
    ask = "ask"
    stop = "stop"
    wait = "wait"


class ShellErrors(StrEnum):
    fail = "fail"
    ignore = "ignore"


RunsDir = Annotated[
    Path | None,
    typer.Option(help="Where runs are kept. Also NBRUN_RUNS_DIR, or runs_dir in nbrun.toml."),
]
Plain = Annotated[
    bool,
    typer.Option("--plain", help="No colours, no boxes, nothing redrawn: for screen readers."),
]
MaxLines = Annotated[
    int, typer.Option(min=0, help="Lines of one output that are printed; 0 for all.")
]
FullTraceback = Annotated[
    bool, typer.Option("--full-traceback", help="Show every frame of a traceback.")
]
RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="A run's id, a unique part of it, a path, or last.")
]


def _complete_parameter(incomplete: str) -> list[tuple[str, str]]:
    from nbrun.commands import completion

    return completion.parameter(os.environ, incomplete)


Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "-p",
        "--parameter",
        metavar="NAME=VALUE",
        help="Set a parameter. VALUE may be @env:VAR, @file:PATH, @prompt, @keyring:… or @cmd:….",
        autocompletion=_complete_parameter,
    ),
]
ParametersFile = Annotated[
    Path | None,
    typer.Option("-f", "--parameters-file", help="Set parameters from a YAML file."),
]
Undeclared = Annotated[
    bool,
    typer.Option("--undeclared", help="Take parameters that the notebook does not declare."),
]
KernelName = Annotated[
    str | None, typer.Option(help="Run on this kernel instead of the notebook's own.")
]


RoleName = Annotated[
    str | None,
    typer.Option(help="Run with the environment of this role of nbrun.toml.", show_default=False),
]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nbrun {__version__}")
        raise typer.Exit


@app.callback()
def _nbrun(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    pass


@app.command()
def start(
    runbook: Annotated[Path, typer.Argument(metavar="RUNBOOK", help="The notebook to run.")],
    parameter: Assignments = None,
    parameters_file: ParametersFile = None,
    undeclared: Undeclared = False,
    help_parameters: Annotated[
        bool, typer.Option("--help-parameters", help="Tell what the runbook's parameters are.")
    ] = False,
    runs_dir: RunsDir = None,
    kernel: KernelName = None,
    cwd: Annotated[
        Path | None, typer.Option(help="Run in this folder instead of the notebook's own.")
    ] = None,
    step: Annotated[bool, typer.Option("--step", help="Stop and ask before every step.")] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse every decision that leaves the script.")
    ] = False,
    on_failure: Annotated[
        OnFailure,
        typer.Option(
            help="At a failed step: ask the operator, stop the run, or wait for somebody to attach."
        ),
    ] = OnFailure.ask,
    wait_for: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="End a stop that nobody attaches to after, say, 2h."),
    ] = None,
    shell_errors: Annotated[
        ShellErrors, typer.Option(help="What a failed shell command in a cell does to its step.")
    ] = ShellErrors.fail,
    detach: Annotated[
        bool, typer.Option("--detach", help="Print the run's id and leave it to go on by itself.")
    ] = False,
    role: RoleName = None,
    group: Annotated[
        str, typer.Option(help="Let the members of this group look on and approve.")
    ] = "",
    yes: Annotated[
        bool,
        typer.Option("--yes", help="Confirm the steps that ask for it, but no destructive one."),
    ] = False,
    yes_destructive: Annotated[
        bool, typer.Option("--yes-destructive", help="Confirm the destructive steps, too.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Why this run is made, for the record.")] = "",
    ticket: Annotated[str, typer.Option(help="The ticket it is made for, for the record.")] = "",
    sign: Annotated[
        Path | None, typer.Option(metavar="KEY", help="Sign the record with this OpenSSH key.")
    ] = None,
    max_output: Annotated[
        str, typer.Option(metavar="SIZE", help="The most output of an attempt to keep; 0: all.")
    ] = "64MiB",
    json: Annotated[
        bool, typer.Option("--json", help="Print the journal's lines; ask nothing.")
    ] = False,
    plain: Plain = False,
    full_traceback: FullTraceback = False,
    max_lines: MaxLines = 400,
) -> None:
    """Run a notebook, one cell at a time, stopping at a failed one."""
    if help_parameters:
        from nbrun.commands import parameters

        raise typer.Exit(parameters.show(runbook, kernel))
    from nbrun.launching import spawn

    spawned = spawn()  # it imports while this process does
    from nbrun import durations
    from nbrun.commands import start as command
    from nbrun.commands.values import Wanted
    from nbrun.orders import StartOrder
    from nbrun.views.look import Look

    order = StartOrder(
        runbook=str(runbook),
        attended=False,  # the command finds out
        undeclared=undeclared,
        runs_dir=_text(runs_dir),
        kernel=kernel,
        cwd=_text(cwd),
        step=step,
        strict=strict,
        on_failure=on_failure.value,
        wait_for=durations.seconds(wait_for, "--wait-for") if wait_for else None,
        shell_errors=shell_errors.value,
        yes=yes,
        yes_destructive=yes_destructive,
        role=role,
        group=group,
        reason=reason,
        ticket=ticket,
        sign=_text(sign),
        max_output=max_output,
    )
    wanted = Wanted(assignments=tuple(parameter or ()), file=parameters_file)
    look = Look(plain=plain, full_traceback=full_traceback, max_lines=max_lines)
    raise typer.Exit(command.start(order, wanted, spawned, json=json, detach=detach, look=look))


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


@app.command()
def attach(
    run: RunName = "last",
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Take the run over from whoever is attached.")
    ] = False,
    since_detach: Annotated[
        bool, typer.Option("--since-detach", help="Show only what happened since somebody left.")
    ] = False,
    runs_dir: RunsDir = None,
    plain: Plain = False,
    full_traceback: FullTraceback = False,
    max_lines: MaxLines = 400,
) -> None:
    """Be the operator of a run that goes on."""
    from nbrun.commands import attach as command
    from nbrun.views.look import Look

    look = Look(plain=plain, full_traceback=full_traceback, max_lines=max_lines)
    raise typer.Exit(
        command.attach(run, runs_dir, take_over=take_over, since_detach=since_detach, look=look)
    )


@app.command()
def watch(
    run: RunName = "last",
    json: Annotated[bool, typer.Option("--json", help="The journal's own lines.")] = False,
    runs_dir: RunsDir = None,
    plain: Plain = False,
    full_traceback: FullTraceback = False,
    max_lines: MaxLines = 400,
) -> None:
    """Look on while a run goes on. Nothing done here reaches the run."""
    from nbrun.commands import watch as command
    from nbrun.views.look import Look

    look = Look(plain=plain, full_traceback=full_traceback, max_lines=max_lines)
    raise typer.Exit(command.watch(run, runs_dir, json=json, look=look))


@app.command()
def resume(
    run: RunName = "last",
    use_new_runbook: Annotated[
        bool,
        typer.Option("--use-new-runbook", help="Take the steps not run yet from the runbook now."),
    ] = False,
    reason: Annotated[str, typer.Option(help="Why it is resumed, for the record.")] = "",
    runs_dir: RunsDir = None,
) -> None:
    """Go on with a run that was interrupted. Nothing is run again unasked."""
    from nbrun.commands import resume as command

    raise typer.Exit(command.resume(run, runs_dir, new_runbook=use_new_runbook, reason=reason))


@app.command()
def cancel(
    run: RunName,
    reason: Annotated[str, typer.Option(help="Why it is ended, for the record.")] = "",
    runs_dir: RunsDir = None,
) -> None:
    """End a run from elsewhere, one that goes on or one that was interrupted."""
    from nbrun.commands import cancel as command

    raise typer.Exit(command.cancel(run, runs_dir, reason=reason))


@app.command()
def plan(
    runbook: Annotated[Path, typer.Argument(metavar="RUNBOOK", help="The notebook to plan.")],
    parameter: Assignments = None,
    parameters_file: ParametersFile = None,
    undeclared: Undeclared = False,
    kernel: KernelName = None,
    cwd: Annotated[
        Path | None, typer.Option(help="As `nbrun start` takes it.", show_default=False)
    ] = None,
    role: RoleName = None,
    yes: Annotated[bool, typer.Option("--yes", help="As `nbrun start` takes it.")] = False,
    yes_destructive: Annotated[
        bool, typer.Option("--yes-destructive", help="As `nbrun start` takes it.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Tell what a run would do: its steps, gates, limits and parameters. Nothing is run."""
    from nbrun.commands import plan as command
    from nbrun.commands.values import Wanted
    from nbrun.orders import StartOrder

    order = StartOrder(
        runbook=str(runbook),
        attended=True,
        undeclared=undeclared,
        kernel=kernel,
        cwd=_text(cwd),
        role=role,
        yes=yes,
        yes_destructive=yes_destructive,
    )
    wanted = Wanted(assignments=tuple(parameter or ()), file=parameters_file)
    raise typer.Exit(command.show(order, wanted, json=json))


@app.command()
def check(
    runbooks: Annotated[
        list[Path], typer.Argument(metavar="RUNBOOK...", help="The notebooks to check.")
    ],
    json: Annotated[bool, typer.Option("--json", help="One JSON object a finding.")] = False,
    unattended: Annotated[
        bool, typer.Option("--unattended", help="Find also what asks a person.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Take warnings for errors.")] = False,
) -> None:
    """Find what is wrong or unwise in runbooks. Nothing is run."""
    from nbrun.commands import check as command

    raise typer.Exit(command.check(runbooks, json=json, unattended=unattended, strict=strict))


@app.command()
def new(
    path: Annotated[
        Path, typer.Argument(metavar="NAME", help="What the runbook is called, or its path.")
    ],
) -> None:
    """Make a good runbook to start from."""
    from nbrun.commands import new as command

    typer.echo(command.new(path))


@app.command()
def approve(
    run: RunName,
    reason: Annotated[str, typer.Option(help="Why it may run, for the record.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    runs_dir: RunsDir = None,
) -> None:
    """Let a step run that waits for the approval of another person than its operator."""
    from nbrun.commands import approve as command

    raise typer.Exit(command.approve(run, runs_dir, reason=reason, yes=yes))


@app.command()
def reject(
    run: RunName,
    reason: Annotated[str, typer.Option(help="Why it should not run, for the record.")] = "",
    runs_dir: RunsDir = None,
) -> None:
    """Say that a step that waits for an approval should not run as it is."""
    from nbrun.commands import approve as command

    raise typer.Exit(command.reject(run, runs_dir, reason=reason))


@app.command()
def log(
    run: RunName = "last",
    runs_dir: RunsDir = None,
    output: Annotated[
        bool, typer.Option("--output/--no-output", help="Show what the cells printed.")
    ] = True,
    steps: Annotated[bool, typer.Option("--steps", help="A table of what was done only.")] = False,
    json: Annotated[bool, typer.Option("--json", help="The journal's own lines.")] = False,
    step: Annotated[
        str | None, typer.Option(help="Only this step, by its number or cell id.")
    ] = None,
    timing: Annotated[
        bool, typer.Option("--timing", help="Play it back in the time it took.")
    ] = False,
    speed: Annotated[
        float, typer.Option(min=0.01, help="With --timing: so many times as fast.")
    ] = 1.0,
    max_wait: Annotated[
        float | None, typer.Option(min=0.0, help="With --timing: never wait longer, in seconds.")
    ] = None,
    plain: Plain = False,
    full_traceback: FullTraceback = False,
    max_lines: Annotated[
        int, typer.Option(min=0, help="Lines of one output that are printed; 0 (all) by default.")
    ] = 0,
) -> None:
    """Tell a run again: what was done, when, by whom, and what it printed."""
    from nbrun.commands import log as command
    from nbrun.views.look import Look

    request = command.Request(
        run=run,
        runs_dir=runs_dir,
        output=output,
        steps=steps,
        json=json,
        step=step,
        timing=timing,
        speed=speed,
        max_wait=max_wait,
        look=Look(plain=plain, full_traceback=full_traceback, max_lines=max_lines),
    )
    raise typer.Exit(command.show(request))


@app.command()
def runs(
    runs_dir: RunsDir = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a run.")] = False,
) -> None:
    """List the runs there are, newest first."""
    from nbrun.commands import runs as command

    raise typer.Exit(command.show(runs_dir, json=json))


@app.command()
def export(
    run: RunName,
    path: Annotated[
        Path | None,
        typer.Argument(metavar="[PATH]", help="Where to; in the run's folder if left out."),
    ] = None,
    notebook: Annotated[
        bool, typer.Option("--notebook", help="The output notebook, from the journal alone.")
    ] = False,
    html: Annotated[
        bool, typer.Option("--html", help="A report as one HTML page, without scripts.")
    ] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="A summary in Markdown, for a ticket.")
    ] = False,
    cast: Annotated[
        bool, typer.Option("--cast", help="An asciicast, for asciinema to play.")
    ] = False,
    runs_dir: RunsDir = None,
) -> None:
    """Make a view of a run again from its journal."""
    from nbrun.commands import export as command

    kinds: dict[command.Kind, bool] = {
        "notebook": notebook,
        "html": html,
        "markdown": markdown,
        "cast": cast,
    }
    wanted = [kind for kind, is_wanted in kinds.items() if is_wanted]
    if len(wanted) != 1:
        one = ", ".join(f"--{kind}" for kind in kinds)
        raise typer.BadParameter(f"say what to make, one of {one}")
    code, target = command.export(run, wanted[0], path, runs_dir)
    typer.echo(target)
    raise typer.Exit(code)


@app.command()
def verify(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN...", help="Runs as for log, or folders that hold runs."),
    ],
    allowed_signers: Annotated[
        Path | None, typer.Option(help="Who may sign: a file as ssh-keygen(1) describes it.")
    ] = None,
    require_seal: Annotated[
        bool, typer.Option("--require-seal", help="Exit with 7 for a record that is not SEALED.")
    ] = False,
    expect_head: Annotated[
        str | None, typer.Option(metavar="HASH", help="The hash that the run's end printed.")
    ] = None,
    runs_dir: RunsDir = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a record.")] = False,
) -> None:
    """Check that records are whole, unaltered and signed."""
    from nbrun.commands import verify as command

    request = command.Request(
        runs=runs,
        runs_dir=runs_dir,
        allowed_signers=allowed_signers,
        expect_head=expect_head,
        require_seal=require_seal,
        json=json,
    )
    raise typer.Exit(command.show(request))


@app.command()
def schema() -> None:
    """Print the JSON Schema of the journal's lines."""
    from nbrun.commands import schema as command

    raise typer.Exit(command.show())


def main() -> None:
    """The entry point of `nbrun` and `jupyter nbrun`."""
    spelling.register()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what the locale can't write is written plainer
            stream.reconfigure(errors=spelling.ERRORS)
    if "_NBRUN_COMPLETE" in os.environ:
        from nbrun.commands import completion

        completion.leave_the_value(os.environ)
    try:
        app(prog_name="nbrun")
    except NbrunError as error:
        sys.stderr.write(f"nbrun: {error}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("nbrun: interrupted\n")
        sys.exit(ExitCode.INTERRUPTED)
