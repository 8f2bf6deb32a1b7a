"""The supervisor's side of a run's socket: who is let in, who operates, decisions in, news out."""

import os
import selectors
import socket
import time
from collections.abc import Sequence
from contextlib import suppress

from nbrun.core import decisions
from nbrun.core import events as ev
from nbrun.core.events import Record
from nbrun.core.model import Operator
from nbrun.engine.engine import Inbox, Ordered
from nbrun.errors import NbrunError
from nbrun.supervisor import protocol
from nbrun.supervisor.listener import Listener
from nbrun.supervisor.protocol import (
    Ended,
    Failed,
    News,
    Purpose,
    Refused,
    Said,
    TakenOver,
    Welcome,
)
from nbrun.system import peer_credentials, provenance

_LOOK = 2.0  # seconds between two looks at whether the socket is still there
# Consoles are told news twenty times a second, since each time wakes all of them; and so often in
# one go without waiting, when there was little to tell before.
_NEWS = 0.05
_BURST = 8
_ON_THE_WAY = 5.0  # seconds that whoever ordered a run that failed at once may take to ask why
_GOODBYE = 2.0  # seconds that the last news may take to a console that is slow


class _Connection:
    """One console. `purpose` is None until it has said what it comes for; `told`: how far it was
    told the journal goes; `left`: it said goodbye; `refused`: nothing of it counts any more;
    `is_guest`: it is another user's, of the group that the run is shared with."""

    def __init__(self, connection: socket.socket, operator: Operator) -> None:
        self.socket = connection
        self.operator = operator
        self.purpose: Purpose | None = None
        self.outgoing = bytearray()
        self.told = -1
        self.left = False
        self.refused = False
        self.is_guest = False
        self._lines = protocol.Lines()

    def read(self) -> list[bytes]:
        """The lines that have come. Raises OSError, ValueError when it is to be dropped."""
        try:
            data = self.socket.recv(1 << 16)
        except BlockingIOError:
            return []
        if not data:
            raise ConnectionResetError("closed")
        return self._lines.feed(data)


def _occupied(there: _Connection) -> str:
    who = there.operator
    return (
        f"{who.name} (uid {who.uid}, {who.via}) is attached to this run: take it over with "
        "--take-over, or look on with nbrun watch"
    )


class Server:
    """One thread calls `serve`; `publish`, `end` and `fail` may be called from any other."""

    def __init__(self, listener: Listener, inbox: Inbox) -> None:
        self._listener = listener
        self._inbox = inbox
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._connections: set[_Connection] = set()
        self._operator: _Connection | None = None
        self._was_visited = False
        self._through = -1
        self._paid_till = 0.0
        self._next_look = 0.0
        self._has_news = False
        self._last_word: Said | None = None

    # ── for the engine's thread ──────────────────────────────────────────────────────────────

    def publish(self, records: Sequence[Record]) -> None:
        """The journal has `records`. Never waits for a console."""
        self._through = records[-1].seq
        if not self._has_news:  # else the thread is on its way to tell of it
            self._has_news = True
            self.wake()

    def end(self) -> None:
        """The run has ended."""
        self._last_word = Ended()
        self.wake()

    def fail(self, error: BaseException) -> None:
        """What ended the engine before the run's end."""
        code = error.exit_code if isinstance(error, NbrunError) else 1
        self._last_word = Failed(why=str(error) or repr(error), exit_code=int(code))
        self.wake()

    def wake(self) -> None:
        """Safe in a signal handler."""
        with suppress(BlockingIOError):
            os.write(self._wake_write, b"\0")

    # ── the thread ───────────────────────────────────────────────────────────────────────────

    def serve(self) -> None:
        """Let consoles in and out, until the run has ended and those who are there know it."""
        self._selector.register(self._wake_read, selectors.EVENT_READ, self._woken)
        self._selector.register(self._listener.socket, selectors.EVENT_READ, self._accept)
        while self._last_word is None:
            self._turn(self._until_news())
            if self._has_news and not self._until_news():
                self._tell_all()
            if time.monotonic() >= self._next_look:
                self._next_look = time.monotonic() + _LOOK
                if self._listener.is_lost():
                    self._move()
        self._await_the_first(self._last_word)
        self._say_goodbye(self._last_word)

    def _await_the_first(self, last_word: Said) -> None:
        """Why a run failed may stand in no record, and who ordered it may not be there yet."""
        deadline = time.monotonic() + _ON_THE_WAY
        while isinstance(last_word, Failed) and not self._was_visited:
            if time.monotonic() > deadline:
                return
            self._turn(0.1)

    def _turn(self, timeout: float) -> None:
        for key, ready in self._selector.select(timeout):
            if isinstance(key.data, _Connection):
                self._attend(key.data, ready)
            else:
                key.data()

    def _woken(self) -> None:
        with suppress(BlockingIOError):
            while os.read(self._wake_read, 4096):
                pass

    def _until_news(self) -> float:
        """Seconds until there is something to do."""
        due = self._paid_till - _BURST * _NEWS
        return max(0.0, due - time.monotonic()) if self._has_news else _LOOK

    def _tell_all(self) -> None:
        self._paid_till = max(self._paid_till, time.monotonic()) + _NEWS
        self._has_news = False  # before it is looked how far the journal goes
        for connection in list(self._connections):
            self._tell_news(connection)

    def _tell_news(self, connection: _Connection) -> None:
        """One that is slow is told the newest when it has taken what it was told before."""
        behind = connection.told < self._through
        if connection.purpose is not None and behind and not connection.outgoing:
            connection.told = self._through
            self._say(connection, News(through=self._through))

    def _move(self) -> None:
        self._selector.unregister(self._listener.socket)
        self._listener.move()
        self._selector.register(self._listener.socket, selectors.EVENT_READ, self._accept)

    def _accept(self) -> None:
        try:
            accepted, _ = self._listener.socket.accept()
            peer = peer_credentials.peer_of(accepted)
        except OSError:  # it went away again
            return
        accepted.setblocking(False)
        connection = _Connection(accepted, peer_credentials.operator(peer))
        self._connections.add(connection)
        self._selector.register(accepted, selectors.EVENT_READ, connection)
        connection.is_guest = peer.uid not in (os.getuid(), 0)
        if connection.is_guest and self._listener.gid is None:
            owner = provenance.account(os.getuid())
            you = connection.operator.name
            self._turn_away(connection, f"this run is {owner}'s, and you are {you}")
            self._drop(connection)

    # ── one connection ───────────────────────────────────────────────────────────────────────

    def _attend(self, connection: _Connection, ready: int) -> None:
        try:
            if ready & selectors.EVENT_WRITE:
                self._flush(connection)
                self._tell_news(connection)
            if ready & selectors.EVENT_READ and connection in self._connections:
                for line in connection.read():
                    self._hear(connection, line)
        except (OSError, ValueError):  # it is gone, or speaks another language
            self._drop(connection)

    def _hear(self, connection: _Connection, line: bytes) -> None:
        if connection.refused:
            return
        if connection.purpose is None:
            self._let_in(connection, protocol.hello(line).purpose)
            return
        decision = protocol.decision(line)
        if connection.is_guest and not isinstance(
            decision, decisions.Approve | decisions.Reject | decisions.Detach
        ):
            self._turn_away(connection, "you may look on and approve, and no more")
            return
        connection.left = isinstance(decision, decisions.Detach)
        if not connection.left or connection is self._operator:
            self._inbox.put(Ordered(decision, connection.operator))

    def _let_in(self, connection: _Connection, purpose: Purpose) -> None:
        there = self._operator
        if connection.is_guest and purpose != "follow":
            self._turn_away(connection, "only its own user can operate this run: see nbrun watch")
            return
        if purpose == "operate" and there is not None:
            self._turn_away(connection, _occupied(there))
            return
        connection.purpose = purpose
        self._was_visited = True
        self._say(connection, Welcome(operator=connection.operator))
        self._tell_news(connection)
        if purpose == "follow":
            return
        if there is not None:
            self._send_away(there, connection.operator)
        self._operator = connection
        self._inbox.put(ev.OperatorAttached(operator=connection.operator))

    def _send_away(self, connection: _Connection, by: Operator) -> None:
        why = f"{by.name} ({by.via}) took over"
        self._inbox.put(ev.OperatorDetached(operator=connection.operator, why=why))
        self._operator = None
        self._say(connection, TakenOver(by=by))
        connection.refused = True

    def _turn_away(self, connection: _Connection, why: str) -> None:
        connection.refused = True
        self._say(connection, Refused(why=why))

    def _say(self, connection: _Connection, message: Said) -> None:
        connection.outgoing += protocol.encoded(message)
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
        if connection is self._operator:
            self._operator = None
            if not connection.left:
                why = "the terminal was lost"
                self._inbox.put(ev.OperatorDetached(operator=connection.operator, why=why))

    # ── the end ──────────────────────────────────────────────────────────────────────────────

    def _say_goodbye(self, last_word: Said) -> None:
        self._selector.unregister(self._listener.socket)
        self._listener.close()
        for connection in list(self._connections):
            if connection.purpose is not None:
                connection.outgoing += protocol.encoded(News(through=self._through))
                self._say(connection, last_word)
        deadline = time.monotonic() + _GOODBYE
        while any(each.outgoing for each in self._connections) and time.monotonic() < deadline:
            self._turn(0.1)
        for connection in list(self._connections):
            self._drop(connection)
        self._selector.close()
