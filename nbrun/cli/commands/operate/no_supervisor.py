"""The error of a command that finds no supervisor of a run: why, and what to do instead."""

from nbrun.errors import NoSupervisorError, UsageError
from nbrun.journal import recovery, writer
from nbrun.journal.run_directory import RunDirectory


def explain_no_supervisor(
    directory: RunDirectory, error: NoSupervisorError
) -> UsageError | NoSupervisorError:
    """Return the error that says why the run has no supervisor, and what to do instead."""
    if recovery.record_interruption(directory.journal):
        return UsageError(
            f"{directory.id}: the run was interrupted. To continue it: nbrun resume {directory.id}"
        )
    if writer.is_locked(directory.journal):
        return error
    return UsageError(f"{directory.id}: the run has ended: see nbrun log {directory.id}")
