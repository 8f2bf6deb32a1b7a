"""What passes over a run's socket between its supervisor and a console: one line of JSON a message.

A console says first what it comes for (`Hello`), then decisions. The supervisor says how far the
journal is safe to show; the records themselves a console reads in the journal.
"""

from typing import Literal

import msgspec

from nbrun.core.decisions import Decision
from nbrun.core.model import Operator

LONGEST = 64 << 20  # bytes of a message: a decision may hold the source of a cell

Purpose = Literal[
    "operate",  # show the run and decide; one at a time
    "take_over",  # the same, in place of whoever is there
    "follow",  # be told of news; decisions may be sent, but none is waited for from here
]


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    purpose: Purpose


class _Said(msgspec.Struct, frozen=True, kw_only=True, tag_field="says"):
    """One message of the supervisor's."""


class Welcome(_Said, frozen=True, kw_only=True, tag="welcome"):
    """`operator`: whom the supervisor takes the other side for, from the system's own knowledge."""

    operator: Operator


class Refused(_Said, frozen=True, kw_only=True, tag="refused"):
    why: str


class News(_Said, frozen=True, kw_only=True, tag="news"):
    """The journal holds, as safely as it will, all records up to number `through`."""

    through: int


class TakenOver(_Said, frozen=True, kw_only=True, tag="taken_over"):
    by: Operator


class Failed(_Said, frozen=True, kw_only=True, tag="failed"):
    """The supervisor ends, and the run has no end in the journal."""

    why: str
    exit_code: int


class Ended(_Said, frozen=True, kw_only=True, tag="ended"):
    """The run has ended; nothing more comes."""


Said = Welcome | Refused | News | TakenOver | Failed | Ended

_encoder = msgspec.json.Encoder()
_hello = msgspec.json.Decoder(Hello)
_said: msgspec.json.Decoder[Said] = msgspec.json.Decoder(Said)
_decisions: msgspec.json.Decoder[Decision] = msgspec.json.Decoder(Decision)


def encoded(message: Said | Hello | Decision) -> bytes:
    """One line, with its newline."""
    return _encoder.encode(message) + b"\n"


def hello(line: bytes) -> Hello:
    """Raises ValueError when it is none."""
    return _hello.decode(line)


def said(line: bytes) -> Said:
    """Raises ValueError when it is none."""
    return _said.decode(line)


def decision(line: bytes) -> Decision:
    """Raises ValueError when it is none."""
    return _decisions.decode(line)


class Lines:
    """Bytes as they come, made into whole lines."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes, without their newlines.

        Raises:
            ValueError: a line is longer than any message.
        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LONGEST:
            raise ValueError("a message that does not end")
        return lines
