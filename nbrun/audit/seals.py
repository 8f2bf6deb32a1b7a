"""Seals: signatures of a record up to one of its lines, kept in a file beside the journal.

A seal signs a statement, a short text with the run's id, the number of a line and that line's
SHA-256. Since each line has the hash of the one before, it vouches for all lines up to there. One
that was not made by the run itself but afterwards says so, and when, in what it signs.
"""

import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from nbrun.audit import ssh_signatures
from nbrun.core.events import Record
from nbrun.errors import DamagedJournalError
from nbrun.system.files import for_readers, open_regular, sync_directory, sync_file

_STATEMENT = re.compile(
    r"nbrun-seal 1\nrun (?P<run>[^\n]+)\nseq (?P<seq>\d+)\nsha256 (?P<head>[0-9a-f]{64})\n"
    r"(?:later (?P<later>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)\n)?"
)


class _Line(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line of the file, as JSON: `statement` is the signed text, `signature` OpenSSH's armor."""

    statement: str
    signature: str


class Seal(msgspec.Struct, frozen=True, kw_only=True):
    """What a seal vouches for: the lines of `run` up to the one of number `seq` and hash `head`.
    `later`: when it was made, in UTC, if that was after the run; else empty."""

    run: str
    seq: int
    head: str
    signature: str
    later: str = ""

    @property
    def statement(self) -> bytes:
        """The text that is signed."""
        return statement(self.run, self.seq, self.head, self.later)


_lines = msgspec.json.Decoder(_Line)


def statement(run: str, seq: int, head: str, later: str = "") -> bytes:
    made_later = f"later {later}\n" if later else ""
    return f"nbrun-seal 1\nrun {run}\nseq {seq}\nsha256 {head}\n{made_later}".encode()


def make(key: Path, run: str, record: Record, later: datetime | None = None) -> Seal:
    """A seal of the record up to the line `record`; `later`: the time, after the run.

    Raises:
        SignatureError: `key` can't sign.
    """
    at = f"{later.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if later else ""
    signature = ssh_signatures.sign(key, statement(run, record.seq, record.hash, at))
    return Seal(run=run, seq=record.seq, head=record.hash, signature=signature, later=at)


def keep(path: Path, seal: Seal) -> None:
    """Add `seal` to the file at `path`, on disk when this returns, or leave the file as it was but
    for a torn last line, which is cut. Raises OSError."""
    line = msgspec.json.encode(_Line(statement=seal.statement.decode(), signature=seal.signature))
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        for_readers(fd, path.parent)
        size = _whole_lines(fd)
        os.ftruncate(fd, size)
        try:
            _write(fd, line + b"\n", size)
            sync_file(fd)
        except OSError:
            os.ftruncate(fd, size)
            raise
    finally:
        os.close(fd)
    sync_directory(path.parent)


def _whole_lines(fd: int) -> int:
    """The size in bytes of the lines that end in a newline."""
    return os.pread(fd, os.fstat(fd).st_size, 0).rfind(b"\n") + 1


def _write(fd: int, data: bytes, at: int) -> None:
    done = 0
    while done < len(data):
        done += os.pwrite(fd, data[done:], at + done)


def read(path: Path) -> Sequence[Seal]:
    """The seals kept at `path`, in the order they were made; none when there is no such file.

    A last line without its newline was being written when nbrun ended: it is left out.

    Raises:
        DamagedJournalError: a line is no seal, or the file can't be read.
    """
    try:
        with open_regular(path) as file:
            whole = file.read().split(b"\n")[:-1]
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise DamagedJournalError(f"{path}: can't read the seals: {error.strerror}") from error
    return [_seal(path, number, line) for number, line in enumerate(whole, 1)]


def _seal(path: Path, number: int, line: bytes) -> Seal:
    try:
        kept = _lines.decode(line)
        said = _STATEMENT.fullmatch(kept.statement)
    except (msgspec.DecodeError, UnicodeDecodeError):
        said = None
    if said is None:
        raise DamagedJournalError(f"{path}, line {number}: is no seal")
    return Seal(
        run=said["run"],
        seq=int(said["seq"]),
        head=said["head"],
        signature=kept.signature,
        later=said["later"] or "",
    )
