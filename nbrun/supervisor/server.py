"""The server on a run's socket: it admits consoles, notifies them, and forwards their decisions."""

import errno
import os
import selectors
import socket
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress

import msgspec

from nbrun.core import decisions
from nbrun.core import events as ev
from nbrun.core.decisions import Decision
from nbrun.core.events import Record
from nbrun.core.model import Operator
from nbrun.engine.engine import Inbox, SubmittedDecision
from nbrun.errors import NbrunError
from nbrun.supervisor import protocol
from nbrun.supervisor.admission import Admission
from nbrun.supervisor.listener import Listener
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
from nbrun.system.peer_credentials import Peer
from nbrun.system.wakeup import WakeupPipe

_SOCKET_CHECK_INTERVAL = 2.0  # seconds between two checks of whether the socket still exists
# Consoles are notified at most twenty times a second, since each notification wakes all of them.
# After a quiet time, a burst of notifications goes out without waiting.
_NOTIFY_INTERVAL = 0.05
_NOTIFY_BURST = 8
_FIRST_CONSOLE_TIMEOUT = 5.0  # seconds for `nbrun` to connect to a run that failed at once
_HELLO_TIMEOUT = 10.0  # seconds for a console to send `Hello`
_LEAVE_TIMEOUT = 10.0  # seconds for a displaced console to leave
_ACCEPT_PAUSE = 1.0  # seconds without new connections after the system ran out of descriptors
_OUT_OF_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_FAREWELL_TIMEOUT = 2.0  # seconds for slow consoles to receive the last messages


class _Connection:
    """One connected console.

    Attributes:
        purpose: None until the console has sent `Hello`.
        notified_through: number of the last record that the console was notified of.
        has_detached: the console announced its departure.
        is_ignored: the console was refused or displaced; its messages are ignored.
        deadline: when the console is dropped, by the monotonic clock; None if it may stay.
    """

    def __init__(self, connection: socket.socket, operator: Operator) -> None:
        self.socket = connection
        self.operator = operator
        self.purpose: Purpose | None = None
        self.outgoing = bytearray()
        self.notified_through = -1
        self.has_detached = False
        self.is_ignored = False
        self.deadline: float | None = time.monotonic() + _HELLO_TIMEOUT
        self._lines = protocol.LineBuffer(protocol.MAX_FOLLOWER_MESSAGE)

    def admit(self, purpose: Purpose) -> None:
        """Let the console stay."""
        self.purpose, self.deadline = purpose, None
        if purpose != "follow" and self.operator.uid in (os.getuid(), 0):
            self._lines.limit = protocol.MAX_MESSAGE
        if purpose == "decide":
            self.operator = msgspec.structs.replace(self.operator, channel="program")

    def read(self) -> list[bytes]:
        """Return the lines that have arrived.

        Raises:
            OSError: the console has disconnected.
            ValueError: the console does not follow the protocol.
        """
        try:
            data = self.socket.recv(1 << 16)
        except BlockingIOError:
            return []
        if not data:
            raise ConnectionResetError("closed")
        return self._lines.feed(data)


def _send_refusal(connection: socket.socket, why: str) -> None:
    """Send a peer that was not admitted the reason, if it reads that at once, and disconnect."""
    with connection, suppress(OSError):
        connection.send(protocol.encode(Refused(why=why)))


def _already_operated(by: Operator) -> str:
    return (
        f"{by.name} (uid {by.uid}, {by.via}) is attached to this run: take it over with "
        "--take-over, or follow it with nbrun watch"
    )


class Server:
    """One thread calls `serve`. Any thread may call `publish`, `end` and `fail`.

    `run` is the id of the run, and `kernels` are those that it has had so far.
    """

    def __init__(
        self,
        listener: Listener,
        inbox: Inbox,
        run: str,
        kernels: Iterable[ev.KernelProcess] = (),
    ) -> None:
        self._listener = listener
        self._inbox = inbox
        self._run = run
        self._admission = Admission(kernels, is_shared=listener.gid is not None)
        self._accept_again_at: float | None = None
        self._selector = selectors.DefaultSelector()
        self._wakeup = WakeupPipe()
        self._connections: set[_Connection] = set()
        self._operating: _Connection | None = None
        self._has_admitted = False
        self._through = -1
        self._notify_budget_used_until = 0.0
        self._next_socket_check = 0.0
        self._must_notify = False
        self._final_message: RunEnded | SupervisorFailed | None = None

    # ── called by the engine's thread ────────────────────────────────────────────────────────

    def publish(self, records: Sequence[Record]) -> None:
        """Notify consoles that the journal holds `records`. Never waits for a console."""
        for record in records:
            self._admission.note(record)
        self._through = records[-1].seq
        if not self._must_notify:  # otherwise the serving thread is awake already
            self._must_notify = True
            self.wake()

    def end(self) -> None:
        """Tell consoles that the run has ended, and stop serving."""
        self._final_message = RunEnded()
        self.wake()

    def fail(self, error: BaseException) -> None:
        """Tell consoles what ended the engine before the run's end, and stop serving."""
        code = error.exit_code if isinstance(error, NbrunError) else 1
        why = str(error) or repr(error)
        self._final_message = SupervisorFailed(why=why, exit_code=int(code))
        self.wake()

    def wake(self) -> None:
        """Wake the serving thread. Safe in a signal handler."""
        self._wakeup.wake()

    # ── the serving thread ───────────────────────────────────────────────────────────────────

    def serve(self) -> None:
        """Serve consoles until the run has ended and the connected consoles know it."""
        self._selector.register(self._wakeup, selectors.EVENT_READ, self._wakeup.drain)
        self._start_accepting()
        while self._final_message is None:
            self._poll(self._seconds_until_due())
            if self._must_notify and not self._seconds_until_due():
                self._notify_all()
            if time.monotonic() >= self._next_socket_check:
                self._next_socket_check = time.monotonic() + _SOCKET_CHECK_INTERVAL
                self._check_socket()
            self._drop_overdue()
        self._wait_for_first_console(self._final_message)
        self._shut_down(self._final_message)

    def _wait_for_first_console(self, final: ServerMessage) -> None:
        """Wait for `nbrun` to connect to a run that failed at once.

        The journal may not hold the reason of the failure, so the message is the only way to it.
        """
        deadline = time.monotonic() + _FIRST_CONSOLE_TIMEOUT
        while isinstance(final, SupervisorFailed) and not self._has_admitted:
            if time.monotonic() > deadline:
                return
            self._poll(0.1)

    def _poll(self, timeout: float) -> None:
        for key, ready in self._selector.select(timeout):
            if isinstance(key.data, _Connection):
                self._handle_ready(key.data, ready)
            else:
                key.data()

    def _seconds_until_due(self) -> float:
        due = self._notify_budget_used_until - _NOTIFY_BURST * _NOTIFY_INTERVAL
        return max(0.0, due - time.monotonic()) if self._must_notify else _SOCKET_CHECK_INTERVAL

    def _notify_all(self) -> None:
        used_until = max(self._notify_budget_used_until, time.monotonic())
        self._notify_budget_used_until = used_until + _NOTIFY_INTERVAL
        # Reset before reading how far the journal goes: a record published in between sets it anew.
        self._must_notify = False
        for connection in list(self._connections):
            self._notify(connection)

    def _notify(self, connection: _Connection) -> None:
        """Notify one console. A slow one gets the newest number once it has read the last one."""
        is_behind = connection.notified_through < self._through
        if connection.purpose is not None and is_behind and not connection.outgoing:
            connection.notified_through = self._through
            self._send(connection, JournalAdvanced(through=self._through))

    def _check_socket(self) -> None:
        """Create the socket again if its file is gone, and end a pause of accepting."""
        if self._listener.is_removed():
            self._stop_accepting()
            self._listener.relocate()
            self._start_accepting()
        elif self._accept_again_at is not None and time.monotonic() >= self._accept_again_at:
            self._start_accepting()

    def _start_accepting(self) -> None:
        self._accept_again_at = None
        self._selector.register(self._listener.socket, selectors.EVENT_READ, self._accept)

    def _stop_accepting(self) -> None:
        with suppress(KeyError):  # it has stopped already
            self._selector.unregister(self._listener.socket)

    def _drop_overdue(self) -> None:
        now = time.monotonic()
        for connection in list(self._connections):
            if connection.deadline is not None and now >= connection.deadline:
                self._drop(connection)

    def _accept(self) -> None:
        try:
            accepted, _ = self._listener.socket.accept()
        except OSError as error:
            if error.errno in _OUT_OF_RESOURCES:  # it would fail again at once, and without end
                self._stop_accepting()
                self._accept_again_at = time.monotonic() + _ACCEPT_PAUSE
            return  # else the console has disconnected already
        try:
            peer = peer_credentials.peer_of(accepted)
        except OSError:  # as above
            accepted.close()
            return
        accepted.setblocking(False)
        why = self._refusal(peer)
        if why is not None:
            _send_refusal(accepted, why)
            return
        connection = _Connection(accepted, peer_credentials.operator(peer))
        self._connections.add(connection)
        self._selector.register(accepted, selectors.EVENT_READ, connection)

    def _refusal(self, peer: Peer) -> str | None:
        """Return why the peer is refused, and record that if it matters; None if it is not."""
        count = sum(each.operator.uid == peer.uid for each in self._connections)
        why = self._admission.stranger_refusal(peer, count) or self._admission.process_refusal(peer)
        event = self._admission.connection_refused(peer, why) if why is not None else None
        if event is not None:
            self._inbox.put(event)
        return why

    # ── one connection ───────────────────────────────────────────────────────────────────────

    def _handle_ready(self, connection: _Connection, ready: int) -> None:
        try:
            if ready & selectors.EVENT_WRITE:
                self._flush(connection)
                self._notify(connection)
            if ready & selectors.EVENT_READ and connection in self._connections:
                for line in connection.read():
                    self._handle_line(connection, line)
        except (OSError, ValueError):  # disconnected, or not our protocol
            self._drop(connection)

    def _handle_line(self, connection: _Connection, line: bytes) -> None:
        if connection.is_ignored:
            return
        if connection.purpose is None:
            self._admit(connection, protocol.decode_hello(line))
            return
        decision = protocol.decode_decision(line)
        if connection is not self._operating and self._turns_away(connection, decision):
            return
        connection.has_detached = isinstance(decision, decisions.Detach)
        if not connection.has_detached or connection is self._operating:
            self._inbox.put(SubmittedDecision(decision, connection.operator))

    def _turns_away(self, connection: _Connection, decision: Decision) -> bool:
        """Refuse a decision that this console, which does not operate the run, may not make."""
        operator = connection.operator
        why = self._admission.decision_refusal(decision, operator)
        if why is not None:
            event = self._admission.decision_refused(operator, decision, why)
            if event is not None:
                self._inbox.put(event)
        else:
            why = self._admission.haste_refusal(decision, operator)
        if why is not None:
            self._refuse(connection, why)
        return why is not None

    def _admit(self, connection: _Connection, hello: Hello) -> None:
        operating, purpose = self._operating, hello.purpose
        if hello.run not in ("", self._run):
            self._refuse(connection, f"this is the supervisor of {self._run}, not of {hello.run}")
            return
        takes_console = purpose in ("operate", "take_over")
        if takes_console and not self._admission.may_operate(connection.operator.uid):
            self._refuse(connection, "only whoever operates this run can attach: see nbrun watch")
            return
        if purpose == "operate" and operating is not None:
            self._refuse(connection, _already_operated(operating.operator))
            return
        connection.admit(purpose)
        self._has_admitted = True
        self._send(connection, Welcome(operator=connection.operator))
        self._notify(connection)
        if not takes_console:
            return
        if operating is not None:
            self._displace(operating, connection.operator)
        self._operating = connection
        self._inbox.put(ev.OperatorAttached(operator=connection.operator))

    def _displace(self, connection: _Connection, by: Operator) -> None:
        why = f"{by.name} ({by.via}) took over"
        self._inbox.put(ev.OperatorDetached(operator=connection.operator, why=why))
        self._operating = None
        self._send(connection, TakenOver(by=by))
        connection.is_ignored = True
        connection.deadline = time.monotonic() + _LEAVE_TIMEOUT

    def _refuse(self, connection: _Connection, why: str) -> None:
        """Send the reason and disconnect. The console can still read it."""
        connection.is_ignored = True
        self._send(connection, Refused(why=why))
        self._drop(connection)

    def _send(self, connection: _Connection, message: ServerMessage) -> None:
        connection.outgoing += protocol.encode(message)
        if connection not in self._connections:
            return
        try:
            self._flush(connection)
        except OSError:
            self._drop(connection)

    def _flush(self, connection: _Connection) -> None:
        with suppress(BlockingIOError):
            while connection.outgoing:
                sent = connection.socket.send(connection.outgoing)
                del connection.outgoing[:sent]
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if connection.outgoing else 0)
        self._selector.modify(connection.socket, wanted, connection)

    def _drop(self, connection: _Connection) -> None:
        if connection not in self._connections:
            return
        self._connections.discard(connection)
        self._selector.unregister(connection.socket)
        connection.socket.close()
        if connection is self._operating:
            self._operating = None
            if not connection.has_detached:
                self._inbox.put(
                    ev.OperatorDetached(
                        operator=connection.operator, why="the terminal was lost", lost=True
                    )
                )

    # ── the end ──────────────────────────────────────────────────────────────────────────────

    def _shut_down(self, final: ServerMessage) -> None:
        self._stop_accepting()
        self._listener.close()
        for connection in list(self._connections):
            if connection.purpose is not None:
                connection.outgoing += protocol.encode(JournalAdvanced(through=self._through))
                self._send(connection, final)
        deadline = time.monotonic() + _FAREWELL_TIMEOUT
        while any(each.outgoing for each in self._connections) and time.monotonic() < deadline:
            self._poll(0.1)
        for connection in list(self._connections):
            self._drop(connection)
        self._selector.close()
