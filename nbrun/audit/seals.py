"""Seals: signatures of a record up to one of its lines, in a file beside the journal.

A seal signs a statement: a short text with the run's id, the number of a line and that line's
SHA-256. Each line has the hash of the line before, so a seal covers all lines up to its own. The
statement of a seal that was made after the run also says so, with the time.
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
from nbrun.system.files import open_regular, set_reader_mode, sync_directory, sync_file

_STATEMENT = re.compile(
    r"nbrun-seal 1\nrun (?P<run>[^\n]+)\nseq (?P<seq>[0-9]{1,19})\nsha256 (?P<head>[0-9a-f]{64})\n"
    r"(?:later (?P<later>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)\n)?",
    re.ASCII,
)

_LARGEST = 2**26  # bytes; a seal has one to two thousand


class _SealLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of the file. `statement` is the signed text, `signature` OpenSSH's armored one."""

    statement: str
    signature: str


class Seal(msgspec.Struct, frozen=True, kw_only=True):
    """A signature of the lines of `run` up to the line with the number `seq` and the hash `head`.

    `later`: when the seal was made, in UTC, if that was after the run; otherwise empty.
    """

    run: str
    seq: int
    head: str
    signature: str
    later: str = ""

    @property
    def statement(self) -> bytes:
        """Return the text that is signed."""
        return statement_text(self.run, self.seq, self.head, self.later)


_lines = msgspec.json.Decoder(_SealLine)


def statement_text(run: str, seq: int, head: str, later: str = "") -> bytes:
    """Return the text to sign. The arguments are fields of `Seal`."""
    made_later = f"later {later}\n" if later else ""
    return f"nbrun-seal 1\nrun {run}\nseq {seq}\nsha256 {head}\n{made_later}".encode()


def make(key: Path, run: str, record: Record, later: datetime | None = None) -> Seal:
    """Sign a record up to the line `record`. `later` is the current time, if the run has ended.

    Raises:
        SignatureError: `key` can't sign.
    """
    at = f"{later.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if later else ""
    signature = ssh_signatures.sign(key, statement_text(run, record.seq, record.hash, at))
    return Seal(run=run, seq=record.seq, head=record.hash, signature=signature, later=at)


def append(path: Path, seal: Seal) -> None:
    """Append `seal` to the file at `path`, and sync it. A torn last line is cut first.

    Raises:
        OSError: the seal can't be written; it is not in the file.
    """
    line = msgspec.json.encode(
        _SealLine(statement=seal.statement.decode(), signature=seal.signature)
    )
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        set_reader_mode(fd, path.parent)
        size = _size_of_complete_lines(fd)
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


def _size_of_complete_lines(fd: int) -> int:
    return os.pread(fd, os.fstat(fd).st_size, 0).rfind(b"\n") + 1


def _write(fd: int, data: bytes, at: int) -> None:
    done = 0
    while done < len(data):
        done += os.pwrite(fd, data[done:], at + done)


def read(path: Path) -> Sequence[Seal]:
    """Return the seals in the file at `path`, in order; none if there is no file.

    A torn last line, which a crash leaves, is ignored.

    Raises:
        DamagedJournalError: a line is not a seal, or the file can't be read.
    """
    try:
        with open_regular(path) as file:
            content = file.read(_LARGEST + 1)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise DamagedJournalError(f"{path}: can't read the seals: {error.strerror}") from error
    if len(content) > _LARGEST:
        raise DamagedJournalError(f"{path}: has more than {_LARGEST} bytes: not a file of seals")
    lines = content.split(b"\n")[:-1]
    return [_decode(path, number, line) for number, line in enumerate(lines, 1)]


def _decode(path: Path, number: int, line: bytes) -> Seal:
    try:
        decoded = _lines.decode(line)
        is_own = msgspec.json.encode(decoded) == line  # no key twice, and no spaces
        statement = _STATEMENT.fullmatch(decoded.statement) if is_own else None
    except (msgspec.DecodeError, UnicodeDecodeError):
        statement = None
    if statement is None:
        raise DamagedJournalError(f"{path}, line {number}: not a seal")
    return Seal(
        run=statement["run"],
        seq=int(statement["seq"]),
        head=statement["head"],
        signature=decoded.signature,
        later=statement["later"] or "",
    )
