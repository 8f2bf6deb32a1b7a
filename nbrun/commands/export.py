"""`nbrun export`: make a view of a run again from its journal alone."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

from nbrun import reopening, run_directory
from nbrun.errors import ExitCode, JournalError, UsageError
from nbrun.events import Record
from nbrun.journal import Reading
from nbrun.views import notebook

Kind = Literal["notebook", "html", "markdown", "cast"]
Maker = Callable[[Iterable[Record]], bytes]

SUFFIXES: dict[Kind, str] = {
    "notebook": ".ipynb",
    "html": ".html",
    "markdown": ".md",
    "cast": ".cast",
}


def export(run: str, kind: Kind, path: Path | None, runs_dir: Path | None) -> tuple[ExitCode, Path]:
    """Write that view of `run` to `path`, or into the run's folder; where that is.

    Raises:
        UsageError: `path` can't be written, or is a folder.
        RunNotFoundError, DamagedJournalError: see their messages.
    """
    directory = run_directory.find(run_directory.runs_dir(runs_dir), run)
    reopening.note_interruption(directory.journal)
    own = directory.notebook(_runbook(directory.journal)).with_suffix(SUFFIXES[kind])
    target = path or own
    content = _maker(kind)(Reading(directory.journal))
    if target.is_dir():
        raise UsageError(f"{target}: is a folder; name the file")
    try:
        notebook.write(target.absolute(), content)
    except OSError as error:
        raise UsageError(f"{target}: can't be written: {error.strerror}") from error
    return ExitCode.COMPLETED, target


def _maker(kind: Kind) -> Maker:
    """What makes it: each is imported when it is asked for."""
    match kind:
        case "html":
            from nbrun.views import report

            return report.build
        case "markdown":
            from nbrun.views import ticket

            return ticket.build
        case "cast":
            from nbrun.views import cast

            return cast.build
    return notebook.build


def _runbook(journal: Path) -> str:
    for record in Reading(journal):
        return str(getattr(record.event, "runbook", ""))
    raise JournalError(f"{journal}: the journal is empty: nbrun ended before the run began")
