"""Tell runs that this account's nbrun began on this machine from all others.

A record is data. Whoever can write a runs folder, or publishes a repository with one, can make a
record that says anything. Commands that continue or end a run therefore ask two questions: may
anybody else have written its folder, and did this account begin it here? The second has its answer
in a note outside the folder, which holds the hash of the record's first line until the run ends.
"""

import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from nbrun.core import events as ev
from nbrun.core.events import Record
from nbrun.errors import ForeignRunError, JournalError
from nbrun.journal.reader import first_record
from nbrun.journal.run_directory import RunDirectory
from nbrun.system import ownership, state_folder

_FOLDER = "begun"


def require_own(directory: RunDirectory, *, foreign: bool = False) -> None:
    """Check that nobody but its owner can write the run, and that the owner is this user.

    With `foreign`, root may act on a run of another user.

    Raises:
        ForeignRunError: the run may be anybody's.
        JournalError: there is no journal.
    """
    fault = directory.owner_fault()
    if not fault:
        return
    if not os.path.lexists(directory.journal):
        raise JournalError(f"{directory.journal}: can't open the journal: there is none")
    if os.getuid() != 0:
        raise ForeignRunError(
            f"{directory.id}: is not your own run: {fault}. nbrun only reads it: what it says may "
            "be anybody's"
        )
    if not foreign:
        raise ForeignRunError(
            f"{directory.id}: is not root's own run: {fault}. To act on it as root: --foreign"
        )
    fault = directory.owner_fault(directory.path.lstat().st_uid)
    if fault:
        raise ForeignRunError(f"{directory.id}: is not its owner's alone: {fault}")


def require_said(directory: RunDirectory, *, foreign: bool) -> None:
    """Check that root names a run of another user on purpose, before root contacts it.

    For any other user, the run's supervisor decides: a group may share the run.

    Raises:
        ForeignRunError: this is root, the run is not, and `foreign` was not given.
    """
    if os.getuid() == 0:
        require_own(directory, foreign=foreign)


def owner_of(directory: RunDirectory) -> str:
    """Return the account whose run it is, if it is not this user's own; otherwise an empty text.

    The text says so if others can write a run of this user.
    """
    if not directory.owner_fault():
        return ""
    try:
        account = ownership.owner(directory.path)
    except OSError:
        return "an unknown user"
    is_own = directory.path.lstat().st_uid == os.getuid()
    return "anybody: others can write it" if is_own else account


# ── the runs that this account began ─────────────────────────────────────────────────────────


def has_begun(directory: RunDirectory) -> bool:
    """Return True if this account's nbrun wrote the record's first line, on this machine.

    Raises:
        JournalError, OSError: the journal can't be read.
        NbrunError: the note can't be believed.
    """
    first = first_record(directory.journal)
    noted = state_folder.read(_note(directory.id))
    return first is not None and noted == _content(first)


class BegunNote:
    """Keeps the note of a run from its first line to its end: a `Subscriber` of `audit`."""

    def __init__(self, run: str) -> None:
        self._run = run

    def receive(self, records: Sequence[Record]) -> None:
        for record in records:
            if isinstance(record.event, ev.RunStarted):
                _write(self._run, record)
            if isinstance(record.event, ev.RunFinished):
                with suppress(OSError):
                    _note(self._run).unlink()

    def close(self) -> None:
        """Do nothing: an interrupted run keeps its note."""


def _write(run: str, first: Record) -> None:
    """Write the note. Without it, `nbrun resume` asks for `--foreign`: the run itself goes on."""
    try:
        state_folder.write(_note(run), _content(first))
    except OSError as error:
        logging.getLogger(__name__).warning("the run is not noted as begun here: %s", error)


def _note(run: str) -> Path:
    return state_folder.state_path(_FOLDER, run)


def _content(first: Record) -> bytes:
    return f"{first.hash}\n".encode()
