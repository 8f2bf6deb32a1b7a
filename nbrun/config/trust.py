"""The `nbrun.toml` files that this user trusts: by path and SHA-256, as direnv does.

A file that comes with a notebook is somebody else's. What it sets that runs, sends or signs
something takes effect once this user has said so, and until the file changes.
"""

from pathlib import Path

import msgspec

from nbrun.errors import NbrunError, UsageError
from nbrun.system import state_folder

_STORE = "trusted.json"


def is_trusted(path: Path, sha256: str) -> bool:
    """Return True if this user trusts the file `path` with this content.

    Raises:
        NbrunError: the list of trusted files can't be believed.
    """
    return trusted_files().get(str(path.resolve())) == sha256


def trusted_files() -> dict[str, str]:
    """Return the SHA-256 of each trusted file by its path.

    Raises:
        NbrunError: the list can't be read, or another user may have written it.
    """
    path = state_folder.state_path(_STORE)
    content = state_folder.read(path)
    try:
        return {} if content is None else msgspec.json.decode(content, type=dict[str, str])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NbrunError(f"{path}: can't be read: {error}. Remove it and trust again") from error


def add(path: Path, sha256: str) -> None:
    """Trust the file `path` with this content. Raises NbrunError."""
    _write(trusted_files() | {str(path.resolve()): sha256})


def remove(path: Path) -> None:
    """Do not trust the file `path` any more.

    Raises:
        UsageError: it is not trusted.
    """
    files = trusted_files()
    if str(path.resolve()) not in files:
        raise UsageError(f"{path}: is not trusted: see nbrun trust --list")
    del files[str(path.resolve())]
    _write(files)


def _write(files: dict[str, str]) -> None:
    path = state_folder.state_path(_STORE)
    try:
        state_folder.write(path, msgspec.json.format(msgspec.json.encode(files)))
    except OSError as error:
        raise NbrunError(f"{path}: can't be written: {error.strerror}") from error
