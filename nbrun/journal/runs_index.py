"""The index of a folder of runs: which runs a user started and ended there, in order.

A run that is missing leaves no trace in its own folder. The index of a user, `index-<uid>.jsonl`
beside the runs, has a line when a run begins and one when it ends, each with the hash of the run's
first or last line. The lines are chained as those of a journal are. Each run names the hash at
which the index stood when it began: a seal of the run covers the index up to there.

Each user has an index of their own, so that no colleague can write another's.
"""

import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from nbrun.core.events import SCHEMA_VERSION, Record
from nbrun.errors import DamagedJournalError, JournalError
from nbrun.journal.codec import DECODE_ERRORS, GENESIS, digest
from nbrun.journal.line_form import is_time
from nbrun.system.files import open_regular, sync_directory, sync_file

PATIENCE = 2.0  # seconds to wait while another run of this user appends
_TAIL = 4096  # bytes read from the end; a line is shorter than 1 KiB
_OPEN = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class IndexLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line: a run began or ended.

    `head` is the hash of the run's first line or, at its end, of its last. `lines` is the number of
    that line, from 1. The other fields are as in a journal.
    """

    v: int
    seq: int
    at: str
    event: Literal["run.started", "run.ended"]
    run: str
    head: str
    lines: int
    prev: str


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(IndexLine).decode


def path_in(runs_dir: Path, uid: int) -> Path:
    """Return the path of a user's index in a folder of runs."""
    return runs_dir / f"index-{uid}.jsonl"


def head(runs_dir: Path) -> str:
    """Return the hash of the last line of this user's index; `GENESIS` if there is no line.

    Raises:
        JournalError: the index can't be read or used.
    """
    path = path_in(runs_dir, os.geteuid())
    with _errors_of(path):
        try:
            fd = os.open(path, (_OPEN & ~os.O_RDWR) | os.O_RDONLY)
        except FileNotFoundError:
            return GENESIS
        try:
            _refuse_unless_own(fd)
            return _end(fd).head
        finally:
            os.close(fd)


def append(
    runs_dir: Path, event: Literal["run.started", "run.ended"], run: str, record: Record
) -> None:
    """Append a line to this user's index, and return when the disk has it.

    `record` is the run's first or last line. A torn last line, which a crash leaves, is cut.

    Raises:
        JournalError: the line can't be written; it is not in the index.
    """
    path = path_in(runs_dir, os.geteuid())
    with _errors_of(path), _locked(path) as fd:
        end = _end(fd)
        line = IndexLine(
            v=SCHEMA_VERSION,
            seq=end.count,
            at=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}Z",
            event=event,
            run=run,
            head=record.hash,
            lines=record.seq + 1,
            prev=end.head,
        )
        try:
            os.ftruncate(fd, end.size)
            _write(fd, _encode(line) + b"\n", end.size)
            sync_file(fd)
        except OSError:
            os.ftruncate(fd, end.size)
            raise
        if not end.count:
            sync_directory(runs_dir)


@contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise JournalError(f"{path}: {error.strerror or error}") from error


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """Open the index, create it if there is none, and lock it. Several runs append at once."""
    fd = os.open(path, _OPEN | os.O_CREAT, 0o600)
    try:
        _refuse_unless_own(fd)
        os.fchmod(fd, 0o600)  # under any umask
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
        yield fd
    finally:
        os.close(fd)


def _refuse_unless_own(fd: int) -> None:
    """Raise OSError unless the open file is one that nobody else can have prepared."""
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        raise OSError("it is not a regular file with one name")
    if found.st_uid != os.geteuid():
        raise OSError(f"it belongs to uid {found.st_uid}, not to you")


class _End(msgspec.Struct, frozen=True):
    """The end of an index: how many lines it has, the last one's hash, and their size in bytes."""

    count: int = 0
    head: str = GENESIS
    size: int = 0


def _end(fd: int) -> _End:
    size = os.fstat(fd).st_size
    start = max(0, size - _TAIL)
    tail = os.pread(fd, _TAIL, start)
    complete = tail[: tail.rfind(b"\n") + 1]
    if not complete:
        if start:
            raise OSError("its last line is not one of an index")
        return _End()
    last = complete.split(b"\n")[-2]
    try:
        found = _decode(last)
    except DECODE_ERRORS as error:
        raise OSError(f"its last line is not one of an index: {error}") from error
    return _End(found.seq + 1, digest(last), start + len(complete))


def _write(fd: int, data: bytes, at: int) -> None:
    done = 0
    while done < len(data):
        done += os.pwrite(fd, data[done:], at + done)


class RunsIndex:
    """The lines of an index, all checked.

    `heads` has the hash of each line. `torn` is the size in bytes of a torn last line.
    """

    def __init__(self, lines: list[IndexLine], heads: list[str], torn: int) -> None:
        self.lines = lines
        self.heads = heads
        self.torn = torn


def read(path: Path) -> RunsIndex:
    """Read the index at `path`.

    Raises:
        DamagedJournalError: a line is not as nbrun wrote it there.
        OSError: the file can't be read, or is not a regular file.
    """
    lines: list[IndexLine] = []
    heads: list[str] = []
    with open_regular(path) as file:
        for number, whole in enumerate(iter(lambda: file.readline(_TAIL), b"")):
            if len(whole) == _TAIL:  # of a file that somebody else made: nothing reads it whole
                raise DamagedJournalError(f"{path.name}, line {number + 1}: not as nbrun writes it")
            if not whole.endswith(b"\n"):
                return RunsIndex(lines, heads, len(whole))
            line = whole[:-1]
            lines.append(_checked(path, line, number, heads[-1] if heads else GENESIS))
            heads.append(digest(line))
    return RunsIndex(lines, heads, 0)


def _checked(path: Path, line: bytes, seq: int, prev: str) -> IndexLine:
    try:
        found = _decode(line)
        fault = _fault(found, line, seq, prev)
    except DECODE_ERRORS as error:
        fault = str(error)
    if fault:
        raise DamagedJournalError(f"{path.name}, line {seq + 1}: {fault}")
    return found


def _fault(found: IndexLine, line: bytes, seq: int, prev: str) -> str:
    if found.v != SCHEMA_VERSION:
        return f"version {found.v}; this nbrun reads version {SCHEMA_VERSION}"
    if found.seq != seq:
        return f"its number is {found.seq}, not {seq}"
    if found.prev != prev:
        return "it does not follow from the line before"
    if _encode(found) != line or not is_time(found.at):
        return "not as nbrun writes it"
    return ""


def has_start(journal: Path) -> bool:
    """Return True if the index of the journal's owner has the start of the run. Raises OSError."""
    return _has(journal, "run.started")


def has_end(journal: Path) -> bool:
    """Return True if the index of the journal's owner has the end of the run. Raises OSError."""
    return _has(journal, "run.ended")


def _has(journal: Path, event: str) -> bool:
    wanted = b'"event":"%b","run":%b,' % (event.encode(), _encode(journal.parent.name))
    try:
        with open_regular(path_in(journal.parent.parent, journal.stat().st_uid)) as file:
            return any(wanted in line for line in iter(lambda: file.readline(_TAIL), b""))
    except FileNotFoundError:
        return False
