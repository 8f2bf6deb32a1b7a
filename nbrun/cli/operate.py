"""Command-line declarations of the commands that start or control a run."""

from pathlib import Path
from typing import Annotated

import typer

from nbrun.cli.error_output import print_error
from nbrun.cli.options import (
    AllowSources,
    Assignments,
    Foreign,
    JournalLines,
    JsonObject,
    ParametersFile,
    Reason,
    Runbook,
    RunName,
    RunsDir,
    SecretsAgain,
    takes_display_options,
    takes_run_options,
)
from nbrun.core.run_options import RunOptions
from nbrun.views.text.options import DisplayOptions


@takes_display_options()
@takes_run_options()
def start(
    context: typer.Context,
    runbook: Runbook,
    parameter: Assignments = None,
    parameters_file: ParametersFile = None,
    allow_sources: AllowSources = False,
    help_parameters: Annotated[
        bool, typer.Option("--help-parameters", help="List the runbook's parameters.")
    ] = False,
    detach: Annotated[
        bool, typer.Option("--detach", help="Print the run's id, and run in the background.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print the journal's lines; ask nothing.")
    ] = False,
    *,
    options: RunOptions,
    display: DisplayOptions,
) -> None:
    """Run a notebook, one cell at a time. The run stops at a failed cell."""
    from nbrun.integrations.runbook_addresses.files import runbook_file

    file = runbook_file(runbook)
    if file.address:
        print_error(f"{file.address}: fetched, and kept as {file.path}")
    if help_parameters:
        from nbrun.cli.commands.write import parameters

        raise typer.Exit(parameters.show(file.path, options.kernel))
    from nbrun.supervisor.spawn import spawn

    # `entry` has started the supervisor already, unless another program calls this command.
    supervisor = context.obj or spawn()
    from nbrun.cli.commands.gather_parameters import ParameterOptions
    from nbrun.cli.commands.operate import start as command
    from nbrun.supervisor.requests import StartRequest

    # `start` finds out whether the run is attended
    request = StartRequest(runbook=file.path, address=file.address, attended=False, options=options)
    given = ParameterOptions(tuple(parameter or ()), parameters_file, allow_sources)
    raise typer.Exit(
        command.start(request, given, supervisor, json=json, detach=detach, display=display)
    )


@takes_display_options()
def attach(
    run: RunName = "last",
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Take the run over from its operator.")
    ] = False,
    since_detach: Annotated[
        bool,
        typer.Option("--since-detach", help="Show only what happened since an operator left."),
    ] = False,
    foreign: Foreign = False,
    runs_dir: RunsDir = None,
    *,
    display: DisplayOptions,
) -> None:
    """Take control of a running or waiting run."""
    from nbrun.cli.commands.operate import attach as command

    raise typer.Exit(
        command.attach(
            run,
            runs_dir,
            take_over=take_over,
            since_detach=since_detach,
            foreign=foreign,
            display=display,
        )
    )


@takes_display_options()
def watch(
    run: RunName = "last",
    json: JournalLines = False,
    runs_dir: RunsDir = None,
    *,
    display: DisplayOptions,
) -> None:
    """Show a run while it runs, without control of it."""
    from nbrun.cli.commands.operate import watch as command

    raise typer.Exit(command.watch(run, runs_dir, json=json, display=display))


@takes_display_options()
def resume(
    run: RunName = "last",
    parameter: SecretsAgain = None,
    use_new_runbook: Annotated[
        bool,
        typer.Option(
            "--use-new-runbook", help="Take steps that have not run from the runbook as it is now."
        ),
    ] = False,
    reason: Reason = "",
    foreign: Foreign = False,
    runs_dir: RunsDir = None,
    *,
    display: DisplayOptions,
) -> None:
    """Continue an interrupted run. No step runs again unless you say so."""
    from nbrun.cli.commands.operate import resume as command

    raise typer.Exit(
        command.resume(
            run,
            runs_dir,
            assignments=tuple(parameter or ()),
            new_runbook=use_new_runbook,
            reason=reason,
            foreign=foreign,
            display=display,
        )
    )


@takes_display_options()
@takes_run_options("runs_dir", "yes", "yes_destructive", "reason", "ticket")
def undo(
    run: RunName,
    parameter: SecretsAgain = None,
    foreign: Foreign = False,
    *,
    options: RunOptions,
    display: DisplayOptions,
) -> None:
    """Undo the steps of a run that has ended, newest first, in a run of its own."""
    from nbrun.cli.commands.operate import undo as command

    raise typer.Exit(
        command.undo(
            run,
            assignments=tuple(parameter or ()),
            foreign=foreign,
            options=options,
            display=display,
        )
    )


def cancel(
    run: RunName, reason: Reason = "", foreign: Foreign = False, runs_dir: RunsDir = None
) -> None:
    """End a run, whether it is running, waiting or interrupted."""
    from nbrun.cli.commands.operate import cancel as command

    raise typer.Exit(command.cancel(run, runs_dir, reason=reason, foreign=foreign))


def status(
    run: RunName = "last",
    step: Annotated[
        str, typer.Option(metavar="STEP", help="Say of decisions about this step what they need.")
    ] = "",
    json: JsonObject = False,
    runs_dir: RunsDir = None,
) -> None:
    """Print where a run stands, and what may be decided there."""
    from nbrun.cli.commands.operate import status as command

    raise typer.Exit(command.status(run, runs_dir, step=step, json=json))


def decide(
    run: RunName,
    decision: Annotated[
        str,
        typer.Argument(
            metavar="DECISION", help="retry, skip, run, edit, jump, … as nbrun status names it."
        ),
    ],
    argument: Annotated[
        str,
        typer.Argument(metavar="ARGUMENT", help="A step, a finding or a text.", show_default=False),
    ] = "",
    source: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="The code of an edit or an inserted cell; - for stdin."),
    ] = None,
    reason: Reason = "",
    typed: Annotated[
        str, typer.Option(metavar="TEXT", help="The text that the step asks to be typed.")
    ] = "",
    yes: Annotated[
        bool, typer.Option("--yes", help="Answer the question of the step with yes.")
    ] = False,
    expect_seq: Annotated[
        int | None,
        typer.Option(
            "--expect-seq",
            metavar="N",
            help="Refuse the decision if the run does not stand where nbrun status said.",
        ),
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for the run's next stop, or its end.")
    ] = False,
    json: JsonObject = False,
    foreign: Foreign = False,
    runs_dir: RunsDir = None,
) -> None:
    """Send a decision to a run from a script or another program."""
    from nbrun.cli.commands.operate import decide as command

    options = command.DecideOptions(
        run=run,
        decision=decision,
        argument=argument,
        source=source,
        reason=reason,
        typed=typed,
        yes=yes,
        expect_seq=expect_seq,
        wait=wait,
        json=json,
        foreign=foreign,
        runs_dir=runs_dir,
    )
    raise typer.Exit(command.decide(options))


def mcp(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="The folder of the runbooks that it may see.")
    ],
    runs_dir: RunsDir = None,
) -> None:
    """Offer runbooks, runs and decisions to a program that speaks MCP."""
    from nbrun.cli.commands.operate import mcp as command

    raise typer.Exit(command.serve(folder, runs_dir))


def handover(
    run: RunName,
    to: Annotated[str, typer.Option(metavar="USER", help="The account to offer the run to.")] = "",
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Withdraw the offer.")] = False,
    reason: Reason = "",
    foreign: Foreign = False,
    runs_dir: RunsDir = None,
) -> None:
    """Offer a run to another operator, who accepts it with attach."""
    from nbrun.cli.commands.operate import handover as command

    if withdraw == bool(to):
        raise typer.BadParameter("give --to USER, or --withdraw")
    raise typer.Exit(command.offer(run, runs_dir, to=to, reason=reason, foreign=foreign))


def trust(
    path: Annotated[
        Path | None,
        typer.Argument(metavar="PATH", help="An nbrun.toml, or the folder that has it."),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Stop trusting the file.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="List the files that you trust.")] = False,
) -> None:
    """Trust an nbrun.toml that came with a notebook, until the file changes."""
    from nbrun.cli.commands.operate import trust as command

    if list_ == (path is not None) or (list_ and remove):
        raise typer.BadParameter("name one file, or give --list alone")
    if path is None:
        raise typer.Exit(command.show())
    raise typer.Exit(command.remove(path) if remove else command.trust_file(path))


def approve(
    run: Annotated[
        str, typer.Argument(metavar="[RUN]", help="The run, named as for log; none with --offline.")
    ] = "",
    reason: Reason = "",
    yes: Annotated[bool, typer.Option("--yes", help="Approve without being asked.")] = False,
    request: Annotated[
        bool,
        typer.Option("--request", help="Print what waits, as a text for an approver elsewhere."),
    ] = False,
    offline: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Read such a text, sign it, and print the signature."),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(help="The OpenSSH key for --offline; by default the only one in the agent."),
    ] = None,
    signature: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Hand in what --offline has printed elsewhere."),
    ] = None,
    runs_dir: RunsDir = None,
) -> None:
    """Approve the step that waits for a second person."""
    if sum((request, offline is not None, signature is not None)) > 1:
        raise typer.BadParameter("choose one of --request, --offline and --signature")
    if (offline is None) == (not run):
        raise typer.BadParameter("name the run, or give --offline FILE alone")
    if key is not None and offline is None:
        raise typer.BadParameter("--key is for --offline")
    if (request or signature is not None) and (reason or yes):
        raise typer.BadParameter("--reason and --yes are for whoever approves")
    from nbrun.cli.commands.operate import approve as command

    if offline is not None:
        from nbrun.cli.commands.operate import offline_approval

        raise typer.Exit(offline_approval.sign(offline, key, reason=reason, yes=yes))
    if request:
        raise typer.Exit(command.request(run, runs_dir))
    if signature is not None:
        raise typer.Exit(command.hand_in(run, runs_dir, signature))
    raise typer.Exit(command.approve(run, runs_dir, reason=reason, yes=yes))


def reject(run: RunName, reason: Reason = "", runs_dir: RunsDir = None) -> None:
    """Reject the step that waits for a second person."""
    from nbrun.cli.commands.operate import approve as command

    raise typer.Exit(command.reject(run, runs_dir, reason=reason))
