"""Command-line declarations of the commands that help to write runbooks. They run nothing."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from nbrun.cli.options import (
    AllowSources,
    Assignments,
    JsonObject,
    ParametersFile,
    Runbook,
    takes_run_options,
)
from nbrun.core.run_options import RunOptions


@takes_run_options("undeclared", "kernel", "gateway", "cwd", "role", "yes", "yes_destructive")
def plan(
    runbook: Runbook,
    parameter: Assignments = None,
    parameters_file: ParametersFile = None,
    allow_sources: AllowSources = False,
    json: JsonObject = False,
    *,
    options: RunOptions,
) -> None:
    """Show what a run would do: its steps, questions, limits and parameters. Runs nothing."""
    from nbrun.cli.commands.gather_parameters import ParameterOptions
    from nbrun.cli.commands.write import plan as command
    from nbrun.integrations.runbook_addresses.files import runbook_file
    from nbrun.supervisor.requests import StartRequest

    file = runbook_file(runbook)
    request = StartRequest(runbook=file.path, address=file.address, attended=True, options=options)
    parameters = ParameterOptions(tuple(parameter or ()), parameters_file, allow_sources)
    raise typer.Exit(command.show(request, parameters, json=json))


def check(
    runbooks: Annotated[
        list[str], typer.Argument(metavar="RUNBOOK...", help="The notebooks to check.")
    ],
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object for each finding.")
    ] = False,
    unattended: Annotated[
        bool, typer.Option("--unattended", help="Report steps that ask a person, too.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Treat warnings as errors.")] = False,
) -> None:
    """Find errors and risks in runbooks, without running them."""
    from nbrun.cli.commands.write import check as command

    raise typer.Exit(command.check(runbooks, json=json, unattended=unattended, strict=strict))


def new(
    path: Annotated[
        Path, typer.Argument(metavar="NAME", help="The name of the new runbook, or its path.")
    ],
    format_: Annotated[
        Literal["ipynb", "md"] | None,
        typer.Option("--format", help="A notebook (ipynb) or Markdown (md). Default: NAME's end."),
    ] = None,
) -> None:
    """Create a runbook to start from."""
    from nbrun.cli.commands.write import new as command

    typer.echo(command.new(path, format_))
