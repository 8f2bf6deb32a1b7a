"""`nbrun watch`: look on while a run goes on."""

from pathlib import Path

from nbrun import config
from nbrun.cli.commands import follow
from nbrun.errors import ExitCode
from nbrun.journal import recovery, run_directory
from nbrun.views.text.options import DisplayOptions


def watch(run: str, runs_dir: Path | None, *, json: bool, display: DisplayOptions) -> ExitCode:
    """Show the run from its beginning to its end, as its journal grows. Nothing is asked, and
    nothing that is done here reaches the run.

    Raises:
        RunNotFoundError, DamagedJournalError: see their messages.
    """
    directory = run_directory.find(config.runs_dir(runs_dir), run)
    recovery.note_interruption(directory.journal)
    return follow.look_on(directory, json=json, display=display)
