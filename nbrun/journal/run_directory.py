"""Where runs are kept: the folder of each, and how one is found by what a person calls it."""

import os
import re
import secrets
import string
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from nbrun.errors import JournalError, RunNotFoundError, UsageError
from nbrun.system.files import SHARED, for_readers, sync_directory

_ALPHABET = string.ascii_lowercase + string.digits
_MAX_STEM = 60
_ID = re.compile(r"\d{8}-\d{6}-.+-[a-z0-9]{4}")
_JOURNAL = "journal.jsonl"
_SEALS = "seals.jsonl"
_UNFORWARDED = "unforwarded"
_LOG = "supervisor.log"
_SOCKET = "socket"


@dataclass(frozen=True)
class RunDirectory:
    """The folder of one run; its name is the run's id."""

    path: Path

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def journal(self) -> Path:
        return self.path / _JOURNAL

    @property
    def seals(self) -> Path:
        return self.path / _SEALS

    @property
    def unforwarded(self) -> Path:
        return self.path / _UNFORWARDED

    @property
    def log(self) -> Path:
        return self.path / _LOG

    @property
    def socket(self) -> Path:
        """A symbolic link to the socket of the run's supervisor, while there is one."""
        return self.path / _SOCKET

    def share(self, gid: int) -> None:
        """Let the members of a group read the journal, and what `let_read` is asked for.

        Raises:
            JournalError: it can't be done.
        """
        try:
            for path, mode in ((self.path, SHARED), (self.journal, 0o640)):
                os.chown(path, -1, gid)
                path.chmod(mode)
        except OSError as error:
            raise JournalError(f"{self.path}: can't be shared: {error.strerror}") from error

    def let_read(self, path: Path) -> None:
        """Let those whom the run is shared with, if there are any, read the file `path` in it: what
        tells no more than the journal, or vouches for it. Raises OSError."""
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            for_readers(fd, self.path)
        finally:
            os.close(fd)

    def notebook(self, runbook: str | Path) -> Path:
        """The output notebook of a run of `runbook`."""
        return self.path / f"{_stem(Path(runbook))}.ipynb"


def new_id(runbook: Path, now: datetime | None = None) -> str:
    """For a run that begins now."""
    moment = (now or datetime.now(UTC)).astimezone(UTC)
    suffix = "".join(secrets.choice(_ALPHABET) for _ in range(4))
    return f"{moment:%Y%m%d-%H%M%S}-{_stem(runbook)}-{suffix}"


def create(parent: Path, run: str) -> RunDirectory:
    """A new folder below `parent` for the run with the id `run`, for this user alone under any
    umask.

    Raises:
        JournalError: it can't be made there.
    """
    path = parent / run
    try:
        for folder in reversed([each for each in (parent, *parent.parents) if not each.exists()]):
            _make_private(folder)  # `parents=True` would leave those between to the umask
        _make_private(path)
        log = path / _LOG
        log.touch(mode=0o600)
        log.chmod(0o600)
        sync_directory(parent)
    except OSError as error:
        raise JournalError(f"{path}: can't make the run's folder: {error.strerror}") from error
    return RunDirectory(path)


def _make_private(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    folder.chmod(0o700)


def _stem(runbook: Path) -> str:
    """The runbook's name as a part of a file name that needs no quoting anywhere."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", runbook.stem).strip("-.")[:_MAX_STEM] or "runbook"


def all_runs(parent: Path) -> list[RunDirectory]:
    """Every run kept in `parent`, newest first; of a folder that this user can't list, none."""
    try:
        names = os.listdir(parent)  # noqa: PTH208  a Path for each of ten thousand takes as long
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []
    found = [name for name in names if _is_run(os.path.join(parent, name))]  # noqa: PTH118  as above
    return [RunDirectory(parent / name) for name in sorted(found, reverse=True)]


def folders(path: Path) -> list[RunDirectory]:
    """The run whose folder `path` is, or every run kept in it, newest first; also one whose journal
    is gone, known by its name.

    Raises:
        UsageError: it can't be read, or there are none.
    """
    if _ID.fullmatch(path.name):
        return [RunDirectory(path)]
    try:
        inside = [each for each in path.iterdir() if each.is_dir()]
    except OSError as error:
        raise UsageError(f"{path}: can't be read: {error.strerror}") from error
    found = [each for each in inside if _ID.fullmatch(each.name) or _is_run(each)]
    if not found:
        raise UsageError(f"{path}: holds no runs")
    return [RunDirectory(each) for each in sorted(found, key=lambda each: each.name, reverse=True)]


def _is_run(path: str | Path) -> bool:
    """Not those of another user's, in a folder that several share."""
    return os.path.isfile(os.path.join(path, _JOURNAL))  # noqa: PTH113, PTH118  as above


def find(parent: Path, called: str) -> RunDirectory:
    """The run called by its id, a unique part of it, a path, or `last`.

    Raises:
        RunNotFoundError: there is none, or more than one; the message says which.
    """
    at_path = _at(called)
    if at_path is not None:
        return at_path
    runs = all_runs(parent)
    if called == "last" and runs:
        return runs[0]
    matches = [run for run in runs if run.id == called] or [run for run in runs if called in run.id]
    if len(matches) == 1:
        return matches[0]
    raise _not_one(parent, called, matches)


def _at(called: str) -> RunDirectory | None:
    """The run whose folder or journal has that path."""
    try:
        path = Path(called).expanduser()
        if path.name == _JOURNAL and path.is_file():
            return RunDirectory(path.parent.absolute())
        if (path / _JOURNAL).is_file():
            return RunDirectory(path.absolute())
    except (OSError, RuntimeError):  # no path at all: too long, or the home of nobody
        return None
    return None


def _not_one(parent: Path, called: str, matches: list[RunDirectory]) -> RunNotFoundError:
    if not matches:
        return RunNotFoundError(f"no run called {called!r} in {parent}: see nbrun runs")
    some = ", ".join(run.id for run in matches[:5])
    more = f" and {len(matches) - 5} more" if len(matches) > 5 else ""
    return RunNotFoundError(f"{called!r} is a part of {len(matches)} runs: {some}{more}")
