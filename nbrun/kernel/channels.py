"""The channels to one kernel, on a thread that only reads and sends: nothing holds up iopub."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import zmq

from nbrun.kernel import protocol
from nbrun.kernel.messages import Sink
from nbrun.system.wakeup import WakeupPipe

_BATCH = 500  # messages of one channel before the others get a turn
_LOOK = 100  # milliseconds between two looks at the process
_NO_REPLY = {
    "status": "error",
    "ename": "KeyboardInterrupt",
    "evalue": "the kernel sent no reply after the interrupt",
}
_QUIET = 0.15  # seconds without a message after which a dead kernel has said everything
_HUNG_UP = 0.005  # the same where it has closed its sockets: what it said is here, or nearly


class Channels:
    """Takes over the sockets of a client that is ready. Its methods may be called from any
    thread; ZeroMQ's sockets may not, so that what is to be sent waits in an outbox.
    """

    def __init__(
        self, client: Any, sink: Sink, is_alive: Callable[[], bool], on_death: Callable[[], None]
    ) -> None:
        """`on_death` is called, from the thread, when the process has ended unexpectedly and all
        that it said has been delivered."""
        self._client = client
        self._sink = sink
        self._is_alive = is_alive
        self._on_death = on_death
        self._handlers = {
            client.iopub_channel.socket: self._on_iopub,
            client.shell_channel.socket: self._on_shell,
            client.stdin_channel.socket: self._on_stdin,
        }
        # Each tells when the kernel's end of a socket is gone: what was said before has been read
        # by then. A process that the kernel forked may hold it open; then silence has to do.
        self._watched = (client.iopub_channel.socket, client.shell_channel.socket)
        self._monitors = [
            socket.get_monitor_socket(zmq.EVENT_DISCONNECTED) for socket in self._watched
        ]
        self._outbox: deque[tuple[Any, list[bytes]]] = deque()
        self._wakeup = WakeupPipe()
        self._replies: dict[str, dict[str, Any]] = {}
        self._idle: set[str] = set()
        self._own: dict[str, Callable[[dict[str, Any]], None]] = {}
        self._current: str | None = None
        self._began = False
        self._last_message = 0.0
        self._end_expected = False
        self._closing = False
        self._progress = threading.Event()
        self._thread = threading.Thread(target=self._run, name="nbrun-channels", daemon=True)
        self._thread.start()

    # ── for other threads ────────────────────────────────────────────────────────────────────

    def send(self, source: str, *, allow_stdin: bool) -> str:
        """Ask for `source` to be run; the id of the request, which its messages carry."""
        content = _execute_request(source, {}, allow_stdin=allow_stdin)
        return self._post(self._client.shell_channel.socket, "execute_request", content)

    def send_own(
        self,
        source: str,
        user_expressions: dict[str, str] | None = None,
        done: Callable[[dict[str, Any]], None] = lambda _content: None,
    ) -> str:
        """A silent request of nbrun's own; nothing of it goes to the sink. `done` gets the content
        of the reply, on the thread."""
        content = _execute_request(source, user_expressions or {}, allow_stdin=False)
        content["silent"] = True
        return self._post(
            self._client.shell_channel.socket, "execute_request", content, own_done=done
        )

    def answer(self, text: str) -> None:
        """The line that the kernel asked for."""
        self._post(self._client.stdin_channel.socket, "input_reply", {"value": text})

    @property
    def at_work(self) -> bool:
        """A request that was sent, or one of nbrun's own, has not been answered."""
        return self._current is not None or bool(self._own)

    @property
    def quiet(self) -> float:
        """Seconds since something was said by the kernel or asked of it."""
        return time.monotonic() - self._last_message

    @property
    def busy(self) -> bool:
        """A request that was sent has not been answered."""
        return self._current is not None

    def is_pending(self, own_request: str) -> bool:
        return own_request in self._own

    def wait_a_little(self) -> None:
        """Until something has come, or a moment has passed."""
        self._progress.wait(0.02)
        self._progress.clear()

    def miss_no_reply(self) -> None:
        """After an interrupt: one that meets the very end of a cell costs ipykernel the reply. What
        is asked next is answered next, so an answer to that says that the reply is lost."""
        request = self._current
        if request is not None:
            self.send_own("", done=lambda _content: self._missed(request))

    def ask_to_interrupt(self) -> None:
        """By a message, which a kernel reads while it is at work."""
        self._post(self._client.control_channel.socket, "interrupt_request", {})

    def heard_before(self) -> None:
        """What the kernel says is of a step, even before the first request from here."""
        self._began = True

    def expect_end(self) -> None:
        """From here on the end of the process is no news."""
        self._end_expected = True

    def close(self) -> None:
        """Deliver what has come, and let go of the sockets."""
        self._closing = True
        self._wakeup.wake()
        self._thread.join()
        for socket in self._watched:
            socket.disable_monitor()
        self._client.stop_channels()
        self._wakeup.close()

    def _post(
        self,
        socket: Any,
        kind: str,
        content: dict[str, Any],
        *,
        own_done: Callable[[dict[str, Any]], None] | None = None,
    ) -> str:
        message = self._client.session.msg(kind, content)
        parts = self._client.session.serialize(message)  # what can't be sent is refused here
        request = str(message["header"]["msg_id"])
        self._last_message = time.monotonic()
        if own_done is not None:
            self._own[request] = own_done
        else:
            self._current = request if kind == "execute_request" else self._current
        self._outbox.append((socket, parts))
        self._wakeup.wake()
        return request

    # ── the thread ───────────────────────────────────────────────────────────────────────────

    def _run(self) -> None:
        poller = zmq.Poller()
        for socket in (*self._handlers, self._wakeup.fileno()):
            poller.register(socket, zmq.POLLIN)
        while not self._closing:
            ready = dict(poller.poll(_LOOK))
            self._turn(ready)
            if not ready and not self._end_expected and not self._is_alive():
                self._drain(poller, _QUIET)
                self._on_death()
                self._end_expected = True
        self._drain(poller, _QUIET / 3)

    def _turn(self, ready: dict[Any, int]) -> None:
        if self._wakeup.fileno() in ready:
            self._wakeup.drain()  # before the outbox is read, so that no wake-up is lost
        while self._outbox:
            socket, parts = self._outbox.popleft()
            socket.send_multipart(parts)
        for socket, handle in self._handlers.items():
            if socket in ready:
                self._read(socket, handle)

    def _drain(self, poller: zmq.Poller, quiet: float) -> None:
        """Deliver until nothing has come for `quiet` seconds, less where nothing more can."""
        self._last_message = time.monotonic()
        while (left := self._last_message + self._patience(quiet) - time.monotonic()) > 0:
            self._turn(dict(poller.poll(int(left * 1000) + 1)))

    def _patience(self, quiet: float) -> float:
        for monitor in self._monitors.copy():
            if monitor.poll(0):
                self._monitors.remove(monitor)
        return quiet if self._monitors else _HUNG_UP

    def _read(self, socket: Any, handle: Callable[[dict[str, Any]], None]) -> None:
        self._last_message = time.monotonic()
        for _ in range(_BATCH):
            try:
                parts = _received(socket)
            except zmq.Again:
                break
            try:
                message = protocol.unpack(parts, self._client.session.sign)
                del parts  # of what a cell prints at once, nothing is kept that is not used
                handle(message)
            except Exception:  # whatever a kernel sends, those after it are read
                logging.getLogger(__name__).warning("a message was not understood", exc_info=True)
        self._progress.set()

    def _on_iopub(self, message: dict[str, Any]) -> None:
        request, content = protocol.parent(message), message["content"]
        self._began = self._began or request == self._current
        if message["msg_type"] == "status":
            if content.get("execution_state") == "idle" and self._is_waited_for(request):
                self._idle.add(request)
                self._deliver(request)
            return
        said = protocol.as_message(request, message["msg_type"], content)
        if said is None or request in self._own:
            return
        if self._began or request:
            self._sink(said)
        else:  # what a kernel says of its own start is no output of a step
            logging.getLogger(__name__).warning("the kernel said before any step: %r", said)

    def _on_shell(self, message: dict[str, Any]) -> None:
        request = protocol.parent(message)
        if message["msg_type"] != "execute_reply":
            return
        if self._is_waited_for(request):
            self._replies[request] = message["content"]
            self._deliver(request)

    def _is_waited_for(self, request: str) -> bool:
        return request == self._current or request in self._own

    def _deliver(self, request: str) -> None:
        """A reply counts when iopub has said `idle` for it: all that came before is there then."""
        if request not in self._idle or request not in self._replies:
            return
        self._idle.discard(request)
        content = self._replies.pop(request)
        if request in self._own:
            self._own.pop(request)(content)
        else:
            self._current = None
            self._sink(protocol.replied(request, content))

    def _missed(self, request: str) -> None:
        if request != self._current:
            return
        self._current = None
        self._idle.discard(request)
        content = self._replies.pop(request, _NO_REPLY)
        self._sink(protocol.replied(request, content))

    def _on_stdin(self, message: dict[str, Any]) -> None:
        if message["msg_type"] == "input_request":
            self._sink(protocol.input_wanted(protocol.parent(message), message["content"]))


def _received(socket: Any) -> list[Any]:
    """The parts of the next message. A long one stays where ZeroMQ has it: of 100 MB that a cell
    prints at once, there is one copy. Raises zmq.Again when none has come.

    `recv_multipart` asks the socket after each part whether there is more, which takes as long.
    """
    parts, more = [], True
    while more:
        frame = socket.recv(zmq.NOBLOCK, copy=False)
        parts.append(frame if len(frame) > protocol.LONG else frame.bytes)
        more = frame.more
    return parts


def _execute_request(
    source: str, user_expressions: dict[str, str], *, allow_stdin: bool
) -> dict[str, Any]:
    """The content of an execute_request ("Messaging in Jupyter").

    Requests go one at a time: there is no queue that an error could abort.
    """
    return {
        "code": source,
        "silent": False,
        "store_history": True,
        "user_expressions": user_expressions,
        "allow_stdin": allow_stdin,
        "stop_on_error": False,
    }
