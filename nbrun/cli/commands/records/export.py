"""`nbrun export`: make a view of a run again from its journal alone."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from nbrun import config
from nbrun.audit.verify import Standing, Trust, verify
from nbrun.cli.commands.records.verify import allowed_signers
from nbrun.errors import ExitCode, JournalError, UsageError
from nbrun.journal import recovery, run_directory
from nbrun.journal.reader import Reading
from nbrun.journal.run_directory import RunDirectory
from nbrun.views.export import notebook

ExportFormat = Literal["notebook", "html", "markdown", "cast"]

SUFFIXES: dict[ExportFormat, str] = {
    "notebook": ".ipynb",
    "html": ".html",
    "markdown": ".md",
    "cast": ".cast",
}


def export(
    run: str,
    format_: ExportFormat,
    path: Path | None,
    runs_dir: Path | None,
    signers: Path | None = None,
) -> tuple[ExitCode, Path]:
    """Write that view of `run` to `path`, or into the run's folder; where that is. `signers`: who
    may sign, for the views that say how the record stands. ALTERED: it says that it is broken.

    Raises:
        UsageError: `path` can't be written, or is a folder; `signers` can't be used.
        RunNotFoundError, DamagedJournalError: see their messages.
    """
    directory = run_directory.find(config.runs_dir(runs_dir), run)
    recovery.note_interruption(directory.journal)
    own = directory.notebook(_runbook(directory.journal)).with_suffix(SUFFIXES[format_])
    target = path or own
    try:
        content, code = _made(format_, directory, signers)
        if target.is_dir():
            raise UsageError(f"{target}: is a folder; name the file")
        notebook.save(target.absolute(), content)
    except OSError as error:
        raise UsageError(f"{target}: can't be written: {error.strerror}") from error
    return code, target


def _made(
    format_: ExportFormat, directory: RunDirectory, signers: Path | None
) -> tuple[Iterable[bytes], ExitCode]:
    """The view, in pieces, and what it says to a shell. What makes it is imported when it is asked
    for."""
    if format_ in ("html", "markdown"):
        content, code = _judged(format_, directory, allowed_signers(signers, [directory]))
        return (content,), code
    if signers is not None:
        raise UsageError(f"--allowed-signers: what --{format_} makes says nothing of signatures")
    records = Reading(directory.journal)
    if format_ == "cast":
        from nbrun.views.terminal import asciicast

        return (asciicast.build(records),), ExitCode.COMPLETED
    return notebook.chunks(records), ExitCode.COMPLETED


def _judged(
    format_: ExportFormat, directory: RunDirectory, signers: Path | None
) -> tuple[bytes, ExitCode]:
    """A view that says how the record stands."""
    from nbrun.views.export import report, ticket

    found = verify(directory, Trust(allowed_signers=signers), notebook.digest)
    build = report.build if format_ == "html" else ticket.build
    broken = found.standing is Standing.BROKEN
    code = ExitCode.ALTERED if broken else ExitCode.COMPLETED
    return build(Reading(directory.journal), found), code


def _runbook(journal: Path) -> str:
    for record in Reading(journal):
        return str(getattr(record.event, "runbook", ""))
    raise JournalError(f"{journal}: the journal is empty: nbrun ended before the run began")
