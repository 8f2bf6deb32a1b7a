"""The owner of a run: commands act only on runs that belong to this user, and to nobody else.

A record is data. Whoever can write a runs folder can make a record that says anything. Of a copy,
the owner is whoever copied it: see `start_marker` for where a run began.
"""

import os

from nbrun.core.model import Operator
from nbrun.errors import ForeignRunError, JournalError, UsageError
from nbrun.journal.run_directory import RunDirectory
from nbrun.system import ownership


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


def require_foreign_option(directory: RunDirectory, *, foreign: bool) -> None:
    """Check that root gave `--foreign` to contact another user's run.

    For any other user, the run's supervisor decides: a group may share the run.

    Raises:
        ForeignRunError: this is root, the run belongs to another user, and `foreign` is False.
    """
    if os.getuid() == 0:
        require_own(directory, foreign=foreign)


def require_recorded_owner(directory: RunDirectory, operator: Operator) -> None:
    """Refuse a record in another person's name, which anybody can plant in a shared folder.

    `operator`: who began the run, as the record says.

    Raises:
        UsageError: the run's files belong to somebody else.
    """
    owner = directory.journal.lstat().st_uid
    if owner != operator.uid:
        raise UsageError(
            f"{directory.id}: the record says that {operator.name} (uid {operator.uid}, "
            f"{operator.via}) began the run, but its files belong to "
            f"{ownership.owner(directory.journal)} (uid {owner})"
        )


def owner_of(directory: RunDirectory) -> str:
    """Return the account that a run of another user belongs to; "" for this user's own.

    If others can write a run of this user, the text says that.
    """
    if not directory.owner_fault():
        return ""
    try:
        account = ownership.owner(directory.path)
    except OSError:
        return "an unknown user"
    is_own = directory.path.lstat().st_uid == os.getuid()
    return "anybody: others can write it" if is_own else account
