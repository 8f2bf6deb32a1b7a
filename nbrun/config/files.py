"""Find the `nbrun.toml` files that apply to a run, and where runs are kept."""

import os
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path

from nbrun.config import trust
from nbrun.config.settings import Config, FoundFile, keys_to_trust, merge
from nbrun.config.toml_file import settings_in
from nbrun.core.addresses import is_address
from nbrun.core.model import SettingsFile
from nbrun.errors import UsageError
from nbrun.system import state_folder
from nbrun.system.files import open_regular
from nbrun.system.ownership import owner_fault

FILE_NAME = "nbrun.toml"
SYSTEM_FILE = Path("/etc", FILE_NAME)
_ROOT = 0  # uid
_LARGEST = 2**20  # bytes of a file


def load(start: Path) -> Config:
    """Return the settings of every file that applies in the folder `start`.

    They are /etc/nbrun.toml, this user's own file, and each `nbrun.toml` in `start` or above it,
    from the root down.

    Raises:
        UsageError: a file can't be read, has an unknown key, or a wrong value.
    """
    return _merged(_above(start))


def load_for(runbook: Path) -> Config:
    """Return the settings for a runbook, as `load` does for its folder.

    If there is no file in its folder or above it, the working folder's are used instead.

    Raises:
        UsageError: as `load` does.
    """
    return _merged(_above(runbook.parent) or _above(Path.cwd()))


def load_for_run(runbook: str, folder: Path) -> Config:
    """Return the settings for a run of `runbook`, a path or an address, in `folder`.

    A runbook that was fetched from an address has no folder: those of the run's count.

    Raises:
        UsageError: as `load` does.
    """
    return load(folder) if is_address(runbook) else load_for(Path(runbook))


def signing_key(runbook: str, folder: Path) -> Path | None:
    """Return the key that signs records of runs of `runbook` in `folder`; None without one.

    Raises:
        UsageError: an nbrun.toml can't be read, or sets a key and is not trusted.
    """
    settings = load_for_run(runbook, folder)
    settings.check_trust("forward", "sign_key")
    return settings.sign_key


def runs_dir(option: Path | None, environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder that contains the runs.

    It is `option` (`--runs-dir`), else `NBRUN_RUNS_DIR`, else `runs_dir` of the nearest file, else
    the platform's folder for state.

    Raises:
        UsageError: an nbrun.toml can't be read.
    """
    if option is not None:
        return option.absolute()
    if environ.get("NBRUN_RUNS_DIR"):
        return Path(environ["NBRUN_RUNS_DIR"]).absolute()
    configured = load(Path.cwd()).runs_dir
    return configured or state_folder.state_path("runs")


def user_file() -> Path:
    """Return the path of this user's own file, which need not exist."""
    return state_folder.config_path(FILE_NAME)


def read_content(path: Path) -> bytes:
    """Return the content of a file of settings.

    Raises:
        UsageError: it can't be read, or is too large for one.
    """
    try:
        with open_regular(path.resolve()) as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise UsageError(f"{path}: can't be read: {error}") from error
    if len(content) > _LARGEST:
        raise UsageError(f"{path}: can't be read: it has more than {_LARGEST} bytes")
    return content


def _above(start: Path) -> list[Path]:
    """Return the files in the folder `start` and above it, the nearest last."""
    folders = reversed((start, *start.parents))
    own = {SYSTEM_FILE, user_file()}
    return [
        path for folder in folders if (path := folder / FILE_NAME).is_file() and path not in own
    ]


def _merged(working: Iterable[Path]) -> Config:
    found = [_own(path, uid) for path, uid in ((SYSTEM_FILE, _ROOT), (user_file(), os.getuid()))]
    return merge([*(each for each in found if each), *map(_working, working)])


def _own(path: Path, uid: int) -> FoundFile | None:
    """Read the system's file, or this user's: one that nobody else can write."""
    if not path.is_file():
        return None
    fault = owner_fault(path.resolve(), uid)
    if fault:
        raise UsageError(f"{path}: is not used: {fault}")
    content = read_content(path)
    return FoundFile(
        _file(path, content), settings_in(path, content), is_system=path == SYSTEM_FILE
    )


def _working(path: Path) -> FoundFile:
    """Read a file in a working folder: it may be anybody's until it is trusted."""
    content = read_content(path)
    file, values = _file(path, content), settings_in(path, content)
    needs_trust = bool(keys_to_trust(values))
    return FoundFile(
        file, values, is_trusted=not needs_trust or trust.is_trusted(path, file.sha256)
    )


def _file(path: Path, content: bytes) -> SettingsFile:
    return SettingsFile(path=str(path), sha256=sha256(content).hexdigest())
