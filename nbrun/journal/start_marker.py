"""Markers of the runs that this account's nbrun began on this machine.

A run has its marker until it has ended, and if a step of it has an undo, also afterwards.

A marker lies outside the run's folder, where only this user can write it, and holds the hash of the
record's first line. A copy of a run from elsewhere, which belongs to whoever copied it, has none.
A second marker stays until all lines of a run are forwarded, also after its end.
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

_BEGUN, _TO_FORWARD = "begun", "to-forward"  # folders of markers


def began_here(directory: RunDirectory) -> bool:
    """Return True if this account's nbrun wrote the record's first line, on this machine.

    Raises:
        JournalError, OSError: the journal can't be read.
        NbrunError: the marker can't be believed.
    """
    return _is_marked(_BEGUN, directory)


class StartMarker:
    """Writes the marker of a run at its start, and removes it at its end.

    A `Subscriber` of `audit`. `stays`: a later command may execute cells of the ended run.
    """

    def __init__(self, run: str, *, stays: bool = False) -> None:
        self._run = run
        self._stays = stays

    def receive(self, records: Sequence[Record]) -> None:
        for record in records:
            if isinstance(record.event, ev.RunStarted):
                # Without it, `nbrun resume` asks for `--foreign`: the run itself goes on.
                _write(_BEGUN, self._run, record)
            if isinstance(record.event, ev.RunFinished) and not self._stays:
                _remove(_BEGUN, self._run)

    def close(self) -> None:
        """Do nothing: an interrupted run keeps its marker."""


def is_forwarded_here(directory: RunDirectory) -> bool:
    """Return True if this account's nbrun forwards the run, and may not have sent all of it.

    Raises as `began_here` does.
    """
    return _is_marked(_TO_FORWARD, directory)


def mark_to_forward(directory: RunDirectory) -> None:
    """Write the second marker. Without it, no later run sends what this one could not.

    Raises:
        JournalError, OSError: the journal can't be read.
    """
    first = first_record(directory.journal)
    if first is not None:
        _write(_TO_FORWARD, directory.id, first)


def unmark_forwarded(directory: RunDirectory) -> None:
    """Remove the second marker: all lines were sent."""
    _remove(_TO_FORWARD, directory.id)


def _is_marked(folder: str, directory: RunDirectory) -> bool:
    first = first_record(directory.journal)
    marker = state_folder.read(_path(folder, directory.id))
    return first is not None and marker == _content(first)


def _write(folder: str, run: str, first: Record) -> None:
    try:
        state_folder.write(_path(folder, run), _content(first))
    except OSError as error:
        logging.getLogger(__name__).warning("the run is not noted as %s here: %s", folder, error)


def _remove(folder: str, run: str) -> None:
    with suppress(OSError):
        _path(folder, run).unlink()


def _path(folder: str, run: str) -> Path:
    return state_folder.state_path(folder, run)


def _content(first: Record) -> bytes:
    return f"{first.hash}\n".encode()
