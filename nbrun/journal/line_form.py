"""Check that the lines of a journal have the very bytes that nbrun writes.

A JSON decoder is lenient: it ignores unknown fields, takes the last of two equal keys, and reads
spaces and escapes that nbrun never writes. Another program may read such a line differently.
"""

import re
from datetime import datetime
from typing import Any

import msgspec

from nbrun import __version__
from nbrun.core import events as ev
from nbrun.core.events import Record
from nbrun.journal import codec
from nbrun.journal.codec import OutputLine

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)
_SECOND_LENGTH = 20  # characters up to the microseconds
_Z = 26  # the index of the last character

_encode = msgspec.json.Encoder().encode


class LineForm:
    """The check of the lines of one journal, in order.

    `newer` is the version of a newer nbrun that wrote a part of the record, or empty. Fields that
    this nbrun does not know are then allowed.
    """

    def __init__(self) -> None:
        self.newer = ""
        self._mono = 0.0
        self._second = ""  # the time of the line before, up to its microseconds

    def output_fault(self, line: bytes, output: OutputLine) -> str | None:
        """Return what is wrong with a decoded line that holds an output, or None.

        Most lines are outputs, and most of them differ from the line before by less than a second:
        their check is written out here, which saves a tenth of the time to verify a record.
        """
        at, mono = output.at, output.mono
        if (
            _encode(output) == line
            and at[:_SECOND_LENGTH] == self._second
            and at[_SECOND_LENGTH:_Z].isdigit()
            and at[_Z:] == "Z"
            and at.isascii()
            and mono >= self._mono
        ):
            self._mono = mono
            return None
        return self.fault(line, output.record())

    def fault(self, line: bytes, record: Record) -> str | None:
        """Return what is wrong with the line that `record` was decoded from, or None."""
        if isinstance(record.event, ev.RunStarted | ev.RunResumed):
            self._note_version(record.event.versions.get("nbrun", ""))
        if codec.encode(record) != line and (fault := self._field_fault(line, record)):
            return fault
        return self._time_fault(record.at, record.mono)

    def _note_version(self, version: str) -> None:
        if _version_key(version) > _version_key(__version__):
            self.newer = version

    def _time_fault(self, at: str, mono: float) -> str | None:
        """Return what is wrong with the times of the next line, or None."""
        if not is_time(at):
            return f"its time {at!r} is not one"
        if mono < self._mono:
            return f"its mono {mono} is less than that of the line before, {self._mono}"
        self._second, self._mono = at[:_SECOND_LENGTH], mono
        return None

    def _field_fault(self, line: bytes, record: Record) -> str | None:
        """Compare a line that an older nbrun may have written: it may lack fields with defaults."""
        head, tail = codec.envelope(record)
        if not (line.startswith(head) and line.endswith(tail)):
            return "nbrun writes the fields that every line has in another form"
        body = b"{%b}" % line[len(head) : -len(tail)]
        found = msgspec.json.decode(body)
        if _encode(found) != body:
            return "nbrun writes the same fields in another form: once each, without spaces"
        if self.newer:
            return None
        return _structure_fault(found, msgspec.to_builtins(record.event))


def _structure_fault(found: Any, known: Any) -> str | None:
    """Return what `found` has that `known` lacks, or that its fields are in another order.

    `known` has every field that this nbrun writes. `found` may lack some.
    """
    match found, known:
        case dict(), dict():
            unknown = [name for name in found if name not in known]
            if unknown:
                return (
                    f"this nbrun writes no field {unknown[0]!r} there. If a newer one wrote the "
                    "record, verify it with that"
                )
            if [*found] != [name for name in known if name in found]:
                return "nbrun writes its fields in another order"
            pairs = [(found[name], known[name]) for name in found]
        case list(), list() | tuple():
            pairs = [*zip(found, known, strict=True)]
        case _:
            return None
    return next(filter(None, (_structure_fault(*pair) for pair in pairs)), None)


def is_time(at: str) -> bool:
    """Return True if `at` is a time as nbrun writes it: RFC 3339, in UTC, with microseconds."""
    if not _TIME.fullmatch(at):
        return False
    try:
        datetime.fromisoformat(at)
    except ValueError:
        return False
    return True


def _version_key(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d{1,9}", version, re.ASCII)[:3]]
