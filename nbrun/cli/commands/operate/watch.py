"""`nbrun watch`: follow a run without controlling it."""

from pathlib import Path

from nbrun import config
from nbrun.cli.commands import follow
from nbrun.cli.commands.damaged_records import reading
from nbrun.errors import ExitCode
from nbrun.journal import recovery, run_directory
from nbrun.views.text.options import DisplayOptions


@reading("the run")
def watch(run: str, runs_dir: Path | None, *, json: bool, display: DisplayOptions) -> ExitCode:
    """Show the run from its beginning to its end, as its journal grows. The run gets no input.

    Raises:
        RunNotFoundError: no run, or more than one, matches `run`.
        DamagedJournalError: a line of the journal is not as it was written.
    """
    directory = run_directory.find(config.runs_dir(runs_dir), run)
    recovery.record_interruption(directory.journal)
    return follow.watch(directory, json=json, display=display)
