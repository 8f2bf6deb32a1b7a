"""`nbrun start RUNBOOK --help-parameters`: what may be given to a runbook."""

from pathlib import Path

from nbrun.cli.commands.console_output import open_console
from nbrun.cli.commands.gather_parameters import declared_in
from nbrun.errors import ExitCode
from nbrun.views.terminal import parameters as view


def show(path: Path, kernel: str | None) -> ExitCode:
    """Print the parameters of the notebook at `path`.

    Raises:
        UsageError: it is no runbook.
    """
    declared = declared_in(path, kernel)
    if declared:
        open_console().print(view.table(declared))
    else:
        open_console().print("this runbook declares no parameters")
    return ExitCode.COMPLETED
