"""`nbrun export`: make a view of a run again from its journal alone."""

from pathlib import Path

from nbrun import reopening, run_directory
from nbrun.errors import ExitCode, JournalError, UsageError
from nbrun.journal import Reading
from nbrun.views import notebook


def export_notebook(run: str, path: Path | None, runs_dir: Path | None) -> tuple[ExitCode, Path]:
    """Write the output notebook of `run` to `path`, or where the run keeps it; where that is.

    Raises:
        UsageError: `path` can't be written, or is a folder.
        RunNotFoundError, DamagedJournalError: see their messages.
    """
    directory = run_directory.find(run_directory.runs_dir(runs_dir), run)
    reopening.note_interruption(directory.journal)
    own = directory.notebook(_runbook(directory.journal))
    target = path or own
    content = notebook.build(Reading(directory.journal))
    if target.is_dir():
        raise UsageError(f"{target}: is a folder; name the file")
    try:
        notebook.write(target.absolute(), content)
    except OSError as error:
        raise UsageError(f"{target}: can't be written: {error.strerror}") from error
    return ExitCode.COMPLETED, target


def _runbook(journal: Path) -> str:
    for record in Reading(journal):
        return str(getattr(record.event, "runbook", ""))
    raise JournalError(f"{journal}: the journal is empty: nbrun ended before the run began")
