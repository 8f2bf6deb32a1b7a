"""The sinks to which a journal's lines can be forwarded: a syslog daemon, or a command.

Sources of the formats: RFC 5424 (the message), RFC 6587, 3.4.1 (octet counting over TCP). The
messages of ForwardingError are recorded: they must not change.
"""

import errno
import os
import select
import socket
import tempfile
from collections.abc import Sequence
from typing import Protocol
from urllib.parse import urlsplit

import msgspec

from nbrun.errors import ForwardingError
from nbrun.system.limited_command import CommandEndedError, LimitedCommand

TIMEOUT = 30.0  # seconds for a daemon or a command to accept lines
_DEV_LOG = "/dev/log"
_PRIORITY = 16 * 8 + 6  # facility local0, severity informational


class JournalLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a journal. `content` has no newline; `event` is its tag, `hash` its SHA-256."""

    run: str
    seq: int
    at: str
    event: str
    content: bytes
    hash: str


class Sink(Protocol):
    """A destination of lines. `name` names it in the record."""

    name: str

    def send(self, lines: Sequence[JournalLine]) -> None:
        """Send lines of one run, in order.

        Raises:
            ForwardingError: some may not have been sent. The caller sends all of them again.
        """

    def close(self) -> None:
        """End a `send` that is in progress on another thread, if that is possible."""


def sink(words: Sequence[str]) -> Sink:
    """Return the sink for `syslog`, `syslog://HOST:PORT`, or the words of a command."""
    if words[0] == "syslog":
        return LocalSyslog()
    if words[0].startswith("syslog://"):
        where = urlsplit(words[0])
        return RemoteSyslog(where.hostname or "", where.port or 601)
    return CommandSink(words)


class LocalSyslog:
    """The daemon of this machine.

    Of a line too long for its socket, only number, event, size and hash are sent.
    """

    name = "syslog"

    def __init__(self, path: str = _DEV_LOG) -> None:
        self._path = path

    def send(self, lines: Sequence[JournalLine]) -> None:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
                daemon.settimeout(TIMEOUT)
                daemon.connect(self._path)
                for line in lines:
                    _send_datagram(daemon, line)
        except OSError as error:
            raise ForwardingError(f"{self._path}: {error.strerror or error}") from error

    def close(self) -> None:
        """Do nothing: a `send` ends with its timeout."""


def _send_datagram(daemon: socket.socket, line: JournalLine) -> None:
    try:
        daemon.send(syslog_message(line, line.content))
    except OSError as error:
        if error.errno != errno.EMSGSIZE:
            raise
        short = {"seq": line.seq, "event": line.event, "bytes": len(line.content)}
        content = msgspec.json.encode(short | {"sha256": line.hash})
        daemon.send(syslog_message(line, content))


class RemoteSyslog:
    """A daemon on another machine, over TCP.

    TCP does not confirm what arrived: lines sent just before a connection breaks may be lost.
    """

    def __init__(self, host: str, port: int) -> None:
        self.name = f"syslog://{host}:{port}"
        self._address = host, port
        self._connection: socket.socket | None = None

    def send(self, lines: Sequence[JournalLine]) -> None:
        messages = (syslog_message(line, line.content) for line in lines)
        framed = b"".join(b"%d %b" % (len(message), message) for message in messages)
        try:
            if self._connection is not None and _was_closed(self._connection):
                self._disconnect()
            if self._connection is None:
                self._connection = socket.create_connection(self._address, TIMEOUT)
            self._connection.sendall(framed)
        except OSError as error:
            self._disconnect()
            raise ForwardingError(f"{self.name}: {error.strerror or error}") from error

    def close(self) -> None:
        """Do nothing: a `send` ends with its timeout."""

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _was_closed(connection: socket.socket) -> bool:
    """Return True if the daemon closed the connection: it never sends anything else."""
    return bool(select.select([connection], [], [], 0)[0])


def syslog_message(line: JournalLine, content: bytes) -> bytes:
    """Return a message as in RFC 5424.

    Its process id is the run's id: with `seq` in the JSON, it names the line.
    """
    host = socket.gethostname().encode("ascii", "replace").replace(b" ", b"-")[:255] or b"-"
    head = f"<{_PRIORITY}>1 {line.at} {host.decode()} nbrun {line.run[:128]} {line.event[:32]} - "
    return head.encode("ascii", "replace") + content


class CommandSink:
    """A command that reads lines from stdin, and exits with 0 if it has accepted all of them.

    It is started again for each batch. NBRUN_RUN in its environment is the run's id. If it is not
    done in time, it is killed with everything that it has started.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.name = words[0]
        self._command = LimitedCommand(words)

    def send(self, lines: Sequence[JournalLine]) -> None:
        try:
            # A file and not a pipe: the command may read slowly, or not at all.
            with tempfile.TemporaryFile() as stdin:
                stdin.writelines(line.content + b"\n" for line in lines)
                stdin.seek(0)
                environment = {**os.environ, "NBRUN_RUN": lines[0].run}
                code, message = self._command.run(stdin, environment, TIMEOUT)
        except CommandEndedError as error:
            raise ForwardingError(f"{self.name}: {error}") from None
        except OSError as error:
            raise ForwardingError(f"{self.name}: {error.strerror}") from error
        if code:
            raise ForwardingError(f"{self.name}: exit {code}" + (message and f": {message}"))

    def close(self) -> None:
        self._command.close()
