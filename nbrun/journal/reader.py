"""Read a journal: the records of a finished or growing one, each line checked."""

import io
import os
from collections import deque
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import NoReturn, cast

import msgspec

from nbrun.core.events import SCHEMA_VERSION, Event, Record
from nbrun.errors import DamagedJournalError, JournalError
from nbrun.journal.codec import DECODE_ERRORS, GENESIS, OutputLine, digest
from nbrun.journal.first_last import open_ends
from nbrun.journal.line_form import LineForm
from nbrun.system.files import open_regular

_CHUNK = 1 << 16  # bytes read from a journal at once
_LONGEST_FOREIGN = 1 << 28  # bytes of a line that another user wrote; their own may be longer


class _Envelope(msgspec.Struct, frozen=True):
    """The fields of every line besides those of its event."""

    v: int
    seq: int
    at: str
    mono: float
    prev: str


_decode_output_line = msgspec.json.Decoder(OutputLine).decode
_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_event = cast("Callable[[bytes], Event]", msgspec.json.Decoder(Event).decode)


class LineReader:
    """The complete lines of an open file, without their newlines.

    `read` is the file's `read`, and errors call the file `name`. `rest` holds the bytes after the
    last newline. `longest` is how many bytes a line may have, None for any number.
    """

    def __init__(self, read: Callable[[int], bytes], name: str, longest: int | None) -> None:
        self.rest = b""
        self._name = name
        self._read = read
        self._longest = longest

    def next_lines(self) -> list[bytes]:
        """Return the next lines, or an empty list at the end of the file.

        Raises:
            DamagedJournalError: a line is too long, or has a NUL. JSON escapes them: a file without
                lines, as large as its name says and as empty as a hole, is not read into memory.
        """
        parts = [self.rest, self._read(_CHUNK)]
        size = len(self.rest)
        while parts[-1] and b"\n" not in parts[-1]:  # a line longer than a chunk
            size += len(parts[-1])
            if b"\0" in parts[-1] or (self._longest is not None and size > self._longest):
                raise DamagedJournalError(
                    f"{self._name}: the record is damaged: it has a line of more than {size} bytes "
                    "that nbrun did not write"
                )
            parts.append(self._read(_CHUNK))
        whole = b"".join(parts)
        parts.clear()  # the line with the plan can be very long: do not hold it twice
        *lines, self.rest = whole.split(b"\n")
        return lines


class JournalFollower:
    """The records of a journal that is still being written, each checked as by `JournalReader`.

    A line without its newline is not complete yet. It is returned when its newline is there.
    """

    def __init__(self, path: Path) -> None:
        self._reader = JournalReader(path)
        self._file: io.BufferedReader | None = None
        self._source: LineReader | None = None
        self._lines: deque[bytes] = deque()
        self._seq = 0
        self._prev = GENESIS

    def read_new(self, through: int | None = None) -> list[Record]:
        """Return some of the records added since the last call, or an empty list.

        With `through`, return no record with a higher number.

        Raises:
            JournalError, DamagedJournalError: as for iterating a `JournalReader`.
        """
        if not self._lines:
            self._lines.extend(self._open().next_lines())
        records = []
        while self._lines and (through is None or self._seq <= through):
            line = self._lines.popleft()
            record = self._reader.parse(line, self._seq, self._prev)
            records.append(record)
            self._seq, self._prev = self._seq + 1, record.hash
        return records

    def _open(self) -> LineReader:
        if self._source is None:
            self._file = self._reader.open()
            self._source = self._reader.lines(self._file)
        return self._source

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


class JournalReader:
    """The records of a journal in order, each checked against the line before it.

    Iterating raises DamagedJournalError, naming the line, at the first line that nbrun did not
    write there. A crash can leave a last line without its newline: that line is not returned, and
    `torn` holds its bytes afterwards. `head` is the hash of the last record returned.
    """

    def __init__(self, path: Path, form: LineForm | None = None) -> None:
        """`form` also checks that each line has the very bytes that nbrun writes."""
        self.path = path
        self._form = form
        self.torn = b""
        self.head = GENESIS

    def __iter__(self) -> Iterator[Record]:
        with self.open() as file:
            self.head, seq, source = GENESIS, 0, self.lines(file)
            while lines := source.next_lines():
                for line in lines:
                    record = self.parse(line, seq, self.head)
                    self.head = record.hash
                    yield record
                    seq += 1
            self.torn = source.rest

    def open(self) -> io.BufferedReader:
        """Open the file.

        Raises:
            JournalError: the file can't be read.
        """
        try:
            return open_regular(self.path)
        except OSError as error:
            raise JournalError(f"{self.path}: can't read the journal: {error.strerror}") from error

    def lines(self, file: io.BufferedReader) -> LineReader:
        """Return the lines of the open file, with a bound on their length if it is not our own."""
        is_own = os.fstat(file.fileno()).st_uid == os.getuid()
        return LineReader(file.read, str(self.path), None if is_own else _LONGEST_FOREIGN)

    def parse(self, line: bytes, seq: int, prev: str) -> Record:
        """Decode `line`, which has no newline, and check its number and the hash before it.

        Raises:
            JournalError: a newer nbrun wrote the line.
            DamagedJournalError: it is not the line that nbrun wrote there.
        """
        try:
            found = _decode_output_line(line)
        except DECODE_ERRORS:  # another event, or damage
            return self._parse_in_two_passes(line, seq, prev)
        if found.seq != seq or found.prev != prev or found.v != SCHEMA_VERSION:
            self._refuse(found, seq)
        if self._form is not None and (fault := self._form.output_fault(line, found)):
            raise self._damage(seq, fault)
        # `digest`, called a million times, costs a tenth more
        return found.record(sha256(line).hexdigest())

    def _parse_in_two_passes(self, line: bytes, seq: int, prev: str) -> Record:
        """Do the same for any event."""
        try:
            envelope = _decode_envelope(line)
            if (envelope.v, envelope.seq, envelope.prev) != (SCHEMA_VERSION, seq, prev):
                self._refuse(envelope, seq)
            record = _joined(envelope, line)
            fault = self._form.fault(line, record) if self._form is not None else None
        except DECODE_ERRORS as error:
            raise self._damage(seq, f"not an event that nbrun wrote ({error})") from error
        if fault is not None:
            raise self._damage(seq, fault)
        return record

    def _refuse(self, found: _Envelope | OutputLine, seq: int) -> NoReturn:
        if found.v != SCHEMA_VERSION:
            raise JournalError(
                f"{self.path}, line {seq + 1}: journal version {found.v}; this nbrun reads "
                f"version {SCHEMA_VERSION}: use a newer nbrun"
            )
        if found.seq != seq:
            raise self._damage(seq, f"its number is {found.seq}, not {seq}")
        raise self._damage(seq, "it does not follow from the line before")

    def _damage(self, seq: int, what: str) -> DamagedJournalError:
        return DamagedJournalError(f"{self.path}, line {seq + 1}: the record is damaged: {what}")


def _joined(envelope: _Envelope, line: bytes) -> Record:
    return Record(
        seq=envelope.seq,
        at=envelope.at,
        mono=envelope.mono,
        event=_decode_event(line),
        prev=envelope.prev,
        hash=digest(line),
    )


def first_record(path: Path) -> Record | None:
    """Read the first line alone, unchecked; return None if there is no complete one.

    Raises:
        DamagedJournalError: the line is not an event.
        OSError: the file can't be read.
    """
    with open_ends(path) as ends:
        return _decode_alone(path, ends.first_line())


def last_record(path: Path) -> Record | None:
    """Read the last complete line alone, unchecked.

    Return None if there is no such line, or if it may be longer than 64 KiB: it does not end a run.
    Raises as `first_record` does.
    """
    with open_ends(path) as ends:
        return _decode_alone(path, ends.last_line())


def _decode_alone(path: Path, line: bytes | None) -> Record | None:
    try:
        return None if line is None else _joined(_decode_envelope(line), line)
    except DECODE_ERRORS as error:
        raise DamagedJournalError(f"{path}: a line is not an event: {error}") from error
