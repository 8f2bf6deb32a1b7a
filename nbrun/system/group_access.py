"""The Unix group that a run is shared with: its members may watch and approve."""

import grp
import os
import stat
from pathlib import Path

from nbrun.errors import UsageError


def blocking_folder(path: Path, gid: int) -> Path | None:
    """Return the first folder above `path`, from the root on, that a group's members can't enter.

    Only the modes of the folders count. Return None if the members can reach `path`.
    """
    for folder in reversed(path.parents):
        status = folder.stat()
        for_group = status.st_gid == gid and status.st_mode & stat.S_IXGRP
        if not (for_group or status.st_mode & stat.S_IXOTH):
            return folder
    return None


def gid_of(group: str) -> int:
    """Return the id of the group `group`, which this process can give files to.

    Raises:
        UsageError: there is no such group, or this user is not in it.
    """
    try:
        gid = grp.getgrnam(group).gr_gid
    except KeyError:
        raise UsageError(f"group {group}: there is no such group") from None
    if os.getuid() != 0 and gid not in {os.getgid(), *os.getgroups()}:
        raise UsageError(f"group {group}: you are not in this group")
    return gid


def is_open_to_replacement(folder: Path) -> bool:
    """Return True if other users may rename and remove what this user creates in `folder`.

    The sticky bit leaves that to the owners of the entry and of the folder (see inode(7)).
    """
    mode = folder.stat().st_mode
    return bool(mode & (stat.S_IWGRP | stat.S_IWOTH)) and not mode & stat.S_ISVTX
