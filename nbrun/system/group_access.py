"""A group of the system's that a run is shared with: its members may look on and approve."""

import grp
import os
import stat
from pathlib import Path

from nbrun.errors import UsageError


def obstacle(path: Path, gid: int) -> Path | None:
    """The first folder above `path`, from the root on, that lets no member of a group through, as
    far as its mode says; None when they get to `path`."""
    for folder in reversed(path.parents):
        found = folder.stat()
        for_group = found.st_gid == gid and found.st_mode & stat.S_IXGRP
        if not (for_group or found.st_mode & stat.S_IXOTH):
            return folder
    return None


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
