"""`nbrun attach`: be the operator of a run that goes on."""

from pathlib import Path

from nbrun import config
from nbrun.cli.commands import follow
from nbrun.cli.commands.operate.start import someone_is_there
from nbrun.core import events as ev
from nbrun.errors import ExitCode, NoSupervisorError, UsageError
from nbrun.journal import recovery, run_directory, writer
from nbrun.journal.reader import Reading
from nbrun.journal.run_directory import RunDirectory
from nbrun.supervisor.client import SocketLink
from nbrun.views.text.options import DisplayOptions


def attach(
    run: str, runs_dir: Path | None, *, take_over: bool, since_detach: bool, display: DisplayOptions
) -> ExitCode:
    """Show what has happened, and decide from here on.

    Raises:
        UsageError: nobody can be asked here, or the run has ended or was interrupted.
        RefusedAttachError: somebody else is attached.
    """
    if not someone_is_there():
        raise UsageError("attach asks, and there is no terminal to ask on: see nbrun watch")
    directory = run_directory.find(config.runs_dir(runs_dir), run)
    show_from = _last_detach(directory) if since_detach else 0
    try:
        link = SocketLink(directory, "take_over" if take_over else "operate")
    except NoSupervisorError as error:
        raise why_not(directory, error) from None
    return follow.operate(directory, link, show_from=show_from, display=display)


def why_not(directory: RunDirectory, error: NoSupervisorError) -> UsageError | NoSupervisorError:
    """Why a run's supervisor can't be reached, and what to do instead."""
    if recovery.note_interruption(directory.journal):
        return UsageError(
            f"{directory.id}: the run was interrupted: go on with nbrun resume {directory.id}"
        )
    if writer.is_locked(directory.journal):
        return error
    return UsageError(f"{directory.id}: the run has ended: see nbrun log {directory.id}")


def _last_detach(directory: RunDirectory) -> int:
    """The number of the record in which an operator last left; 0 when none has."""
    left = [r.seq for r in Reading(directory.journal) if isinstance(r.event, ev.OperatorDetached)]
    return left[-1] if left else 0
