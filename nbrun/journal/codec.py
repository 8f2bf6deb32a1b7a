"""A line of the journal: a record as bytes, and what chains it to the line before."""

import hashlib
from typing import Any

import msgspec

from nbrun.core.events import SCHEMA_VERSION, Event, Record

GENESIS = hashlib.sha256(b"").hexdigest()  # what the first line has for the one before it

_encoder = msgspec.json.Encoder()


def encode(record: Record) -> bytes:
    """A record as one line of the journal, without its newline."""
    head = f'{{"v":{SCHEMA_VERSION},"seq":{record.seq},"at":"{record.at}","mono":{record.mono},'
    body = memoryview(_encode_event(record.event))[1:-1]  # of a long line, no copy more than needed
    return b"".join((head.encode(), body, f',"prev":"{record.prev}"}}'.encode()))


def _encode_event(event: Event) -> bytes:
    try:
        return _encoder.encode(event)
    except (UnicodeEncodeError, OverflowError):  # half a surrogate pair; an integer over 64 bits
        return _encoder.encode(_storable(msgspec.to_builtins(event)))


def _storable(value: Any) -> Any:
    """`value` with what JSON in UTF-8 can't hold exactly written out as text."""
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
    """The SHA-256 by which the next line names this one (without its newline)."""
    return hashlib.sha256(line).hexdigest()


def line_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of one line: an event's own fields and the envelope's."""
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
