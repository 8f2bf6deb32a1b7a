"""The check of whoever answers on a run's socket, before a client sends anything."""

import os
import socket

from nbrun.errors import NoSupervisorError, RefusedAttachError
from nbrun.journal.run_directory import RunDirectory
from nbrun.supervisor.protocol import Purpose
from nbrun.system import peer_credentials, provenance


def require_owner(
    connection: socket.socket, directory: RunDirectory, purpose: Purpose, *, was_asked: bool = False
) -> None:
    """Check that the process at the other end of `connection` belongs to the run's owner.

    In a folder that several users can write, anybody can plant a run, or a socket in place of the
    run's own. Whoever attaches to it types decisions, and perhaps passwords. `was_asked`: this user
    knows whose run it is, and wants to operate it.

    Raises:
        RefusedAttachError: another user answers, or this user can't operate the run.
        NoSupervisorError: nobody can tell who answers.
    """
    try:
        peer = peer_credentials.peer_of(connection).uid
        owner = directory.journal.lstat().st_uid
    except OSError as error:
        raise NoSupervisorError(
            f"{directory.id}: can't tell who answers for this run: {error.strerror}"
        ) from error
    if peer == os.getuid():  # a supervisor of this user's refuses clients of another run itself
        return
    if peer not in (owner, 0):
        raise RefusedAttachError(
            f"{directory.id}: the process that answers for this run belongs to {_user(peer)}, and "
            f"the run to {_user(owner)}: nothing was sent to it"
        )
    if purpose not in ("follow", "decide") and os.getuid() != 0 and not was_asked:
        raise RefusedAttachError(
            f"{directory.id}: belongs to {_user(owner)}, and only its owner can operate this run: "
            "see nbrun watch"
        )


def _user(uid: int) -> str:
    return f"{provenance.account(uid)} (uid {uid})"
