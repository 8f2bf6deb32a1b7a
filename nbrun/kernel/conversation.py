"""The conversation with one kernel: whose request a message answers, and when one is done."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from nbrun.kernel import protocol
from nbrun.kernel.kinds.completion import ReplyCompletion
from nbrun.kernel.kinds.kind import KernelKind
from nbrun.kernel.messages import Sink
from nbrun.kernel.widget_outputs import WidgetOutputs

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
_IDLE_TIMEOUT = 2.0  # seconds of silence after a reply, when no `idle` comes any more
_REPLY_TIMEOUT = 1.0  # seconds after `idle` until a kernel is asked what became of a reply

_PLAIN = KernelKind()

OnReply = Callable[[dict[str, Any]], None]  # receives the content of a reply, on the thread


class Conversation:
    """Requests to a kernel and its messages. A subclass sends and receives them.

    Any thread may call the public methods. A single thread hands over what the kernel sends.
    """

    def __init__(
        self,
        session: Any,
        sink: Sink,
        *,
        kind: KernelKind = _PLAIN,
        on_shell_lost: Callable[[str], None] = lambda _why: None,
    ) -> None:
        """Send nothing yet. `session` is jupyter_client's, of this conversation alone.

        `kind` completes each reply. `on_shell_lost` is called with the reason in place of a reply
        after which the kernel is of no use.
        """
        self._session = session
        self._sink = sink
        self._kind = kind
        self._replies: dict[str, dict[str, Any]] = {}
        self._idle: set[str] = set()
        self._idle_since: float | None = None  # of the current request, which has no reply yet
        self._completion = ReplyCompletion(
            lambda: self._kind, self.execute_silently, self._deliver_completed, on_shell_lost
        )
        self._silent: dict[str, OnReply] = {}
        self._widget_outputs = WidgetOutputs()
        self._current: str | None = None
        self._first_request_began = False
        self._last_message = 0.0
        self._progress = threading.Event()

    # ── for other threads ────────────────────────────────────────────────────────────────────

    def execute(
        self, source: str, *, allow_stdin: bool, metadata: dict[str, Any] | None = None
    ) -> str:
        """Send an execute_request, and return its id, which its messages carry."""
        content = _execute_request(source, {}, allow_stdin=allow_stdin)
        return self._post("shell", "execute_request", content, metadata=metadata)

    def execute_silently(
        self,
        source: str,
        user_expressions: dict[str, str] | None = None,
        on_reply: OnReply = lambda _content: None,
    ) -> str:
        """Send an execute_request of nbrun's own, and return its id. Its messages are dropped."""
        content = _execute_request(source, user_expressions or {}, allow_stdin=False)
        content["silent"] = True
        return self._post("shell", "execute_request", content, on_reply=on_reply)

    def send_input(self, text: str) -> None:
        """Answer the last input request."""
        self._post("stdin", "input_reply", {"value": text})

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
        self._post("control", "interrupt_request", {})

    def pass_early_output(self) -> None:
        """Pass on output before the first request: an adopted kernel may be running a step."""
        self._first_request_began = True

    def _post(
        self,
        channel: str,
        kind: str,
        content: dict[str, Any],
        *,
        on_reply: OnReply | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> str:
        message = self._session.msg(kind, content, metadata=metadata)
        # On the caller's thread, which gets the error if `content` can't be sent.
        send = self._encoded(channel, message)
        request = str(message["header"]["msg_id"])
        self._last_message = time.monotonic()
        # Before the message is sent: the reply may arrive at once.
        if on_reply is not None:
            self._silent[request] = on_reply
        else:
            self._current = request if kind == "execute_request" else self._current
        send()
        return request

    def _encoded(self, channel: str, message: dict[str, Any]) -> Callable[[], None]:
        """Return a function that sends `message`; any thread may call it."""
        raise NotImplementedError

    # ── for the thread that receives ─────────────────────────────────────────────────────────

    def _on_iopub(self, message: dict[str, Any]) -> None:
        request, content = protocol.parent(message), message["content"]
        self._first_request_began = self._first_request_began or request == self._current
        if message["msg_type"] == "status":
            if content.get("execution_state") == "idle" and self._is_awaited(request):
                self._idle.add(request)
                self._idle_since = self._last_message
                self._deliver_reply(request)
            return
        kind = message["msg_type"]
        if self._completion.is_queued(request, kind):
            self._completion.receive_queued(
                kind, content, lambda cell, queued: self._show(cell, kind, queued)
            )
        elif request not in self._silent:
            self._show(request, kind, content)

    def _show(self, request: str, kind: str, content: dict[str, Any]) -> None:
        if kind == "error":
            content = self._kind.read_error(content)
        for parsed in self._widget_outputs.messages(request, kind, content):
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
            self._completion.begin(request, content)

    def _deliver_completed(self, request: str, content: dict[str, Any]) -> None:
        self._current = None
        self._sink(protocol.replied(request, content))

    def _notice_missing_reply(self) -> None:
        """Ask whether a reply is still to come, some time after the kernel has become idle.

        bash_kernel sends none for a cell with an open quote, and nobody would ever be told.
        """
        self._completion.give_up_mark()
        since, self._idle_since = self._idle_since, None
        if self._current not in self._idle or since is None:
            return
        if time.monotonic() - since > _REPLY_TIMEOUT:
            self.detect_lost_reply(_NO_REPLY)
        else:
            self._idle_since = since

    def _notice_missing_idle(self) -> None:
        """Deliver a reply whose `idle` the kernel has dropped, as xeus-python may."""
        if self._current in self._replies and self.seconds_quiet > _IDLE_TIMEOUT:
            self._idle.add(self._current)
            self._deliver_reply(self._current)

    def _reply_lost(self, request: str, instead: dict[str, Any]) -> None:
        if request != self._current or request == self._completion.request:
            return
        self._current = None
        self._idle.discard(request)
        content = self._replies.pop(request, instead)
        self._sink(protocol.replied(request, content))

    def _on_stdin(self, message: dict[str, Any]) -> None:
        if message["msg_type"] == "input_request":
            self._sink(protocol.input_wanted(protocol.parent(message), message["content"]))


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
