"""Owners of files and folders, and the check that nobody else can change them."""

import os
import stat
from collections.abc import Collection
from pathlib import Path

_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def owner_fault(path: Path, uid: int | None = None) -> str:
    """Return why `path` is not the user's own file or folder, or "" if it is.

    A path is the user's own if it belongs to `uid` (by default this process's) and only its owner
    can write it. With an access list, the group's bits are the list's upper bound (acl(5)). A
    symbolic link is not followed: its target may be anybody's.
    """
    uid = os.getuid() if uid is None else uid
    try:
        found = path.lstat()
    except OSError as error:
        return f"{path} can't be examined: {error.strerror}"
    if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
        return f"{path} is neither a file nor a folder"
    if found.st_uid != uid:
        return f"{path} belongs to {_account(found.st_uid)}"
    if found.st_mode & _WRITABLE_BY_OTHERS:
        mode = stat.S_IMODE(found.st_mode)
        return f"others can write {path} (mode {mode:04o}): chmod go-w {path}"
    return ""


def replacement_fault(path: Path, uids: Collection[int]) -> str:
    """Return why accounts other than `uids` and root can change what `path` names, or "".

    `path` has no symbolic links. They can if one of its folders is another's, or is writable by
    others: then they can put another file there. The sticky bit keeps them from that (inode(7)).
    """
    for each in reversed((path, *path.parents)):
        try:
            found = each.lstat()
        except OSError as error:
            return f"{each} can't be examined: {error.strerror}"
        if found.st_uid not in uids and found.st_uid != 0:
            return f"{each} belongs to {_account(found.st_uid)}"
        is_sticky = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX
        if found.st_mode & _WRITABLE_BY_OTHERS and not is_sticky:
            mode = stat.S_IMODE(found.st_mode)
            return f"others can write {each} (mode {mode:04o}): chmod go-w {each}"
    return ""


def owner(path: Path) -> str:
    """Return the account that `path` belongs to. Raises OSError."""
    return _account(path.lstat().st_uid)


def _account(uid: int) -> str:
    from nbrun.system.provenance import account  # imports what a list of runs does not need

    return account(uid)
