"""The protocol between a run's supervisor and its consoles: one line of JSON a message.

A console sends `Hello` first, and then decisions. The supervisor sends how far the journal is safe
to show. The records themselves are not sent: the console reads them from the journal.
"""

from typing import Literal

import msgspec

from nbrun.core.decisions import Decision
from nbrun.core.model import Operator

MAX_MESSAGE = 64 << 20  # bytes: a decision may hold the source of a cell

Purpose = Literal[
    "operate",  # show the run and decide; one console at a time
    "take_over",  # the same, and displace the console that operates the run
    "follow",  # receive progress; decisions may be sent, but the run does not wait for them
]


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    """The first message of a console."""

    purpose: Purpose


class _ServerMessage(msgspec.Struct, frozen=True, kw_only=True, tag_field="says"):
    """A message from the supervisor."""


class Welcome(_ServerMessage, frozen=True, kw_only=True, tag="welcome"):
    """The console is admitted. `operator` is who the operating system says is connected."""

    operator: Operator


class Refused(_ServerMessage, frozen=True, kw_only=True, tag="refused"):
    """The console, or one of its decisions, is refused. The supervisor ignores it from here on."""

    why: str


class JournalAdvanced(_ServerMessage, frozen=True, kw_only=True, tag="news"):
    """The journal durably holds all records up to number `through`."""

    through: int


class TakenOver(_ServerMessage, frozen=True, kw_only=True, tag="taken_over"):
    """Another console operates the run now."""

    by: Operator


class SupervisorFailed(_ServerMessage, frozen=True, kw_only=True, tag="failed"):
    """The supervisor exits, and the journal holds no end of the run."""

    why: str
    exit_code: int


class RunEnded(_ServerMessage, frozen=True, kw_only=True, tag="ended"):
    """The run has ended. This is the last message."""


ServerMessage = Welcome | Refused | JournalAdvanced | TakenOver | SupervisorFailed | RunEnded

_encoder = msgspec.json.Encoder()
_hello = msgspec.json.Decoder(Hello)
_server_messages: msgspec.json.Decoder[ServerMessage] = msgspec.json.Decoder(ServerMessage)
_decisions: msgspec.json.Decoder[Decision] = msgspec.json.Decoder(Decision)


def encode(message: ServerMessage | Hello | Decision) -> bytes:
    """Return `message` as one line of JSON, with its newline."""
    return _encoder.encode(message) + b"\n"


def decode_hello(line: bytes) -> Hello:
    """Parse the first line of a console.

    Raises:
        ValueError: the line is not a `Hello`.
    """
    return _hello.decode(line)


def decode_server_message(line: bytes) -> ServerMessage:
    """Parse one line of a supervisor.

    Raises:
        ValueError: the line is not a `ServerMessage`.
    """
    return _server_messages.decode(line)


def decode_decision(line: bytes) -> Decision:
    """Parse a later line of a console.

    Raises:
        ValueError: the line is not a decision.
    """
    return _decisions.decode(line)


class LineBuffer:
    """Split received bytes into lines, and buffer an incomplete last line."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that `data` completes, without their newlines.

        Raises:
            ValueError: a line is longer than `MAX_MESSAGE`.
        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MAX_MESSAGE:
            raise ValueError("the message is too long: its line does not end")
        return lines
