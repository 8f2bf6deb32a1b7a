"""The commands that make a run, and those that have a say in one."""

from pathlib import Path
from typing import Annotated

import typer

from nbrun.cli.options import (
    Assignments,
    KernelName,
    OnFailure,
    ParametersFile,
    RoleName,
    RunName,
    RunsDir,
    ShellErrors,
    Undeclared,
    shown,
    text,
)
from nbrun.views.text.options import DisplayOptions


@shown()
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
        str,
        typer.Option(
            metavar="SIZE", help="The most output of a step to keep, by default 64MiB; 0: all."
        ),
    ] = "",
    json: Annotated[
        bool, typer.Option("--json", help="Print the journal's lines; ask nothing.")
    ] = False,
    *,
    display: DisplayOptions,
) -> None:
    """Run a notebook, one cell at a time, stopping at a failed one."""
    if help_parameters:
        from nbrun.cli.commands.write import parameters

        raise typer.Exit(parameters.show(runbook, kernel))
    from nbrun.supervisor.spawn import spawn

    spawned = spawn()  # it imports while this process does
    from nbrun import units
    from nbrun.cli.commands.gather_parameters import Wanted
    from nbrun.cli.commands.operate import start as command
    from nbrun.supervisor.requests import StartRequest

    order = StartRequest(
        runbook=str(runbook),
        attended=False,  # the command finds out
        undeclared=undeclared,
        runs_dir=text(runs_dir),
        kernel=kernel,
        cwd=text(cwd),
        step=step,
        strict=strict,
        on_failure=on_failure.value,
        wait_for=units.seconds(wait_for, "--wait-for") if wait_for else None,
        shell_errors=shell_errors.value,
        yes=yes,
        yes_destructive=yes_destructive,
        role=role,
        group=group,
        reason=reason,
        ticket=ticket,
        sign=text(sign),
        max_output=max_output,
    )
    wanted = Wanted(assignments=tuple(parameter or ()), file=parameters_file)
    raise typer.Exit(
        command.start(order, wanted, spawned, json=json, detach=detach, display=display)
    )


@shown()
def attach(
    run: RunName = "last",
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Take the run over from whoever is attached.")
    ] = False,
    since_detach: Annotated[
        bool, typer.Option("--since-detach", help="Show only what happened since somebody left.")
    ] = False,
    runs_dir: RunsDir = None,
    *,
    display: DisplayOptions,
) -> None:
    """Be the operator of a run that goes on."""
    from nbrun.cli.commands.operate import attach as command

    raise typer.Exit(
        command.attach(
            run, runs_dir, take_over=take_over, since_detach=since_detach, display=display
        )
    )


@shown()
def watch(
    run: RunName = "last",
    json: Annotated[bool, typer.Option("--json", help="The journal's own lines.")] = False,
    runs_dir: RunsDir = None,
    *,
    display: DisplayOptions,
) -> None:
    """Look on while a run goes on. Nothing done here reaches the run."""
    from nbrun.cli.commands.operate import watch as command

    raise typer.Exit(command.watch(run, runs_dir, json=json, display=display))


@shown()
def resume(
    run: RunName = "last",
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            "--parameter",
            "-p",
            metavar="NAME=@SOURCE",
            help="A secret of the run, given again; see start.",
        ),
    ] = None,
    use_new_runbook: Annotated[
        bool,
        typer.Option("--use-new-runbook", help="Take the steps not run yet from the runbook now."),
    ] = False,
    reason: Annotated[str, typer.Option(help="Why it is resumed, for the record.")] = "",
    runs_dir: RunsDir = None,
    *,
    display: DisplayOptions,
) -> None:
    """Go on with a run that was interrupted. Nothing is run again unasked."""
    from nbrun.cli.commands.operate import resume as command

    raise typer.Exit(
        command.resume(
            run,
            runs_dir,
            assignments=tuple(parameter or ()),
            new_runbook=use_new_runbook,
            reason=reason,
            display=display,
        )
    )


def cancel(
    run: RunName,
    reason: Annotated[str, typer.Option(help="Why it is ended, for the record.")] = "",
    runs_dir: RunsDir = None,
) -> None:
    """End a run from elsewhere, one that goes on or one that was interrupted."""
    from nbrun.cli.commands.operate import cancel as command

    raise typer.Exit(command.cancel(run, runs_dir, reason=reason))


def approve(
    run: RunName,
    reason: Annotated[str, typer.Option(help="Why it may run, for the record.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    runs_dir: RunsDir = None,
) -> None:
    """Let a step run that waits for the approval of another person than its operator."""
    from nbrun.cli.commands.operate import approve as command

    raise typer.Exit(command.approve(run, runs_dir, reason=reason, yes=yes))


def reject(
    run: RunName,
    reason: Annotated[str, typer.Option(help="Why it should not run, for the record.")] = "",
    runs_dir: RunsDir = None,
) -> None:
    """Say that a step that waits for an approval should not run as it is."""
    from nbrun.cli.commands.operate import approve as command

    raise typer.Exit(command.reject(run, runs_dir, reason=reason))
