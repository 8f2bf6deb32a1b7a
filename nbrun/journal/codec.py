"""One line of a journal: a record encoded as JSON, and the hash that chains the next line to it."""

import hashlib
from typing import Any, Literal

import msgspec

from nbrun.core import events as ev
from nbrun.core.events import SCHEMA_VERSION, Event, Record

# The errors that msgspec raises for bytes that are not a line of a journal.
DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
GENESIS = hashlib.sha256(b"").hexdigest()  # `prev` of the first line

_encoder = msgspec.json.Encoder()


class OutputLine(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A whole line that holds an output, in the order of its fields.

    Most lines do. They are decoded in one pass; all others in two, envelope and event. The tag is
    a field here, because a decoder for a single tagged type also accepts a line without any tag.
    """

    v: int
    seq: int
    at: str
    mono: float
    event: Literal["output"]
    step: str
    attempt: int
    output: dict[str, Any]
    display_id: str | None = None
    late: bool = False
    widget: str = ""
    prev: str

    def record(self, hash_: str = "") -> Record:
        """Return the record, given the hash of its line."""
        return Record(
            seq=self.seq,
            at=self.at,
            mono=self.mono,
            event=ev.Output(
                step=self.step,
                attempt=self.attempt,
                output=self.output,
                display_id=self.display_id,
                late=self.late,
                widget=self.widget,
            ),
            prev=self.prev,
            hash=hash_,
        )


def encode(record: Record) -> bytes:
    """Encode a record as one line of the journal, without its newline."""
    head, tail = envelope(record)
    body = memoryview(_encode_event(record.event))[1:-1]  # without its braces, and not copied
    return b"".join((head, body, tail))


def envelope(record: Record) -> tuple[bytes, bytes]:
    """Return what a line has before and after the fields of its event."""
    head = f'{{"v":{SCHEMA_VERSION},"seq":{record.seq},"at":"{record.at}","mono":{record.mono},'
    return head.encode(), f',"prev":"{record.prev}"}}'.encode()


def _encode_event(event: Event) -> bytes:
    try:
        return _encoder.encode(event)
    except (UnicodeEncodeError, OverflowError):  # half a surrogate pair; an integer over 64 bits
        return _encoder.encode(_storable(msgspec.to_builtins(event)))


def _storable(value: Any) -> Any:
    """Write as text what JSON in UTF-8 can't hold exactly; return all else as it is."""
    match value:
        case dict():
            return {_storable(key): _storable(item) for key, item in value.items()}
        case list() | tuple():
            return [_storable(item) for item in value]
        case str():
            return value.encode("utf-8", "backslashreplace").decode()
        case int() if not -(2**63) <= value < 2**64:
            return str(value)
    return value


def digest(line: bytes) -> str:
    """Return the SHA-256 of a line without its newline, in hex: the next line's `prev`."""
    return hashlib.sha256(line).hexdigest()


def line_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of one line: an event's own fields and the envelope's."""
    schema = msgspec.json.schema(Event)
    for definition in schema["$defs"].values():
        if "event" in definition.get("properties", {}):
            definition["properties"] = {
                "v": {"const": SCHEMA_VERSION},
                "seq": {"type": "integer", "minimum": 0},
                "at": {"type": "string", "format": "date-time"},
                "mono": {"type": "number", "minimum": 0},
                **definition["properties"],
                "prev": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
            }
            definition["required"] = ["v", "seq", "at", "mono", *definition["required"], "prev"]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
