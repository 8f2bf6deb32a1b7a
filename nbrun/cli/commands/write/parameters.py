"""`nbrun start RUNBOOK --help-parameters`: list the parameters that a runbook takes."""

from pathlib import Path

from nbrun.cli.commands.console_output import open_console
from nbrun.cli.commands.gather_parameters import read_declarations
from nbrun.errors import ExitCode
from nbrun.views.terminal import parameters as view


def show(path: Path, kernel: str | None) -> ExitCode:
    """Print the parameters of the notebook at `path`.

    Raises:
        RunbookError: the file is not a notebook, or its schema is not valid.
    """
    declared = read_declarations(path, kernel).parameters
    if declared:
        open_console().print(view.table(declared))
    else:
        open_console().print("this runbook declares no parameters")
    return ExitCode.COMPLETED
