"""Where lines of a record can be sent: a syslog daemon, or a command.

Sources of the formats: RFC 5424 (the message), RFC 6587, 3.4.1 (octet counting over TCP).
"""

import errno
import os
import select
import socket
import subprocess
from collections.abc import Sequence
from typing import Protocol
from urllib.parse import urlsplit

import msgspec

from nbrun.errors import ForwardingError

TIMEOUT = 30.0  # seconds that a daemon or a command has
_DEV_LOG = "/dev/log"
_PRIORITY = 16 * 8 + 6  # facility local0, severity informational


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a journal, without its newline; `event` is its tag, `hash` its SHA-256."""

    run: str
    seq: int
    at: str
    event: str
    content: bytes
    hash: str


class Target(Protocol):
    name: str

    def send(self, lines: Sequence[Line]) -> None:
        """Send them, in order.

        Raises:
            ForwardingError: not all of them, or not surely; they have to be sent again.
        """


def target(words: Sequence[str]) -> Target:
    """`syslog`, `syslog://HOST:PORT`, or the words of a command (see `config`)."""
    if words[0] == "syslog":
        return LocalSyslog()
    if words[0].startswith("syslog://"):
        where = urlsplit(words[0])
        return RemoteSyslog(where.hostname or "", where.port or 601)
    return Command(words)


class LocalSyslog:
    """The daemon of this machine. A line too long for its socket is sent as what tells of it."""

    name = "syslog"

    def __init__(self, path: str = _DEV_LOG) -> None:
        self._path = path

    def send(self, lines: Sequence[Line]) -> None:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
                daemon.settimeout(TIMEOUT)
                daemon.connect(self._path)
                for line in lines:
                    _send_datagram(daemon, line)
        except OSError as error:
            raise ForwardingError(f"{self._path}: {error.strerror or error}") from error


def _send_datagram(daemon: socket.socket, line: Line) -> None:
    try:
        daemon.send(syslog_message(line, line.content))
    except OSError as error:
        if error.errno != errno.EMSGSIZE:
            raise
        short = {"seq": line.seq, "event": line.event, "bytes": len(line.content)}
        told = msgspec.json.encode(short | {"sha256": line.hash})
        daemon.send(syslog_message(line, told))


class RemoteSyslog:
    """A daemon elsewhere, over TCP. TCP tells of what did not arrive late or not at all: what was
    sent just before a connection broke may be lost."""

    def __init__(self, host: str, port: int) -> None:
        self.name = f"syslog://{host}:{port}"
        self._address = host, port
        self._connection: socket.socket | None = None

    def send(self, lines: Sequence[Line]) -> None:
        messages = (syslog_message(line, line.content) for line in lines)
        framed = b"".join(b"%d %b" % (len(message), message) for message in messages)
        try:
            if self._connection is not None and _was_closed(self._connection):
                self._drop()
            if self._connection is None:
                self._connection = socket.create_connection(self._address, TIMEOUT)
            self._connection.sendall(framed)
        except OSError as error:
            self._drop()
            raise ForwardingError(f"{self.name}: {error.strerror or error}") from error

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _was_closed(connection: socket.socket) -> bool:
    """The other side says nothing in this protocol, but that it is gone."""
    return bool(select.select([connection], [], [], 0)[0])


def syslog_message(line: Line, content: bytes) -> bytes:
    """RFC 5424. The process id is the run's: with the JSON's own `seq` it names the line."""
    host = socket.gethostname().encode("ascii", "replace").replace(b" ", b"-")[:255] or b"-"
    head = f"<{_PRIORITY}>1 {line.at} {host.decode()} nbrun {line.run[:128]} {line.event[:32]} - "
    return head.encode("ascii", "replace") + content


class Command:
    """A command that gets lines on its stdin, and has taken them when it exits with 0. It is run
    anew for what has come together meanwhile; NBRUN_RUN is the run's id."""

    def __init__(self, words: Sequence[str]) -> None:
        self.name = words[0]
        self._words = list(words)

    def send(self, lines: Sequence[Line]) -> None:
        environment = {**os.environ, "NBRUN_RUN": lines[0].run}
        try:
            done = subprocess.run(  # noqa: S603  the operator's own command
                self._words,
                input=b"".join(line.content + b"\n" for line in lines),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=TIMEOUT,
                check=False,
                start_new_session=True,
                env=environment,
            )
        except subprocess.TimeoutExpired:
            raise ForwardingError(f"{self.name}: did not end within {TIMEOUT:.0f} s") from None
        except OSError as error:
            raise ForwardingError(f"{self.name}: {error.strerror}") from error
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip()[-200:]
            raise ForwardingError(f"{self.name}: exit {done.returncode}" + (said and f": {said}"))
