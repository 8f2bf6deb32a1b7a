"""Sync files of a run to disk, open them safely, and set who can read them."""

import errno
import fcntl
import io
import os
import stat
from pathlib import Path


def sync_file(fd: int) -> None:
    """Return when everything written to `fd` is on disk. Raises OSError."""
    if hasattr(fcntl, "F_FULLFSYNC"):  # macOS, whose fsync leaves data in the drive's cache
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
    else:
        os.fdatasync(fd)


def sync_directory(path: Path) -> None:
    """Return when the names in the directory `path` are on disk. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def open_regular(path: Path) -> io.BufferedReader:
    """Open a file of a run for reading. A symbolic link or a pipe is refused.

    Raises:
        OSError: the file can't be read, or is not a regular file.
    """
    return os.fdopen(open_regular_fd(path)[0], "rb")


def open_regular_fd(path: Path) -> tuple[int, int]:
    """Open as `open_regular` does, and return a descriptor and the size in bytes.

    The caller closes the descriptor.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "it is not a regular file")
    return fd, found.st_size


SHARED_MODE = 0o710  # of a run's folder that is shared with a group


def set_reader_mode(fd: int, folder: Path) -> None:
    """Make the open file in `folder` readable by its owner, and by the group of a shared folder.

    Raises OSError.
    """
    found = folder.stat()
    if stat.S_IMODE(found.st_mode) == SHARED_MODE:
        os.fchown(fd, -1, found.st_gid)
        os.fchmod(fd, 0o640)
    else:
        os.fchmod(fd, 0o600)
