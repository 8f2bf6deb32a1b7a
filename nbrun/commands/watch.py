"""`nbrun watch`: look on while a run goes on."""

from pathlib import Path

from nbrun import reopening, run_directory
from nbrun.commands import conduct
from nbrun.errors import ExitCode
from nbrun.views.look import Look


def watch(run: str, runs_dir: Path | None, *, json: bool, look: Look) -> ExitCode:
    """Show the run from its beginning to its end, as its journal grows. Nothing is asked, and
    nothing that is done here reaches the run.

    Raises:
        RunNotFoundError, DamagedJournalError: see their messages.
    """
    directory = run_directory.find(run_directory.runs_dir(runs_dir), run)
    reopening.note_interruption(directory.journal)
    return conduct.look_on(directory, json=json, look=look)
