"""Whether the output notebook that a run's folder keeps is the one that its record makes."""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

from nbrun import __version__
from nbrun.core import events as ev
from nbrun.core.events import Record, TimestampedEvent
from nbrun.journal.reader import JournalReader
from nbrun.journal.run_directory import RunDirectory
from nbrun.system.files import open_regular

# Where a run writes its notebook besides at its end.
_WRITTEN_AT = (ev.RunStarted, ev.Stopped, ev.RunInterrupted, ev.RunResumed)

Digest = Callable[
    [Iterable[TimestampedEvent]], str
]  # the SHA-256 of the output notebook of records


class BrokenError(Exception):
    """The record is not what nbrun wrote; the message says where."""


class KeptNotebook:
    """The output notebook of a run that has ended."""

    def __init__(
        self, directory: RunDirectory, digest: Digest, made: str, notes: list[str]
    ) -> None:
        """`made`: the hash of the notebook that the whole record makes."""
        self._directory = directory
        self._digest = digest
        self._made = made
        self._notes = notes

    def check(self, plan: ev.RunStarted, finished: ev.RunFinished, line: int) -> None:
        """That the one that was made is the journal's, and that the file is the one that was made.

        A notebook that is gone can be made again, and is no lie. Another nbrun may have drawn it
        differently: then its hash in the journal alone vouches for it.
        """
        recorded = finished.notebook_sha256
        if recorded is None or plan.versions.get("nbrun") == __version__:
            if recorded not in (None, self._made):
                raise BrokenError(
                    f"line {line}: says that the notebook was {recorded}, and this record makes "
                    f"{self._made}"
                )
            recorded = self._made
        path = self._directory.notebook(plan.runbook)
        found = self._found(path)
        if found in (None, recorded):
            return
        if finished.notebook_sha256 is None and self._is_of_a_stop(found):
            self._notes.append(
                f"{path.name} is older than the end of the run: nbrun export mends it"
            )
            return
        raise BrokenError(f"{path.name} is not the notebook of this record: it was changed")

    def _found(self, path: Path) -> str | None:
        try:
            with open_regular(path) as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            self._notes.append(f"{path.name} is gone: nbrun export makes it again")
            return None
        except OSError as error:
            raise BrokenError(f"{path.name} can't be read: {error.strerror}") from error

    def _is_of_a_stop(self, found: str | None) -> bool:
        """It is the one that was written at the start or at a stop, where the last could not be."""
        before: list[Record] = []
        for record in JournalReader(self._directory.journal):
            before.append(record)
            if isinstance(record.event, _WRITTEN_AT):
                made = self._digest(before)
                if made == found:
                    return True
        return False
