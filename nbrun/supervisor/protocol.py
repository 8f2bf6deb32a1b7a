"""The protocol between a run's supervisor and its consoles: one line of JSON a message.

A console sends `Hello` first, and then decisions. The supervisor sends how far the journal is safe
to show. The records themselves are not sent: the console reads them from the journal.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import msgspec

from nbrun.core.decisions import Decision
from nbrun.core.model import Operator

# Bytes of a message. A decision of the console that operates the run may hold the source of a cell.
MAX_MESSAGE = 64 << 20
MAX_FOLLOWER_MESSAGE = 1 << 17  # of other consoles: a decision with its reason

Purpose = Literal[
    "operate",  # show the run and decide; one console at a time
    "take_over",  # the same, and displace the console that operates the run
    "follow",  # receive progress; decisions may be sent, but the run does not wait for them
    "decide",  # a program sends a decision on behalf of its account; it does not take the console
]


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    """The first message of a console. `run` is the id of the run that it looks for."""

    purpose: Purpose
    run: str = ""


class _ServerMessage(msgspec.Struct, frozen=True, kw_only=True, tag_field="says"):
    """A message from the supervisor."""


class Welcome(_ServerMessage, frozen=True, kw_only=True, tag="welcome"):
    """The console is admitted. `operator` is who the operating system says is connected."""

    operator: Operator


class Refused(_ServerMessage, frozen=True, kw_only=True, tag="refused"):
    """The console, or one of its decisions, is refused. The supervisor disconnects it."""

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
    with _deep_as_malformed():
        return _hello.decode(line)


def decode_server_message(line: bytes) -> ServerMessage:
    """Parse one line of a supervisor.

    Raises:
        ValueError: the line is not a `ServerMessage`.
    """
    with _deep_as_malformed():
        return _server_messages.decode(line)


def decode_decision(line: bytes) -> Decision:
    """Parse a later line of a console.

    Raises:
        ValueError: the line is not a decision.
    """
    with _deep_as_malformed():
        return _decisions.decode(line)


@contextmanager
def _deep_as_malformed() -> Iterator[None]:
    """Turn the error for JSON that is nested too deeply, even in a field that is ignored."""
    try:
        yield
    except RecursionError as error:
        raise ValueError("a message is nested too deeply") from error


class LineBuffer:
    """Split received bytes into lines, and buffer an incomplete last line.

    `limit` is the longest line in bytes. It may be changed at any time.
    """

    def __init__(self, limit: int = MAX_MESSAGE) -> None:
        self.limit = limit
        self._pieces: list[bytes] = []  # of the incomplete line: joined once, when it ends
        self._length = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that `data` completes, without their newlines.

        Raises:
            ValueError: a line is longer than `limit`.
        """
        first, *others = data.split(b"\n")
        lines = []
        self._append(first)
        for piece in others:
            lines.append(b"".join(self._pieces))
            self._pieces, self._length = [], 0
            self._append(piece)
        return lines

    def _append(self, piece: bytes) -> None:
        self._length += len(piece)
        if self._length > self.limit:
            raise ValueError(f"a message is longer than {self.limit} bytes")
        if piece:
            self._pieces.append(piece)
