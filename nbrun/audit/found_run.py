"""A run found in a folder of runs, as the check of the index compares it."""

from nbrun.audit.verify import Standing, Verification
from nbrun.core import events as ev
from nbrun.core.events import Record
from nbrun.errors import JournalError
from nbrun.journal.reader import JournalReader, first_record, last_record
from nbrun.journal.run_directory import RunDirectory


class FoundRun:
    """A run in the folder: its owner, its first line, and the result of its verification."""

    def __init__(self, directory: RunDirectory, result: Verification) -> None:
        self.id = directory.id
        self.result = result
        self.journal = directory.journal
        self.owner = -1
        self.first: Record | None = None
        try:
            self.owner = directory.path.stat().st_uid
            self.first = first_record(self.journal)
        except (OSError, JournalError):
            pass  # the verification has said so

    @property
    def index_head(self) -> str:
        """The hash at which the index stood when the run began; empty if the run has none."""
        started = self.first.event if self.first else None
        return started.index if isinstance(started, ev.RunStarted) else ""

    @property
    def is_copy(self) -> bool:
        """True if the record is that of another run than the folder's name says."""
        return self.result.run != self.id

    def has_head(self, head: str) -> bool:
        """Return True if `head` is the hash of the last line. The run may have ended just now."""
        if self.result.head == head:
            return True
        last = last_record(self.journal) if self.result.standing is Standing.OPEN else None
        return last is not None and last.hash == head

    def why_not_listed(self) -> tuple[bool, str]:
        """Return True if nbrun would have listed the run, and what there is to say about it."""
        if not self.index_head:
            return False, f"{self.id} was made without an index"
        for record in JournalReader(self.journal):
            if isinstance(record.event, ev.IndexFailed):
                return False, f"{self.id} is not listed: {record.event.why}"
            if isinstance(record.event, ev.AttemptStarted):
                return True, (
                    f"{self.id} is not listed, though nbrun lists a run before its first step: the "
                    "index or the run is not what nbrun wrote"
                )
        return False, f"{self.id} is not listed: nbrun ended before it ran anything"
