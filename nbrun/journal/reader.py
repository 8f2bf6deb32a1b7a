"""The journal read: its records in order and checked, those of one that is still written, and its
two ends."""

import io
import os
from collections import deque
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Literal, NoReturn, cast

import msgspec

from nbrun.core import events as ev
from nbrun.core.events import SCHEMA_VERSION, Event, Record
from nbrun.errors import DamagedJournalError, JournalError
from nbrun.journal.codec import GENESIS, digest
from nbrun.system.files import open_regular

_CHUNK = 1 << 16  # bytes that are read in one piece
_TAIL = 65536  # bytes read from a journal's end to find how the run ended

# What a decoder raises of bytes that are no line of a journal.
_NO_EVENT = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _Envelope(msgspec.Struct, frozen=True):
    """What every line carries besides its event."""

    v: int
    seq: int
    at: str
    mono: float
    prev: str


class _Put(ev.Output, frozen=True, kw_only=True, tag=False):
    """A line that holds an output, as most do: decoded at once. Its tag is a field, since a decoder
    for one type alone takes a line without any tag too."""

    at: str
    event: Literal["output"]


class _Printed(_Put, frozen=True, kw_only=True, tag=False):
    """The same, with all that the envelope has."""

    v: int
    seq: int
    mono: float
    prev: str


class _Link(_Envelope, frozen=True):
    """The envelope of a line that holds an output, which is left to be decoded elsewhere."""

    event: Literal["output"]


class Told(msgspec.Struct, frozen=True):
    """What a line tells, and when, in RFC 3339."""

    event: Event
    at: str


_decode_link = msgspec.json.Decoder(_Link).decode
_decode_put = msgspec.json.Decoder(_Put).decode
_decode_printed = msgspec.json.Decoder(_Printed).decode
_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_event = cast("Callable[[bytes], Event]", msgspec.json.Decoder(Event).decode)


class Lines:
    """The whole lines of a journal, without their newlines, as many at a time as one piece of it
    has. `read` is that of the open file. `rest`: the bytes that follow the last newline."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self.rest = b""
        self._read = read

    def new(self) -> list[bytes]:
        """Those that come next, none at the end of the file."""
        said = [self.rest, self._read(_CHUNK)]
        while said[-1] and b"\n" not in said[-1]:  # a very long line
            said.append(self._read(_CHUNK))
        whole = b"".join(said)
        said.clear()  # of the line of a plan that is very long, no copy more than needed
        *lines, self.rest = whole.split(b"\n")
        return lines


class Following:
    """The records of a journal that is still written, as they come, each checked as by `Reading`.

    A line without its newline is still being written: it is read when it is whole.
    """

    def __init__(self, path: Path) -> None:
        self._reading = Reading(path)
        self._file: io.BufferedReader | None = None
        self._source: Lines | None = None
        self._lines: deque[bytes] = deque()
        self._seq = 0
        self._prev = GENESIS

    def new(self, through: int | None = None) -> list[Record]:
        """Some of what has come since the last call, empty when nothing has; with `through`, no
        record of a higher number.

        Raises as iterating a `Reading` does.
        """
        if not self._lines:
            self._lines.extend(self._open().new())
        records = []
        while self._lines and (through is None or self._seq <= through):
            line = self._lines.popleft()
            record = self._reading.record(line, self._seq, self._prev)
            records.append(record)
            self._seq, self._prev = self._seq + 1, record.hash
        return records

    def _open(self) -> Lines:
        if self._source is None:
            self._file = self._reading.open()
            self._source = Lines(self._file.read)
        return self._source

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


class Reading:
    """The records of a journal in order, each checked against the line before it.

    Iterating raises DamagedJournalError, naming the line, at the first that is not as it was
    written. A last line without its newline is what a crash leaves: it is left out, and `torn`
    holds its bytes afterwards. `head` is the hash of the last line that was read. `listener` is
    told each piece of the file when it is read.
    """

    def __init__(self, path: Path, listener: Callable[[bytes], None] | None = None) -> None:
        self.path = path
        self._listener = listener
        self.torn = b""
        self.head = GENESIS

    def __iter__(self) -> Iterator[Record]:
        with self.open() as file:
            yield from self._records(file)

    def but_outputs(self) -> Iterator[Record | None]:
        """The same, with None for each output: of these no more is checked here than number and
        chain, for one who has them decoded elsewhere (see `unchecked`)."""
        with self.open() as file:
            self.head, seq, source = GENESIS, 0, Lines(self._heard(file.read))
            while lines := source.new():
                for line in lines:
                    yield self._but_output(line, seq)
                    seq += 1
            self.torn = source.rest

    def _but_output(self, line: bytes, seq: int) -> Record | None:
        try:
            link = _decode_link(line)
        except _NO_EVENT:
            record = self._any(line, seq, self.head)
            self.head = record.hash
            return record
        if link.seq != seq or link.prev != self.head or link.v != SCHEMA_VERSION:
            self._refuse(link, seq)
        self.head = sha256(line).hexdigest()
        return None

    def open(self) -> io.BufferedReader:
        """The file. Raises JournalError when it can't be read."""
        try:
            return open_regular(self.path)
        except OSError as error:
            raise JournalError(f"{self.path}: can't read the journal: {error.strerror}") from error

    def _records(self, file: io.BufferedReader) -> Iterator[Record]:
        self.head, seq, source = GENESIS, 0, Lines(self._heard(file.read))
        while lines := source.new():
            for line in lines:
                record = self.record(line, seq, self.head)
                self.head = record.hash
                yield record
                seq += 1
        self.torn = source.rest

    def _heard(self, read: Callable[[int], bytes]) -> Callable[[int], bytes]:
        listener = self._listener
        if listener is None:
            return read

        def heard(size: int) -> bytes:
            piece = read(size)
            listener(piece)
            return piece

        return heard

    def record(self, line: bytes, seq: int, prev: str) -> Record:
        """The one that `line`, without its newline, holds; number `seq`, after the hash `prev`.

        Of a million lines each is read here: what is called once a line is written out.
        """
        try:
            printed = _decode_printed(line)
        except _NO_EVENT:  # another event's, or damaged
            return self._any(line, seq, prev)
        if printed.seq != seq or printed.prev != prev or printed.v != SCHEMA_VERSION:
            self._refuse(printed, seq)
        return Record(
            seq=seq,
            at=printed.at,
            mono=printed.mono,
            event=ev.Output(
                step=printed.step,
                attempt=printed.attempt,
                output=printed.output,
                display_id=printed.display_id,
                late=printed.late,
            ),
            prev=prev,
            hash=sha256(line).hexdigest(),
        )

    def _any(self, line: bytes, seq: int, prev: str) -> Record:
        """The same, whatever the line holds."""
        try:
            envelope = _decode_envelope(line)
            if (envelope.v, envelope.seq, envelope.prev) != (SCHEMA_VERSION, seq, prev):
                self._refuse(envelope, seq)
            return _joined(envelope, line)
        except _NO_EVENT as error:
            raise self._damage(seq, f"not an event that nbrun wrote ({error})") from error

    def _refuse(self, envelope: _Envelope | _Printed, seq: int) -> NoReturn:
        if envelope.v != SCHEMA_VERSION:
            raise JournalError(
                f"{self.path}, line {seq + 1}: journal version {envelope.v}; this nbrun reads "
                f"version {SCHEMA_VERSION}: use a newer nbrun"
            )
        if envelope.seq != seq:
            raise self._damage(seq, f"its number is {envelope.seq}, not {seq}")
        raise self._damage(seq, "it does not follow from the line before")

    def _damage(self, seq: int, what: str) -> DamagedJournalError:
        return DamagedJournalError(f"{self.path}, line {seq + 1}: the record is damaged: {what}")


def unchecked(lines: Lines) -> Iterator[Told]:
    """What lines tell that a `Reading` checks elsewhere. Raises what a decoder raises of a line
    that is no event. As there, what is called once a line is written out."""
    while some := lines.new():
        for line in some:
            try:
                put = _decode_put(line)
            except _NO_EVENT:
                yield Told(_decode_event(line), _decode_envelope(line).at)
            else:
                event = ev.Output(
                    step=put.step,
                    attempt=put.attempt,
                    output=put.output,
                    display_id=put.display_id,
                    late=put.late,
                )
                yield Told(event, put.at)


def _joined(envelope: _Envelope, line: bytes) -> Record:
    return Record(
        seq=envelope.seq,
        at=envelope.at,
        mono=envelope.mono,
        event=_decode_event(line),
        prev=envelope.prev,
        hash=digest(line),
    )


def first(path: Path) -> Record | None:
    """The first line alone, for a list of runs; None when there is no whole one.

    Raises:
        DamagedJournalError: it is no event.
        OSError: the file can't be read.
    """
    with open_regular(path) as file:
        line = file.readline()
    return _alone(path, line[:-1]) if line.endswith(b"\n") else None


def last(path: Path) -> Record | None:
    """The last whole line alone; None when there is none, or it is no short one: the end of a
    run is. Raises as `first` does."""
    with open_regular(path) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL))
        lines = file.read().split(b"\n")
    whole = lines[:-1] if size <= _TAIL else lines[1:-1]
    return _alone(path, whole[-1]) if whole else None


def _alone(path: Path, line: bytes) -> Record:
    try:
        return _joined(_decode_envelope(line), line)
    except _NO_EVENT as error:
        raise DamagedJournalError(f"{path}: a line is not an event: {error}") from error
