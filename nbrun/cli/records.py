"""The commands that read what was recorded."""

from pathlib import Path
from typing import Annotated

import typer

from nbrun.cli.options import AllowedSigners, Plain, RunName, RunsDir, shown
from nbrun.views.text.options import DisplayOptions


@shown(max_lines=0)
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
    *,
    display: DisplayOptions,
) -> None:
    """Tell a run again: what was done, when, by whom, and what it printed."""
    from nbrun.cli.commands.records import log as command

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
        display=display,
    )
    raise typer.Exit(command.show(request))


def runs(
    runs_dir: RunsDir = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a run.")] = False,
) -> None:
    """List the runs there are, newest first."""
    from nbrun.cli.commands.records import runs as command

    raise typer.Exit(command.show(runs_dir, json=json))


def review(
    runbook: Annotated[Path, typer.Argument(metavar="RUNBOOK", help="The notebook.")],
    newest: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Only its newest N runs.")
    ] = None,
    diffs: Annotated[
        bool, typer.Option("--diffs", help="Show what was run in place of its sources.")
    ] = False,
    runs_dir: RunsDir = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    plain: Plain = False,
) -> None:
    """Tell what the runs of a runbook say of it: where it fails, and why operators leave it."""
    from nbrun.cli.commands.records import review as command

    request = command.Request(
        runbook=runbook,
        runs_dir=runs_dir,
        newest=newest,
        diffs=diffs,
        json=json,
        display=DisplayOptions(plain=plain),
    )
    raise typer.Exit(command.show(request))


def export(
    run: RunName,
    path: Annotated[
        Path | None,
        typer.Argument(metavar="[PATH]", help="Where to; in the run's folder if left out."),
    ] = None,
    notebook: Annotated[
        bool, typer.Option("--notebook", help="The output notebook, from the journal alone.")
    ] = False,
    html: Annotated[bool, typer.Option("--html", help="A report as one HTML page.")] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="A summary in Markdown, for a ticket.")
    ] = False,
    cast: Annotated[
        bool, typer.Option("--cast", help="An asciicast, for asciinema to play.")
    ] = False,
    allowed_signers: AllowedSigners = None,
    runs_dir: RunsDir = None,
) -> None:
    """Make a view of a run again from its journal."""
    from nbrun.cli.commands.records import export as command

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
    code, target = command.export(run, wanted[0], path, runs_dir, allowed_signers)
    typer.echo(target)
    raise typer.Exit(code)


def verify(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN...", help="Runs as for log, or folders that hold runs."),
    ],
    allowed_signers: AllowedSigners = None,
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
    from nbrun.cli.commands.records import verify as command

    request = command.Request(
        runs=runs,
        runs_dir=runs_dir,
        allowed_signers=allowed_signers,
        expect_head=expect_head,
        require_seal=require_seal,
        json=json,
    )
    raise typer.Exit(command.show(request))


def seal(
    run: RunName,
    sign: Annotated[
        Path | None,
        typer.Option(metavar="KEY", help="Sign with this OpenSSH key; by default with the run's."),
    ] = None,
    runs_dir: RunsDir = None,
) -> None:
    """Sign the record of a run that has ended, where its own seal is missing."""
    from nbrun.cli.commands.records import seal as command

    typer.echo(command.seal(run, runs_dir, sign))


def schema() -> None:
    """Print the JSON Schema of the journal's lines."""
    from nbrun.cli.commands.records import schema as command

    raise typer.Exit(command.show())
