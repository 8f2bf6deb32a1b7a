"""The way from a console to a run, wherever that is: its records in, decisions out."""

import os
import selectors
import socket
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from nbrun.core import decisions
from nbrun.core import events as ev
from nbrun.core.decisions import Decision
from nbrun.core.events import Record
from nbrun.core.model import Operator
from nbrun.errors import NoSupervisorError, RefusedAttachError
from nbrun.journal import writer
from nbrun.journal.reader import Following
from nbrun.journal.run_directory import RunDirectory
from nbrun.supervisor import protocol
from nbrun.supervisor.protocol import (
    Ended,
    Failed,
    Hello,
    News,
    Purpose,
    Refused,
    Said,
    TakenOver,
    Welcome,
)

_PATIENCE = 30.0  # seconds for a supervisor to say whom it lets in
_AGAIN = 5.0  # seconds for a supervisor to make a socket again that was removed
_LOOK = 0.5  # seconds between two looks at whether a journal is still written


class Link(Protocol):
    """What a console needs of a run."""

    def fileno(self) -> int:
        """Readable when `receive` has something to give."""

    def receive(self) -> list[Record]:
        """Some of the records that have come since the last call; empty when there are none."""

    @property
    def closed(self) -> bool:
        """Nothing more will come."""

    def send(self, decision: Decision) -> None:
        """Hand a decision to the engine. Safe in a signal handler."""

    def wake(self) -> None:
        """Make it readable though nothing has come. Safe in a signal handler."""


class _Wake:
    """A pipe that a signal handler may write to."""

    def __init__(self) -> None:
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        os.set_blocking(self._write_end, False)

    def fileno(self) -> int:
        return self._read_end

    def ring(self) -> None:
        with suppress(BlockingIOError):  # a full pipe wakes the reader as well
            os.write(self._write_end, b"\0")

    def drain(self) -> None:
        with suppress(BlockingIOError):
            while os.read(self._read_end, 4096):
                pass

    def close(self) -> None:
        os.close(self._read_end)
        os.close(self._write_end)


class SocketLink:
    """A link to a supervisor. What it shows is read in the journal, as far as the supervisor says
    that it is safe: a console that stalls holds up nobody, and shows nothing that could be lost.

    `ended`: the supervisor said that the run has; `failure`: what ended it before; `taken_over`: by
    whom this console was sent away; `lost`: the supervisor is gone without a word.
    """

    def __init__(self, directory: RunDirectory, purpose: Purpose) -> None:
        """Raises RefusedAttachError when it lets nobody in, or not this one; NoSupervisorError
        when there is none."""
        self.ended = False
        self.failure: Failed | None = None
        self.taken_over: Operator | None = None
        self.lost = False
        self._following = Following(directory.journal)
        self._through = -1
        self._drained = False
        self._lines = protocol.Lines()
        self._outbox: deque[bytes] = deque()
        self._wake = _Wake()
        self._socket = connect(directory)
        with suppress(BrokenPipeError, ConnectionResetError):  # turned away: `_welcome` hears why
            self._socket.sendall(protocol.encoded(Hello(purpose=purpose)))
        self.operator = self._welcome()
        self._socket.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._socket, selectors.EVENT_READ)
        self._selector.register(self._wake, selectors.EVENT_READ)

    def fileno(self) -> int:
        selector: Any = self._selector  # epoll's and kqueue's can be selected on themselves
        return int(selector.fileno())

    @property
    def closed(self) -> bool:
        return self._over and self._drained

    def receive(self) -> list[Record]:
        self._wake.drain()
        self._flush()
        self._listen()
        over = self._over  # what is in the journal now is all there is
        records = self._following.new(None if over else self._through)
        self._drained = over and not records
        if records or self._drained:
            self.wake()  # there may be more, and `closed` is to be looked at
        return records

    def send(self, decision: Decision) -> None:
        self._outbox.append(protocol.encoded(decision))
        self.wake()

    def wake(self) -> None:
        self._wake.ring()

    def leave(self, reason: str = "") -> None:
        """Say goodbye, and let go."""
        with suppress(OSError):
            self._socket.setblocking(True)
            self._socket.settimeout(_LOOK)
            for waiting in (*self._outbox, protocol.encoded(decisions.Detach(reason=reason))):
                self._socket.sendall(waiting)
        self.close()

    def close(self) -> None:
        self._selector.close()
        self._socket.close()
        self._wake.close()
        self._following.close()

    @property
    def _over(self) -> bool:
        return self.ended or self.lost or bool(self.failure or self.taken_over)

    def _welcome(self) -> Operator:
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            self._socket.settimeout(max(0.01, deadline - time.monotonic()))
            said = self._read()
            for each in said:
                self._heard(each)
            match said:
                case [Welcome(operator=operator), *_]:
                    return operator
                case [Refused(why=why), *_]:
                    raise RefusedAttachError(why)
            if self.lost:
                break
        raise NoSupervisorError("the run's supervisor does not answer")

    def _flush(self) -> None:
        try:
            while self._outbox:
                sent = self._socket.send(self._outbox[0])
                if sent == len(self._outbox[0]):
                    self._outbox.popleft()
                else:
                    self._outbox[0] = self._outbox[0][sent:]
        except BlockingIOError:
            self.wake()
        except OSError:
            self._outbox.clear()  # `_listen` finds out why

    def _listen(self) -> None:
        for said in self._read() if not self._over else ():
            self._heard(said)

    def _heard(self, said: Said) -> None:
        match said:
            case News(through=through):
                self._through = through
            case TakenOver(by=by):
                self.taken_over = by
            case Failed():
                self.failure = said
            case Ended():
                self.ended = True

    def _read(self) -> list[Said]:
        try:
            data = self._socket.recv(1 << 16)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if not data:
            self.lost = True
            with suppress(AttributeError, KeyError, ValueError):
                self._selector.unregister(self._socket)
        return [protocol.said(line) for line in self._lines.feed(data)]


def connect(directory: RunDirectory) -> socket.socket:
    """A connection to the run's supervisor. While one lives whose socket was removed, it is waited
    for: it makes the socket again. Raises NoSupervisorError."""
    deadline = time.monotonic() + _AGAIN
    while True:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            made.connect(str(directory.socket.readlink()))
        except OSError as error:
            made.close()
            if time.monotonic() < deadline and _is_written(directory.journal):
                time.sleep(0.05)
                continue
            raise NoSupervisorError(
                f"{directory.id}: its supervisor can't be reached: {error.strerror or error}"
            ) from error
        return made


def _is_written(path: Path) -> bool:
    try:
        return writer.is_locked(path)
    except OSError:
        return False


class JournalLink:
    """A link to a run that only looks on: it follows the journal, whoever writes it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._following = Following(path)
        self._wake = _Wake()
        self._looked = time.monotonic()
        self._abandoned = False
        self.ended = False

    def fileno(self) -> int:
        return self._wake.fileno()

    @property
    def closed(self) -> bool:
        return self._abandoned

    def receive(self) -> list[Record]:
        self._wake.drain()
        due = time.monotonic() - self._looked >= _LOOK
        unwritten = (due or self.ended) and not writer.is_locked(self._path)
        self._looked = time.monotonic() if due else self._looked
        records = self._following.new()
        self.ended = self.ended or any(isinstance(r.event, ev.RunFinished) for r in records)
        self._abandoned = not records and (unwritten or self.ended)
        if records:
            self.wake()
        return records

    def send(self, decision: Decision) -> None:
        """Nobody is there to hear it: who only looks on decides nothing."""

    def wake(self) -> None:
        self._wake.ring()

    def leave(self, _reason: str = "") -> None:
        self._wake.close()
        self._following.close()
