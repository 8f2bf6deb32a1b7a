"""A group of the system's that a run is shared with: its members may look on and approve."""

import grp
import os

from nbrun.errors import UsageError


def gid_of(group: str) -> int:
    """The number of the group `group`, which this process can share with.

    Raises:
        UsageError: there is none, or this user is not in it.
    """
    try:
        gid = grp.getgrnam(group).gr_gid
    except KeyError:
        raise UsageError(f"--group {group}: there is no such group") from None
    if os.getuid() != 0 and gid not in {os.getgid(), *os.getgroups()}:
        raise UsageError(f"--group {group}: you are not in this group")
    return gid
