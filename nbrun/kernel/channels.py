"""The ZeroMQ channels of one kernel, read by a dedicated thread so that nothing delays iopub."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import zmq

from nbrun.kernel import protocol
from nbrun.kernel.conversation import Conversation
from nbrun.kernel.messages import Sink
from nbrun.system.wakeup import WakeupPipe

_BATCH = 500  # messages of one channel before the others get a turn
_POLL_TIMEOUT = 100  # milliseconds between two checks of the process
_DRAIN_TIMEOUT = 0.15  # seconds without a message after which nothing more comes of a dead kernel
_STUCK_TIMEOUT = 30.0  # seconds without a message after which nobody waits for the thread
_DISCONNECTED_TIMEOUT = 0.005  # the same, when the kernel has closed its sockets


class Channels(Conversation):
    """The channels of a kernel that is ready, taken over from `client`.

    Any thread may call the methods. ZeroMQ sockets belong to one thread, so that messages to send
    wait in an outbox.
    """

    def __init__(
        self,
        client: Any,
        sink: Sink,
        is_alive: Callable[[], bool],
        on_death: Callable[[], None],
        **named: Any,
    ) -> None:
        """Start the thread. It calls `sink` with each message, and the other functions.

        `is_alive` is called while no message comes. `on_death` is called when the process has
        ended unexpectedly, after its last message. `named` are arguments of `Conversation`.
        """
        super().__init__(client.session, sink, **named)
        self._client = client
        self._is_alive = is_alive
        self._on_death = on_death
        self._handlers = {
            client.iopub_channel.socket: self._on_iopub,
            client.shell_channel.socket: self._on_shell,
            client.stdin_channel.socket: self._on_stdin,
        }
        # A monitor reports when the kernel's end of a socket is closed: all messages have been
        # received by then. A process that the kernel forked may hold the socket open; then only
        # _DRAIN_TIMEOUT ends the wait.
        self._monitored = (client.iopub_channel.socket, client.shell_channel.socket)
        self._monitors = [
            socket.get_monitor_socket(zmq.EVENT_DISCONNECTED) for socket in self._monitored
        ]
        self._outbox: deque[tuple[Any, list[bytes]]] = deque()
        self._wakeup = WakeupPipe()
        self._exit_expected = False
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="nbrun-channels", daemon=True)
        self._thread.start()

    # ── for other threads ────────────────────────────────────────────────────────────────────

    def expect_exit(self) -> None:
        """Do not report the end of the process from now on."""
        self._exit_expected = True

    def close(self) -> None:
        """Deliver messages that have arrived, stop the thread, and close the sockets."""
        self._closing = True
        self._wakeup.wake()
        self._join_thread()
        for socket in self._monitored:
            socket.disable_monitor()
        self._client.stop_channels()
        self._wakeup.close()

    def _join_thread(self) -> None:
        """Wait for the thread to deliver what has arrived, as long as it makes progress."""
        began = time.monotonic()
        while self._thread.is_alive():
            self._thread.join(1.0)
            if time.monotonic() - max(began, self._last_message) > _STUCK_TIMEOUT:
                logging.getLogger(__name__).warning("the thread of the channels is stuck")
                return

    def _encoded(self, channel: str, message: dict[str, Any]) -> Callable[[], None]:
        socket = getattr(self._client, f"{channel}_channel").socket
        parts = self._session.serialize(message)

        def send() -> None:
            self._outbox.append((socket, parts))
            self._wakeup.wake()

        return send

    # ── the thread ───────────────────────────────────────────────────────────────────────────

    def _run(self) -> None:
        poller = zmq.Poller()
        for socket in (*self._handlers, self._wakeup.fileno()):
            poller.register(socket, zmq.POLLIN)
        while not self._closing:
            ready = dict(poller.poll(_POLL_TIMEOUT))
            self._process_ready(ready)
            self._notice_missing_reply()
            self._notice_missing_idle()
            if not ready and not self._exit_expected and not self._is_alive():
                self._drain(poller, _DRAIN_TIMEOUT)
                self._on_death()
                self._exit_expected = True
        self._drain(poller, _DRAIN_TIMEOUT / 3)

    def _process_ready(self, ready: dict[Any, int]) -> None:
        if self._wakeup.fileno() in ready:
            self._wakeup.drain()  # before the outbox is read, so that no wake-up is lost
        while self._outbox:
            socket, parts = self._outbox.popleft()
            socket.send_multipart(parts)
        for socket, handle in self._handlers.items():
            if socket in ready:
                self._receive(socket, handle)

    def _drain(self, poller: zmq.Poller, timeout: float) -> None:
        """Deliver messages until none has come for `timeout` seconds, or none can come."""
        self._last_message = time.monotonic()
        while (left := self._last_message + self._within(timeout) - time.monotonic()) > 0:
            self._process_ready(dict(poller.poll(int(left * 1000) + 1)))

    def _within(self, timeout: float) -> float:
        for monitor in self._monitors.copy():
            if monitor.poll(0):
                self._monitors.remove(monitor)
        return timeout if self._monitors else _DISCONNECTED_TIMEOUT

    def _receive(self, socket: Any, handle: Callable[[dict[str, Any]], None]) -> None:
        self._last_message = time.monotonic()
        for _ in range(_BATCH):
            try:
                parts = _received(socket)
            except zmq.Again:
                break
            try:
                message = protocol.unpack(parts, self._client.session.sign)
                del parts  # a message may be of 100 MB: keep no second reference to it
                handle(message)
            except Exception:  # a malformed message must not stop the thread
                logging.getLogger(__name__).warning("a message was not understood", exc_info=True)
        self._progress.set()


def _received(socket: Any) -> list[Any]:
    """Return the parts of the next message.

    A long part stays in ZeroMQ's buffer: of 100 MB that a cell prints at once, there is one copy.
    `recv_multipart` is not used because it asks the socket after each part whether there is more,
    which takes as long as receiving.

    Raises:
        zmq.Again: no message has come.
    """
    parts, more = [], True
    while more:
        frame = socket.recv(zmq.NOBLOCK, copy=False)
        parts.append(frame if len(frame) > protocol.LONG else frame.bytes)
        more = frame.more
    return parts
