"""Read where a run stands, whatever has become of it: from its journal, without its supervisor."""

from nbrun.journal import recovery
from nbrun.journal.reader import JournalReader
from nbrun.journal.run_directory import RunDirectory
from nbrun.journal.writer import is_locked
from nbrun.views.export.run_status import StatusFold, fold_status


def read_fold(directory: RunDirectory) -> tuple[StatusFold, bool]:
    """Return the fold of the run's records, and True if a supervisor hosts the run.

    That the run was interrupted is recorded, if it is this user's own.

    Raises:
        DamagedJournalError: the record is damaged.
        NbrunError, OSError: the record can't be read.
    """
    recovery.record_interruption(directory.journal)
    alive = is_locked(directory.journal)
    return fold_status(JournalReader(directory.journal)), alive
