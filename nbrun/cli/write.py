"""The commands for whoever writes runbooks: nothing is run."""

from pathlib import Path
from typing import Annotated

import typer

from nbrun.cli.options import Assignments, KernelName, ParametersFile, RoleName, Undeclared, text


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
    from nbrun.cli.commands.gather_parameters import Wanted
    from nbrun.cli.commands.write import plan as command
    from nbrun.supervisor.requests import StartRequest

    order = StartRequest(
        runbook=str(runbook),
        attended=True,
        undeclared=undeclared,
        kernel=kernel,
        cwd=text(cwd),
        role=role,
        yes=yes,
        yes_destructive=yes_destructive,
    )
    wanted = Wanted(assignments=tuple(parameter or ()), file=parameters_file)
    raise typer.Exit(command.show(order, wanted, json=json))


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
    from nbrun.cli.commands.write import check as command

    raise typer.Exit(command.check(runbooks, json=json, unattended=unattended, strict=strict))


def new(
    path: Annotated[
        Path, typer.Argument(metavar="NAME", help="What the runbook is called, or its path.")
    ],
) -> None:
    """Make a good runbook to start from."""
    from nbrun.cli.commands.write import new as command

    typer.echo(command.new(path))
