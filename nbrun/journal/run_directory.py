"""The folders of runs: their files, and how a run is created and found by name."""

import os
import re
import secrets
import string
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from nbrun.errors import JournalError, RunNotFoundError, UsageError
from nbrun.system import ownership
from nbrun.system.files import SHARED_MODE, set_reader_mode, sync_directory

_ALPHABET = string.ascii_lowercase + string.digits
_MAX_STEM = 60  # characters
_MAX_STEM_BYTES = 180  # a file name has at most 255
_ID = re.compile(r"\d{8}-\d{6}-(?P<stem>.+)-[a-z0-9]{4}")
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
    def recorded_id(self) -> str:
        """The id as the record has it: read as UTF-8, whatever the encoding of this locale."""
        return os.fsencode(self.path.name).decode("utf-8", "replace")

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
        """A symbolic link to the socket of the run's supervisor, while a supervisor runs."""
        return self.path / _SOCKET

    def owner_fault(self, uid: int | None = None) -> str:
        """Return why the run is not the user's own, or an empty text if it is.

        It is if folder and journal belong to `uid`, by default this user, and nobody else can write
        either.
        """
        return ownership.owner_fault(self.path, uid) or ownership.owner_fault(self.journal, uid)

    def share(self, gid: int) -> None:
        """Let the members of a group read the journal, and each file passed to `allow_readers`.

        Raises:
            JournalError: owner or mode can't be changed.
        """
        try:
            for path, mode in ((self.path, SHARED_MODE), (self.journal, 0o640)):
                os.chown(path, -1, gid)
                path.chmod(mode)
        except OSError as error:
            raise JournalError(f"{self.path}: can't be shared: {error.strerror}") from error

    def allow_readers(self, path: Path) -> None:
        """Let the group that the run is shared with, if any, read the file `path` in the folder.

        The file must not contain more than the journal. Raises OSError.
        """
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            set_reader_mode(fd, self.path)
        finally:
            os.close(fd)

    def notebook(self, runbook: str | Path) -> Path:
        """Return the path of the output notebook of a run of `runbook`."""
        own = _ID.fullmatch(self.id)  # a run of an older nbrun has another stem than `_stem` makes
        return self.path / f"{own['stem'] if own else _stem(Path(runbook))}.ipynb"


def new_id(runbook: Path, now: datetime | None = None) -> str:
    """Return an id for a run that begins now, or at `now`."""
    moment = (now or datetime.now(UTC)).astimezone(UTC)
    suffix = "".join(secrets.choice(_ALPHABET) for _ in range(4))
    return f"{moment:%Y%m%d-%H%M%S}-{_stem(runbook)}-{suffix}"


def create(parent: Path, run: str) -> RunDirectory:
    """Create a folder in `parent` for the run with the id `run`, which only this user can read.

    Raises:
        JournalError: the folder can't be created.
    """
    path = parent / run
    try:
        for folder in reversed([each for each in (parent, *parent.parents) if not each.exists()]):
            _make_private(folder)  # `parents=True` would apply the umask
        _make_private(path)
        log = path / _LOG
        log.touch(mode=0o600)
        log.chmod(0o600)
        sync_directory(parent)
    except OSError as error:
        raise JournalError(f"{path}: can't create the run's folder: {error.strerror}") from error
    return RunDirectory(path)


def _make_private(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    folder.chmod(0o700)


def _stem(runbook: Path) -> str:
    """Return the runbook's name as part of a file name that needs no quoting in a shell.

    Letters, marks and digits of every script stay, if this system's file names can hold them.
    """
    kept = (char if _is_kept(char) else "/" for char in _composed(runbook.stem))
    stem = re.sub("/+", "-", "".join(kept)).strip("-.")[:_MAX_STEM]
    return stem.encode()[:_MAX_STEM_BYTES].decode(errors="ignore") or "runbook"


def _is_kept(char: str) -> bool:
    if char.isascii():
        return char.isalnum() or char in "._-"
    try:
        os.fsencode(char)
    except UnicodeEncodeError:
        return False
    return unicodedata.category(char)[0] in "LMN"


def _composed(text: str) -> str:
    """Return `text` with composed characters: some systems write file names with separate marks."""
    return unicodedata.normalize("NFC", text)


def all_runs(parent: Path) -> list[RunDirectory]:
    """Return every run in `parent`, newest first; none if this user can't list the folder.

    In a shared folder, they may be anybody's (see `RunDirectory.owner_fault`).
    """
    try:
        names = os.listdir(parent)  # noqa: PTH208  ten thousand Paths would double the time
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []
    found = [name for name in names if _is_run(os.path.join(parent, name))]  # noqa: PTH118  as above
    return [RunDirectory(parent / name) for name in sorted(found, reverse=True)]


def runs_at(path: Path) -> list[RunDirectory]:
    """Return the run with the folder `path`, or every run in that folder, newest first.

    A folder with the name of a run counts even if its journal is gone. There may be none where an
    index says that there were some.

    Raises:
        UsageError: the folder can't be read, or holds neither runs nor an index of them.
    """
    if _ID.fullmatch(path.name):
        return [RunDirectory(path)]
    try:
        inside = [each for each in path.iterdir() if each.is_dir()]
    except OSError as error:
        raise UsageError(f"{path}: can't be read: {error.strerror}") from error
    found = [each for each in inside if _ID.fullmatch(each.name) or _is_run(each)]
    if not found and not any(path.glob("index-*.jsonl")):
        raise UsageError(f"{path}: holds no runs")
    return [RunDirectory(each) for each in sorted(found, key=lambda each: each.name, reverse=True)]


def is_run_id(name: str) -> bool:
    """Return True if `name` has the form of a run's id."""
    return _ID.fullmatch(name) is not None


def _is_run(path: str | Path) -> bool:
    """Return False for runs of other users, in a folder shared by several users."""
    return os.path.isfile(os.path.join(path, _JOURNAL))  # noqa: PTH113, PTH118  as above


def find(parent: Path, called: str) -> RunDirectory:
    """Return the run that `called` names: an id, a unique part of one, a path, or `last`.

    `last` is the newest run of this user's own: anybody can put a newer one into a shared folder.

    Raises:
        RunNotFoundError: no run or several runs match; the message says which.
    """
    at_path = _at(called)
    if at_path is not None:
        return at_path
    runs = all_runs(parent)
    called = _composed(called)
    if called == "last" and runs:
        return _newest_own(parent, runs)
    matches = [run for run in runs if run.id == called] or [run for run in runs if called in run.id]
    if len(matches) == 1:
        return matches[0]
    raise _not_found(parent, called, matches)


def _newest_own(parent: Path, runs: list[RunDirectory]) -> RunDirectory:
    own = next((run for run in runs if not run.owner_fault()), None)
    if own is None:
        raise RunNotFoundError(
            f"no run in {parent} is your own ({runs[0].owner_fault()}): name a run; see nbrun runs"
        )
    return own


def _at(called: str) -> RunDirectory | None:
    """Return the run whose folder or journal has this path."""
    try:
        path = Path(called).expanduser()
        if path.is_symlink():  # named by this user: the run is what the link leads to
            path = path.resolve()
        if path.name == _JOURNAL and path.is_file():
            return RunDirectory(path.parent.absolute())
        if (path / _JOURNAL).is_file():
            return RunDirectory(path.absolute())
    except (OSError, RuntimeError):  # not a path: too long, or an unknown `~user`
        return None
    return None


def _not_found(parent: Path, called: str, matches: list[RunDirectory]) -> RunNotFoundError:
    if not matches:
        return RunNotFoundError(f"no run called {called!r} in {parent}: see nbrun runs")
    some = ", ".join(run.id for run in matches[:5])
    more = f" and {len(matches) - 5} more" if len(matches) > 5 else ""
    return RunNotFoundError(f"{called!r} matches {len(matches)} runs: {some}{more}")
