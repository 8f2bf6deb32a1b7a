"""Command-line declarations of the commands that read records."""

from pathlib import Path
from typing import Annotated, get_args

import typer

from nbrun.cli.options import (
    AllowedSigners,
    Foreign,
    JournalLines,
    JsonObject,
    Plain,
    Runbook,
    RunName,
    RunsDir,
    takes_display_options,
)
from nbrun.views.text.options import DisplayOptions


@takes_display_options(max_lines=0)
def log(
    run: RunName = "last",
    runs_dir: RunsDir = None,
    output: Annotated[
        bool, typer.Option("--output/--no-output", help="Whether to show what the cells printed.")
    ] = True,
    steps: Annotated[
        bool, typer.Option("--steps", help="Print only a table of the steps and attempts.")
    ] = False,
    json: JournalLines = False,
    step: Annotated[
        str | None, typer.Option(help="Show only this step, by its number or cell id.")
    ] = None,
    timing: Annotated[
        bool, typer.Option("--timing", help="Replay with the original timing.")
    ] = False,
    speed: Annotated[
        float, typer.Option(min=0.01, help="With --timing: the speed, 2 for twice as fast.")
    ] = 1.0,
    max_wait: Annotated[
        float | None, typer.Option(min=0.0, help="With --timing: the longest pause, in seconds.")
    ] = None,
    *,
    display: DisplayOptions,
) -> None:
    """Replay a run from its journal."""
    from nbrun.cli.commands.records import log as command

    options = command.LogOptions(
        run=run,
        runs_dir=runs_dir,
        output=output,
        steps=steps,
        json=json,
        step=step,
        timing=timing,
        speed=speed,
        max_wait=max_wait,
        display=display,
    )
    raise typer.Exit(command.show(options))


def runs(
    runs_dir: RunsDir = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object for each run.")
    ] = False,
    waiting: Annotated[
        bool, typer.Option("--waiting", help="List only runs that wait for a person.")
    ] = False,
) -> None:
    """List runs, newest first."""
    from nbrun.cli.commands.records import runs as command

    raise typer.Exit(command.show(runs_dir, json=json, waiting=waiting))


def review(
    runbook: Runbook,
    newest: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Read only the newest N runs.")
    ] = None,
    diffs: Annotated[
        bool, typer.Option("--diffs", help="Show the code that ran instead of each step's source.")
    ] = False,
    runs_dir: RunsDir = None,
    json: JsonObject = False,
    plain: Plain = False,
) -> None:
    """Summarize the runs of a runbook: where it fails, and why operators leave the script."""
    from nbrun.cli.commands.records import review as command

    options = command.ReviewOptions(
        runbook=runbook,
        runs_dir=runs_dir,
        newest=newest,
        diffs=diffs,
        json=json,
        display=DisplayOptions(plain=plain),
    )
    raise typer.Exit(command.show(options))


def export(
    run: RunName,
    path: Annotated[
        Path | None,
        typer.Argument(metavar="[PATH]", help="The file to write; by default in the run's folder."),
    ] = None,
    notebook: Annotated[bool, typer.Option("--notebook", help="The output notebook.")] = False,
    html: Annotated[bool, typer.Option("--html", help="A report as one HTML page.")] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="A summary in Markdown, for a ticket.")
    ] = False,
    cast: Annotated[bool, typer.Option("--cast", help="A recording for asciinema.")] = False,
    attestation: Annotated[
        bool, typer.Option("--attestation", help="An in-toto statement about an ended run.")
    ] = False,
    sign: Annotated[
        Path | None,
        typer.Option(
            metavar="KEY", help="Sign the attestation with this OpenSSH key; by default sign_key."
        ),
    ] = None,
    otlp: Annotated[
        bool, typer.Option("--otlp", help="Send the run's trace, as the OTEL_… variables say.")
    ] = False,
    allowed_signers: AllowedSigners = None,
    runs_dir: RunsDir = None,
) -> None:
    """Write a notebook, report, summary, recording or attestation of a run from its journal."""
    from nbrun.cli.commands.records import export as command

    given = {"notebook": notebook, "html": html, "markdown": markdown, "cast": cast}
    given |= {"attestation": attestation}
    formats = [name for name in get_args(command.ExportFormat) if given[name]]
    if len(formats) + otlp != 1:
        options = ", ".join(f"--{name}" for name in (*given, "otlp"))
        raise typer.BadParameter(f"choose one format: {options}")
    if otlp:
        if path or allowed_signers or sign:
            raise typer.BadParameter(
                "--otlp writes no file: leave PATH, --sign and --allowed-signers out"
            )
        from nbrun.cli.commands.records.send_trace import send_trace

        typer.echo(send_trace(run, runs_dir))
        return
    code, target = command.export(run, formats[0], path, runs_dir, allowed_signers, sign)
    typer.echo(target)
    raise typer.Exit(code)


def verify(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN...", help="Runs, named as for log, or folders of runs."),
    ],
    allowed_signers: AllowedSigners = None,
    approvers: Annotated[
        Path | None,
        typer.Option(help="The keys that may sign approvals: a file as in ssh-keygen(1)."),
    ] = None,
    require_seal: Annotated[
        bool, typer.Option("--require-seal", help="Exit with 7 for a record that is not SEALED.")
    ] = False,
    require_index: Annotated[
        bool,
        typer.Option("--require-index", help="Exit with 7 for a folder of runs without an index."),
    ] = False,
    expect_head: Annotated[
        str | None,
        typer.Option(metavar="HASH", help="The hash that was printed at the end of the run."),
    ] = None,
    runs_dir: RunsDir = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object for each record.")
    ] = False,
) -> None:
    """Check that records are complete, unaltered and signed."""
    from nbrun.cli.commands.records import verify as command

    options = command.VerifyOptions(
        runs=runs,
        runs_dir=runs_dir,
        allowed_signers=allowed_signers,
        approvers=approvers,
        expect_head=expect_head,
        require_seal=require_seal,
        require_index=require_index,
        json=json,
    )
    raise typer.Exit(command.show(options))


def seal(
    run: RunName,
    sign: Annotated[
        Path | None,
        typer.Option(metavar="KEY", help="Sign with this OpenSSH key; by default sign_key."),
    ] = None,
    foreign: Foreign = False,
    runs_dir: RunsDir = None,
) -> None:
    """Sign the record of an ended run that has no seal of its own."""
    from nbrun.cli.commands.records import seal as command

    typer.echo(command.seal(run, runs_dir, sign, foreign=foreign))


def schema() -> None:
    """Print the JSON Schema of the journal's lines."""
    from nbrun.cli.commands.records import schema as command

    raise typer.Exit(command.show())
