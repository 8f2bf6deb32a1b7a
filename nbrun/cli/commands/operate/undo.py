"""`nbrun undo`: undo the steps of a run that has ended, in a run of its own."""

from pathlib import Path

from nbrun import config
from nbrun.cli.commands import gather_parameters
from nbrun.cli.commands.damaged_records import reading
from nbrun.cli.commands.operate.start import STDOUT_LOST, follow_new, has_terminal
from nbrun.cli.commands.prompts import Prompts
from nbrun.core.run_options import RunOptions
from nbrun.errors import ExitCode, UsageError
from nbrun.journal import run_directory
from nbrun.runbook.parameters import sources
from nbrun.supervisor import secret_reentry, undo_request
from nbrun.supervisor.spawn import spawn
from nbrun.system import standard_streams
from nbrun.views.text.options import DisplayOptions


@reading("the run")
def undo(
    run: str,
    *,
    assignments: tuple[str, ...],
    foreign: bool,
    options: RunOptions,
    display: DisplayOptions,
) -> ExitCode:
    """Start a run whose steps are the undos of `run`, newest first, and follow it.

    `assignments` are the secrets of the run, given again as `NAME=@SOURCE`.

    Raises:
        UsageError: there is no terminal; the run has not ended, or nothing is left to undo.
        ForeignRunError: the run may be anybody's, and `foreign` was not given.
        ParameterError: a secret is refused, or can't be read from its source.
        DeclinedError: something else is wrong. Nothing was created or run.
    """
    if not has_terminal():
        raise UsageError("undo asks before each step, and there is no terminal to ask on")
    standard_streams.continue_without_stdout(STDOUT_LOST)
    directory = run_directory.find(config.runs_dir(options.runs_dir), run)
    state = undo_request.read_ended_run(directory, foreign=foreign)
    settings = config.load_for(Path(state.plan.runbook))
    undo_request.parse(directory, settings)  # refused before anything is asked
    secret_reentry.refuse_non_secrets(state, sources.parse_assignments(assignments))
    secrets = gather_parameters.gather_secrets(
        assignments,
        secret_reentry.secret_parameters(state),
        Prompts(plain=display.plain),
        ask=True,
    )
    request = undo_request.request(directory, state, options, secrets, settings)
    return follow_new(request, spawn(), json=False, detach=False, display=display)
