"""Markers of the runs that this account's nbrun began on this machine and that have not ended.

A marker lies outside the run's folder, where only this user can write it, and holds the hash of the
record's first line. A copy of a run from elsewhere, which belongs to whoever copied it, has none.
"""

import logging
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from nbrun.core import events as ev
from nbrun.core.events import Record
from nbrun.journal.reader import first_record
from nbrun.journal.run_directory import RunDirectory
from nbrun.system import state_folder

_FOLDER = "begun"


def began_here(directory: RunDirectory) -> bool:
    """Return True if this account's nbrun wrote the record's first line, on this machine.

    Raises:
        JournalError, OSError: the journal can't be read.
        NbrunError: the marker can't be believed.
    """
    first = first_record(directory.journal)
    marker = state_folder.read(_path(directory.id))
    return first is not None and marker == _content(first)


class StartMarker:
    """Writes the marker of a run at its start, and removes it at its end.

    A `Subscriber` of `audit`.
    """

    def __init__(self, run: str) -> None:
        self._run = run

    def receive(self, records: Sequence[Record]) -> None:
        for record in records:
            if isinstance(record.event, ev.RunStarted):
                _write(self._run, record)
            if isinstance(record.event, ev.RunFinished):
                with suppress(OSError):
                    _path(self._run).unlink()

    def close(self) -> None:
        """Do nothing: an interrupted run keeps its marker."""


def _write(run: str, first: Record) -> None:
    """Write the marker. Without it, `nbrun resume` asks for `--foreign`: the run itself goes on."""
    try:
        state_folder.write(_path(run), _content(first))
    except OSError as error:
        logging.getLogger(__name__).warning("the run is not noted as begun here: %s", error)


def _path(run: str) -> Path:
    return state_folder.state_path(_FOLDER, run)


def _content(first: Record) -> bytes:
    return f"{first.hash}\n".encode()
