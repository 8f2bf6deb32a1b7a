"""The ZeroMQ channels of one kernel, read by a dedicated thread so that nothing delays iopub."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import zmq

from nbrun.kernel import protocol
from nbrun.kernel.kinds.kind import Interview, KernelKind, ShellLostError
from nbrun.kernel.messages import Sink
from nbrun.kernel.widget_outputs import WidgetOutputs
from nbrun.system.wakeup import WakeupPipe

_BATCH = 500  # messages of one channel before the others get a turn
_POLL_TIMEOUT = 100  # milliseconds between two checks of the process
_LOST_REPLY = {
    "status": "error",
    "ename": "KeyboardInterrupt",
    "evalue": "the kernel sent no reply after the interrupt",
}
_NO_REPLY = {
    "status": "error",
    "ename": "NoReply",
    "evalue": "the kernel finished without a reply: it failed, or the cell's code is incomplete",
}
_REPLY_TIMEOUT = 1.0  # seconds after `idle` until a kernel is asked what became of a reply
_DRAIN_TIMEOUT = 0.15  # seconds without a message after which nothing more comes of a dead kernel
_STUCK_TIMEOUT = 30.0  # seconds without a message after which nobody waits for the thread
_DISCONNECTED_TIMEOUT = 0.005  # the same, when the kernel has closed its sockets

_PLAIN = KernelKind()

OnReply = Callable[[dict[str, Any]], None]  # receives the content of a reply, on the thread


class Channels:
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
        *,
        kind: KernelKind = _PLAIN,
        on_shell_lost: Callable[[str], None] = lambda _why: None,
    ) -> None:
        """Start the thread. It calls `sink` with each message, and the other functions.

        `is_alive` is called while no message comes. `on_death` is called when the process has
        ended unexpectedly, after its last message. `kind` completes each reply. `on_shell_lost` is
        called with the reason in place of a reply after which the kernel is of no use.
        """
        self._client = client
        self._sink = sink
        self._is_alive = is_alive
        self._on_death = on_death
        self._kind = kind
        self._on_shell_lost = on_shell_lost
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
        self._replies: dict[str, dict[str, Any]] = {}
        self._idle: set[str] = set()
        self._idle_since: float | None = None  # of the current request, which has no reply yet
        self._interviewed: str | None = None  # the request whose reply is being completed
        self._silent: dict[str, OnReply] = {}
        self._widget_outputs = WidgetOutputs()
        self._current: str | None = None
        self._first_request_began = False
        self._last_message = 0.0
        self._exit_expected = False
        self._closing = False
        self._progress = threading.Event()
        self._thread = threading.Thread(target=self._run, name="nbrun-channels", daemon=True)
        self._thread.start()

    # ── for other threads ────────────────────────────────────────────────────────────────────

    def execute(
        self, source: str, *, allow_stdin: bool, metadata: dict[str, Any] | None = None
    ) -> str:
        """Send an execute_request, and return its id, which its messages carry."""
        content = _execute_request(source, {}, allow_stdin=allow_stdin)
        socket = self._client.shell_channel.socket
        return self._post(socket, "execute_request", content, metadata=metadata)

    def execute_silently(
        self,
        source: str,
        user_expressions: dict[str, str] | None = None,
        on_reply: OnReply = lambda _content: None,
    ) -> str:
        """Send an execute_request of nbrun's own, and return its id. Its messages are dropped."""
        content = _execute_request(source, user_expressions or {}, allow_stdin=False)
        content["silent"] = True
        return self._post(
            self._client.shell_channel.socket, "execute_request", content, on_reply=on_reply
        )

    def send_input(self, text: str) -> None:
        """Answer the last input request."""
        self._post(self._client.stdin_channel.socket, "input_reply", {"value": text})

    @property
    def at_work(self) -> bool:
        """True if any request has no reply yet, nbrun's own included."""
        return self._current is not None or bool(self._silent)

    @property
    def seconds_quiet(self) -> float:
        """Seconds since the last message in either direction."""
        return time.monotonic() - self._last_message

    @property
    def busy(self) -> bool:
        """True if a request of `execute` has no reply yet."""
        return self._current is not None

    def is_pending(self, silent_request: str) -> bool:
        """Return True if a request of `execute_silently` has no reply yet."""
        return silent_request in self._silent

    def wait_for_progress(self) -> None:
        """Wait until a message has come, 0.02 seconds at most."""
        self._progress.wait(0.02)
        self._progress.clear()

    def detect_lost_reply(self, instead: dict[str, Any] = _LOST_REPLY) -> None:
        """Deliver `instead` as the current request's reply if the kernel lost that.

        Call after an interrupt.

        ipykernel loses the reply if the interrupt comes at the very end of a cell. The kernel
        answers requests in order: a reply to a later one means that the earlier one has none.
        """
        request = self._current
        if request is not None:
            self.execute_silently("", on_reply=lambda _content: self._reply_lost(request, instead))

    def send_interrupt_request(self) -> None:
        """Interrupt by a message on the control channel, which a kernel reads while it works."""
        self._post(self._client.control_channel.socket, "interrupt_request", {})

    def pass_early_output(self) -> None:
        """Pass on output before the first request: an adopted kernel may be running a step."""
        self._first_request_began = True

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

    def _post(
        self,
        socket: Any,
        kind: str,
        content: dict[str, Any],
        *,
        on_reply: OnReply | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> str:
        message = self._client.session.msg(kind, content, metadata=metadata)
        # On the caller's thread, which gets the error if `content` can't be sent.
        parts = self._client.session.serialize(message)
        request = str(message["header"]["msg_id"])
        self._last_message = time.monotonic()
        # Before the message is sent: the reply may arrive at once.
        if on_reply is not None:
            self._silent[request] = on_reply
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
            ready = dict(poller.poll(_POLL_TIMEOUT))
            self._process_ready(ready)
            self._notice_missing_reply()
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

    def _on_iopub(self, message: dict[str, Any]) -> None:
        request, content = protocol.parent(message), message["content"]
        self._first_request_began = self._first_request_began or request == self._current
        if message["msg_type"] == "status":
            if content.get("execution_state") == "idle" and self._is_awaited(request):
                self._idle.add(request)
                self._idle_since = self._last_message
                self._deliver_reply(request)
            return
        if request in self._silent:
            return
        if message["msg_type"] == "error":
            content = self._kind.read_error(content)
        for parsed in self._widget_outputs.messages(request, message["msg_type"], content):
            if self._first_request_began or request:
                self._sink(parsed)
            else:  # output of the kernel's own startup belongs to no step
                logging.getLogger(__name__).warning(
                    "output of the kernel before the first step: %r", parsed
                )

    def _on_shell(self, message: dict[str, Any]) -> None:
        request = protocol.parent(message)
        if message["msg_type"] != "execute_reply":
            return
        if self._is_awaited(request):
            self._replies[request] = message["content"]
            self._deliver_reply(request)

    def _is_awaited(self, request: str) -> bool:
        return request == self._current or request in self._silent

    def _deliver_reply(self, request: str) -> None:
        """Deliver a reply once iopub has sent `idle` for it: all output precedes `idle`."""
        if request not in self._idle or request not in self._replies:
            return
        self._idle.discard(request)
        content = self._replies.pop(request)
        if request in self._silent:
            self._silent.pop(request)(content)
        else:
            self._interviewed = request
            self._interview(request, self._kind.complete(content), None)

    def _interview(self, request: str, interview: Interview, answer: dict[str, Any] | None) -> None:
        """Put the next question about the reply to `request`, or deliver the completed reply."""
        try:
            question = next(interview) if answer is None else interview.send(answer)
        except StopIteration as end:
            self._current = self._interviewed = None
            self._sink(protocol.replied(request, end.value))
        except ShellLostError as error:
            self._on_shell_lost(str(error))
        else:
            self.execute_silently(
                question, on_reply=lambda content: self._interview(request, interview, content)
            )

    def _notice_missing_reply(self) -> None:
        """Ask whether a reply is still to come, some time after the kernel has become idle.

        bash_kernel sends none for a cell with an open quote, and nobody would ever be told.
        """
        since, self._idle_since = self._idle_since, None
        if self._current not in self._idle or since is None:
            return
        if time.monotonic() - since > _REPLY_TIMEOUT:
            self.detect_lost_reply(_NO_REPLY)
        else:
            self._idle_since = since

    def _reply_lost(self, request: str, instead: dict[str, Any]) -> None:
        if request != self._current or request == self._interviewed:
            return
        self._current = None
        self._idle.discard(request)
        content = self._replies.pop(request, instead)
        self._sink(protocol.replied(request, content))

    def _on_stdin(self, message: dict[str, Any]) -> None:
        if message["msg_type"] == "input_request":
            self._sink(protocol.input_wanted(protocol.parent(message), message["content"]))


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


def _execute_request(
    source: str, user_expressions: dict[str, str], *, allow_stdin: bool
) -> dict[str, Any]:
    """Return the content of an execute_request ("Messaging in Jupyter").

    `stop_on_error` is false: nbrun sends one request at a time, so that no queue has to be aborted.
    """
    return {
        "code": source,
        "silent": False,
        "store_history": True,
        "user_expressions": user_expressions,
        "allow_stdin": allow_stdin,
        "stop_on_error": False,
    }
