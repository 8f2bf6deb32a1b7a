"""Clients of a run: they receive its records, and send decisions to its supervisor."""

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
from nbrun.errors import NbrunError, NoSupervisorError, RefusedAttachError
from nbrun.journal import writer
from nbrun.journal.reader import JournalFollower
from nbrun.journal.run_directory import RunDirectory
from nbrun.supervisor import peer_check, protocol
from nbrun.supervisor.listener import supervisor_socket
from nbrun.supervisor.protocol import (
    Hello,
    JournalAdvanced,
    Purpose,
    Refused,
    RunEnded,
    ServerMessage,
    SupervisorFailed,
    TakenOver,
    Welcome,
)
from nbrun.system import peer_credentials
from nbrun.system.wakeup import WakeupPipe

_WELCOME_TIMEOUT = 30.0  # seconds for a supervisor to answer `Hello`
_CONNECT_TIMEOUT = 5.0  # seconds for a supervisor to create a socket again that was removed
_FAREWELL_TIMEOUT = 0.5  # seconds to send what is queued when leaving
_LOCK_CHECK_INTERVAL = 0.5  # seconds between two checks of whether a journal has a writer

# Seconds without a record after which a run that was cancelled, or has ended, is not waited for.
# The longest silence of a supervisor that works is the minute that a seal may take.
END_TIMEOUT = 120.0
_NOT_ENDING = (ev.DecisionRefused, ev.DecisionProposed)  # a cancellation that is not (yet) accepted


class RunClient(Protocol):
    """The interface through which a console follows a run."""

    def fileno(self) -> int:
        """Return a descriptor that is readable when `receive` should be called."""

    def receive(self) -> list[Record]:
        """Return some of the new records, or an empty list. Never blocks."""

    @property
    def closed(self) -> bool:
        """True if no more records will come."""

    def send(self, decision: Decision) -> None:
        """Send a decision to the engine. Safe in a signal handler."""

    def wake(self) -> None:
        """Make `fileno` readable although nothing has come. Safe in a signal handler."""


class SocketClient:
    """A client that is connected to the run's supervisor.

    The supervisor sends how far the journal is safe to show, and the client reads the records from
    the journal. So a console that stalls delays nobody, and no console shows a record that a crash
    could still lose.

    Attributes:
        operator: who this client is, as the supervisor sees it.
        ended: the run has ended.
        failure: the error that ended the supervisor before the run's end.
        taken_over_by: the operator who displaced this client.
        refused: why the supervisor refused a decision and disconnected; empty if it did not.
        disconnected: the supervisor is gone without a message.
    """

    def __init__(
        self, directory: RunDirectory, purpose: Purpose, *, was_asked: bool = False
    ) -> None:
        """Connect to the supervisor of the run in `directory`. `was_asked`: see `peer_check`.

        Raises:
            RefusedAttachError: the supervisor does not admit this client, or another user than the
                run's owner answers. Nothing was sent to that user.
            NoSupervisorError: there is no supervisor, or it does not answer.
        """
        self.ended = False
        self.failure: SupervisorFailed | None = None
        self.taken_over_by: Operator | None = None
        self.refused = ""
        self.disconnected = False
        self._journal = JournalFollower(directory.journal)
        self._ending_since: float | None = None  # when the last sign of the coming end was seen
        self._through = -1
        self._seen = -1  # number of the last record received
        self._drained = False
        self._lines = protocol.LineBuffer()
        self._outbox: deque[bytes] = deque()
        self._wakeup = WakeupPipe()
        self._socket = connect(directory)
        try:
            peer_check.require_owner(self._socket, directory, purpose, was_asked=was_asked)
        except NbrunError:
            self._socket.close()
            raise
        self._pid = peer_credentials.peer_of(self._socket).pid  # the supervisor's
        # A refused client is disconnected, perhaps before this: `_read_welcome` gets the reason.
        with suppress(BrokenPipeError, ConnectionResetError):
            self._socket.sendall(protocol.encode(Hello(purpose=purpose, run=directory.id)))
        self.operator = self._read_welcome()
        self._socket.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._socket, selectors.EVENT_READ)
        self._selector.register(self._wakeup, selectors.EVENT_READ)

    def fileno(self) -> int:
        selector: Any = self._selector  # epoll and kqueue have a descriptor that can be polled
        return int(selector.fileno())

    @property
    def closed(self) -> bool:
        return (self._is_over and self._drained) or self.is_overdue

    @property
    def is_current(self) -> bool:
        """True once all records were received that the supervisor has announced so far."""
        return 0 <= self._through <= self._seen

    @property
    def is_overdue(self) -> bool:
        """True if the run should have ended long ago, but its supervisor does not."""
        since = self._ending_since
        return since is not None and time.monotonic() - since > END_TIMEOUT

    def receive(self) -> list[Record]:
        self._wakeup.drain()
        self._flush()
        self._receive_messages()
        # Ask first, read second: once the supervisor is gone, no record is added any more.
        over = self._is_over
        records = self._journal.read_new(None if over else self._through)
        for record in records:
            self._seen = record.seq
            self._note_ending(record.event)
        self._drained = over and not records
        if records or self._drained:
            self.wake()  # there may be more records, and the caller has to check `closed`
        return records

    def _note_ending(self, event: ev.Event) -> None:
        if isinstance(event, _NOT_ENDING):
            self._ending_since = None
        elif self._ending_since is not None or isinstance(event, ev.RunFinished):
            self._ending_since = time.monotonic()

    def send(self, decision: Decision) -> None:
        if isinstance(decision, decisions.Cancel):
            self._ending_since = time.monotonic()
        self._outbox.append(protocol.encode(decision))
        self.wake()

    def wake(self) -> None:
        self._wakeup.wake()

    def detach(self, reason: str = "", *, lost: bool = False) -> None:
        """Send queued decisions and the operator's departure, and disconnect.

        `lost`: the operator did not ask to leave.
        """
        leave = decisions.Detach(reason=reason, lost=lost)
        with suppress(OSError):
            self._socket.setblocking(True)
            self._socket.settimeout(_FAREWELL_TIMEOUT)
            for line in (*self._outbox, protocol.encode(leave)):
                self._socket.sendall(line)
        self.close()

    def close(self) -> None:
        """Disconnect without a message."""
        self._selector.close()
        self._socket.close()
        self._wakeup.close()
        self._journal.close()

    def describe_loss(self) -> str:
        """Return what became of a supervisor that has not sent the end of the run."""
        if self.is_overdue:
            return (
                f"the run's supervisor (process {self._pid}) does not end: it was waited for "
                f"{END_TIMEOUT:.0f} s. To end it: kill -9 {self._pid}"
            )
        return "the run's supervisor is gone: it was killed, or it crashed"

    @property
    def _is_over(self) -> bool:
        return (
            self.ended
            or self.disconnected
            or bool(self.failure or self.taken_over_by or self.refused)
        )

    def _read_welcome(self) -> Operator:
        deadline = time.monotonic() + _WELCOME_TIMEOUT
        while time.monotonic() < deadline:
            self._socket.settimeout(max(0.01, deadline - time.monotonic()))
            messages = self._read_messages()
            for message in messages:
                self._handle(message)
            match messages:
                case [Welcome(operator=operator), *_]:
                    return operator
                case [Refused(why=why), *_]:
                    raise RefusedAttachError(why)
            if self.disconnected:
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
            self._outbox.clear()  # `_receive_messages` finds the reason

    def _receive_messages(self) -> None:
        for message in self._read_messages() if not self._is_over else ():
            self._handle(message)

    def _handle(self, message: ServerMessage) -> None:
        match message:
            case JournalAdvanced(through=through):
                self._through = through
            case TakenOver(by=by):
                self.taken_over_by = by
            case SupervisorFailed():
                self.failure = message
            case RunEnded():
                self.ended = True
            case Refused(why=why):
                self.refused = why

    def _read_messages(self) -> list[ServerMessage]:
        try:
            data = self._socket.recv(1 << 16)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if not data:
            self.disconnected = True
            with suppress(AttributeError, KeyError, ValueError):
                self._selector.unregister(self._socket)
        return [protocol.decode_server_message(line) for line in self._lines.feed(data)]


def connect(directory: RunDirectory) -> socket.socket:
    """Connect to the run's supervisor.

    If the supervisor lives but its socket was removed, wait: the supervisor creates it again.

    Raises:
        NoSupervisorError: there is no supervisor, or its socket did not come back in time, or the
            link in the run's folder leads elsewhere.
    """
    deadline = time.monotonic() + _CONNECT_TIMEOUT
    while True:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(str(supervisor_socket(directory.socket)))
        except OSError as error:
            connection.close()
            if time.monotonic() < deadline and _has_writer(directory.journal):
                time.sleep(0.05)
                continue
            raise NoSupervisorError(
                f"{directory.id}: can't connect to the run's supervisor: {error.strerror or error}"
            ) from error
        return connection


def _has_writer(path: Path) -> bool:
    try:
        return writer.is_locked(path)
    except OSError:
        return False


class JournalClient:
    """A client that only reads the journal, whoever writes it. It needs no supervisor.

    Attributes:
        ended: the journal holds the end of the run.
        is_deleted: somebody deleted the journal before its end.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._journal = JournalFollower(path)
        self._wakeup = WakeupPipe()
        self._lock_checked = time.monotonic()
        self._closed = False
        self.ended = False
        self.is_deleted = False

    def fileno(self) -> int:
        return self._wakeup.fileno()

    @property
    def closed(self) -> bool:
        return self._closed

    def receive(self) -> list[Record]:
        self._wakeup.drain()
        due = time.monotonic() - self._lock_checked >= _LOCK_CHECK_INTERVAL
        # Check first, read second: a writer may add records and exit between the two.
        has_no_writer = (due or self.ended) and not self._has_writer()
        self._lock_checked = time.monotonic() if due else self._lock_checked
        records = self._journal.read_new()
        self.ended = self.ended or any(isinstance(r.event, ev.RunFinished) for r in records)
        self._closed = not records and (has_no_writer or self.ended)
        if records:
            self.wake()
        return records

    def _has_writer(self) -> bool:
        try:
            return writer.is_locked(self._path)
        except FileNotFoundError:
            self.is_deleted = not self.ended
            return False

    def send(self, decision: Decision) -> None:
        """Ignore `decision`: nobody receives it."""

    def wake(self) -> None:
        self._wakeup.wake()

    def close(self) -> None:
        """Stop following the journal."""
        self._wakeup.close()
        self._journal.close()
