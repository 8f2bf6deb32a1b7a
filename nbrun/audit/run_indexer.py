"""Append the start and the end of a run to the index of its folder of runs."""

import logging
from collections.abc import Callable, Sequence
from typing import Literal

from nbrun.core import events as ev
from nbrun.core.events import Event, Record
from nbrun.errors import JournalError
from nbrun.journal import runs_index
from nbrun.journal.reader import first_record
from nbrun.journal.run_directory import RunDirectory


class RunIndexer:
    """Appends without delay: the index has the run before its first step begins.

    A failure is reported and does not stop the run.
    """

    def __init__(self, directory: RunDirectory, report: Callable[[Event], None]) -> None:
        """`report` appends an event to the journal."""
        self._directory = directory
        self._report = report

    def receive(self, records: Sequence[Record]) -> None:
        for record in records:
            match record.event:
                case ev.RunStarted():
                    self._append("run.started", record)
                case ev.RunResumed():
                    self._enter_missing_start()
                case ev.RunFinished():
                    self._append("run.ended", record)

    def close(self) -> None:
        """Do nothing: the index has all."""

    def _append(self, event: Literal["run.started", "run.ended"], record: Record) -> None:
        try:
            runs_index.append(self._directory.path.parent, event, self._directory.id, record)
        except JournalError as error:
            self._on_failure(error)

    def _enter_missing_start(self) -> None:
        """Append the start of a resumed run if nbrun was killed before it could."""
        try:
            first = first_record(self._directory.journal)
            if first is not None and not runs_index.has_start(self._directory.journal):
                self._append("run.started", first)
        except (JournalError, OSError) as error:
            self._on_failure(error)

    def _on_failure(self, error: Exception) -> None:
        logging.getLogger(__name__).warning("the run is not in the index of runs: %s", error)
        self._report(ev.IndexFailed(why=str(error)))
