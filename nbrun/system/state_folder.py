"""The small files that nbrun keeps for this account, in the platform's folder for state.

Only this user can read and write them. So nbrun believes what they say, unlike a file that came
with a notebook or with a record.
"""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from nbrun.errors import NbrunError
from nbrun.system.files import open_regular, sync_directory, sync_file
from nbrun.system.ownership import owner_fault

_LARGEST = 2**22  # bytes that are read of one file


def state_path(*names: str) -> Path:
    """Return a path in nbrun's folder for state, which need not exist."""
    import platformdirs  # slow to import, and not needed by every command

    return Path(platformdirs.user_state_path("nbrun", appauthor=False), *names)


def config_path(name: str) -> Path:
    """Return the path of a file in this user's folder for settings, which need not exist."""
    import platformdirs

    return Path(platformdirs.user_config_path("nbrun", appauthor=False), name)


def read(path: Path) -> bytes | None:
    """Return the content of a file of this account; None if there is no such file.

    Raises:
        NbrunError: another user may have written the file, or it can't be read.
    """
    if not path.is_symlink() and not path.exists():
        return None
    fault = owner_fault(path) or owner_fault(path.parent)
    if fault:
        raise NbrunError(f"{path}: is not used: {fault}")
    try:
        with open_regular(path) as file:
            return file.read(_LARGEST)
    except OSError as error:
        raise NbrunError(f"{path}: can't be read: {error.strerror}") from error


def write(path: Path, content: bytes) -> None:
    """Replace the file as a whole, readable by this user alone. Return when it is on disk.

    Raises OSError.
    """
    for folder in reversed([each for each in path.parents if not each.exists()]):
        folder.mkdir(mode=0o700)
        folder.chmod(0o700)
    fd, new = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            sync_file(fd)
        Path(new).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(new).unlink()
        raise
    sync_directory(path.parent)
