"""Files of a run: made durable, and opened without being led elsewhere."""

import errno
import fcntl
import io
import os
import stat
from pathlib import Path


def sync_file(fd: int) -> None:
    """Come back when the disk holds what was written to `fd`. Raises OSError."""
    if hasattr(fcntl, "F_FULLFSYNC"):  # macOS: its fsync leaves the data in the drive's cache
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
    else:
        os.fdatasync(fd)


def sync_directory(path: Path) -> None:
    """Make the names in a directory as durable as the files. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def open_regular(path: Path) -> io.BufferedReader:
    """A file of a run, open for reading: no link to elsewhere, no pipe that never ends.

    Raises:
        OSError: it can't be read, or is no regular file.
    """
    return os.fdopen(open_sized(path)[0], "rb")


def open_sized(path: Path) -> tuple[int, int]:
    """The same as a descriptor, which is to be closed, and its size in bytes."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "it is not a regular file")
    return fd, found.st_size


SHARED = 0o710  # the mode of a run's folder that is shared with a group


def for_readers(fd: int, folder: Path) -> None:
    """Let its owner alone read the open file in `folder`; where that is shared with a group, that
    group too. Raises OSError."""
    found = folder.stat()
    if stat.S_IMODE(found.st_mode) == SHARED:
        os.fchown(fd, -1, found.st_gid)
        os.fchmod(fd, 0o640)
    else:
        os.fchmod(fd, 0o600)
