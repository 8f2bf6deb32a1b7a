"""Check that the output notebook in a run's folder is the one that the run's record makes."""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

from nbrun import __version__
from nbrun.core import events as ev
from nbrun.core.events import Record, TimestampedEvent
from nbrun.errors import BrokenRecordError
from nbrun.journal.reader import JournalReader
from nbrun.journal.run_directory import RunDirectory
from nbrun.system.files import open_regular

# A run writes its notebook after these events, and at its end.
_NOTEBOOK_WRITTEN_AFTER = (ev.RunStarted, ev.Stopped, ev.RunInterrupted, ev.RunResumed)

# Returns the SHA-256 of the output notebook of records. Raises IllegalEventError.
Digest = Callable[[Iterable[TimestampedEvent]], str]


class NotebookCheck:
    """The check of the output notebook of a run that has ended."""

    def __init__(
        self, directory: RunDirectory, digest: Digest, expected: str, notes: list[str]
    ) -> None:
        """`expected`: the hash of the notebook that the whole record makes. `notes` is added to."""
        self._directory = directory
        self._digest = digest
        self._expected = expected
        self._notes = notes

    def check(self, plan: ev.RunStarted, finished: ev.RunFinished, line: int) -> None:
        """Check the hash in the record's last line, whose number is `line`, and the file.

        A missing notebook is not an error, since the record makes it again. Another version of
        nbrun may make another notebook: then only the hash in the record is checked.

        Raises:
            BrokenRecordError: the hash or the file is not that of this record's notebook.
        """
        recorded = finished.notebook_sha256
        if recorded is None or plan.versions.get("nbrun") == __version__:
            if recorded not in (None, self._expected):
                raise BrokenRecordError(
                    f"line {line}: says that the notebook was {recorded}, and this record makes "
                    f"{self._expected}"
                )
            recorded = self._expected
        path = self._directory.notebook(plan.runbook)
        found = self._hash_of_file(path)
        if found in (None, recorded):
            return
        # Without a hash in the record, the last notebook could not be written.
        if finished.notebook_sha256 is None and self._is_earlier_notebook(found):
            self._notes.append(
                f"{path.name} is older than the end of the run: nbrun export makes it again"
            )
            return
        raise BrokenRecordError(f"{path.name} is not the notebook of this record: it was changed")

    def _hash_of_file(self, path: Path) -> str | None:
        try:
            with open_regular(path) as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            self._notes.append(f"{path.name} is missing: nbrun export makes it again")
            return None
        except OSError as error:
            raise BrokenRecordError(f"{path.name} can't be read: {error.strerror}") from error

    def _is_earlier_notebook(self, found: str | None) -> bool:
        """Return True if the notebook is one that was written at the start or at a stop."""
        before: list[Record] = []
        for record in JournalReader(self._directory.journal):
            before.append(record)
            if isinstance(record.event, _NOTEBOOK_WRITTEN_AFTER) and self._digest(before) == found:
                return True
        return False
