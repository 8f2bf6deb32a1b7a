"""The conversation with a kernel on a gateway, over websockets of which each may break."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from nbrun.kernel import protocol
from nbrun.kernel.conversation import Conversation
from nbrun.kernel.kinds.kind import KernelKind
from nbrun.kernel.messages import Died, Disconnected, GatewayTrouble, Reconnected, ReplyLost, Sink
from nbrun.kernel.remote.api import GatewayApi, GatewayError
from nbrun.kernel.remote.kernel_socket import ClientSession, KernelSocket

_TICK = 1.0  # seconds between two looks at the clock
_CHECK_INTERVAL = 10.0  # seconds between two questions whether the gateway still has the kernel
_FIRST_RETRY, _LONGEST_RETRY = 0.2, 15.0  # seconds until the next attempt to connect
_DRAIN_TIMEOUT = 0.3  # seconds for messages that are on the way when the kernel is gone
_GONE = (
    "{} no longer has the kernel: it ended, or the gateway ended it, as gateways do with kernels "
    "that are idle for long"
)
_REPLACED = "{} started another kernel in its place: its variables are gone"
_LOST = "the connection to the gateway was lost, and the kernel's reply with it"
_LIMITED = "the gateway's own limit on output (iopub_msg_rate_limit, iopub_data_rate_limit)"


class RemoteChannels(Conversation):
    """The channels of one kernel. A lost connection is opened again, and what it cost is reported.

    A reply that was lost is never guessed: `ReplyLost` ends its request. What comes after a gap is
    believed only of the same kernel: gateways restart a kernel that has died under its old id.
    """

    def __init__(
        self,
        api: GatewayApi,
        kernel: str,
        generation: int,
        sink: Sink,
        session: ClientSession,
    ) -> None:
        """Connect to nothing yet."""
        super().__init__(session, sink, on_shell_lost=self._on_shell_lost)
        self.kernel = kernel
        self.kernel_session = ""  # the kernel's own, once it is known
        self._api = api
        self._generation = generation
        self._socket: KernelSocket | None = None
        self._lost_why: str | None = None  # why the connection is lost, while it is
        self._gap = False  # the connection was lost since the current request was sent
        self._dead = self._closing = self._exit_expected = False
        self._reported: set[tuple[str, str, str | None]] = set()
        self._unsent_answers: list[dict[str, Any]] = []
        self._infos: list[dict[str, Any]] = []
        self._next_check = time.monotonic() + _CHECK_INTERVAL
        # Frames wait for it while the connection is opened again, so that they follow the report.
        self._receiving = threading.RLock()
        self._ending = threading.Lock()
        self._wake = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="nbrun-gateway", daemon=True)

    # ── for other threads ────────────────────────────────────────────────────────────────────

    def open(self) -> None:
        """Connect for the first time. Raises GatewayError."""
        with self._receiving:
            self._open_socket()
        self._watcher.start()

    @property
    def is_connected(self) -> bool:
        return self._lost_why is None and not self._dead

    @property
    def is_dead(self) -> bool:
        """True once the kernel has been reported as gone, or as lost."""
        return self._dead

    @property
    def client_session(self) -> str:
        """The name of nbrun's session."""
        return str(self._session.session)

    def use_kind(self, kind: KernelKind) -> None:
        """Complete replies as this kind of kernel needs it."""
        self._kind = kind

    def ask_info(self) -> None:
        self._post("shell", "kernel_info_request", {})

    def infos(self) -> list[dict[str, Any]]:
        """Return the replies to `ask_info` so far: whole messages."""
        return list(self._infos)

    def execute(
        self, source: str, *, allow_stdin: bool, metadata: dict[str, Any] | None = None
    ) -> str:
        self._gap = not self.is_connected
        return super().execute(source, allow_stdin=allow_stdin, metadata=metadata)

    def probe(self, on_idle: Callable[[dict[str, Any]], None]) -> None:
        """Ask the kernel what it has done so far; it answers once it has finished."""
        expression = self._kind.ended_expression
        self.execute_silently(
            "",
            {"ended": expression} if expression else {},
            on_reply=lambda content: self._on_probe(content, on_idle),
        )

    def interrupt(self) -> None:
        """Interrupt the kernel, on a thread of its own: the gateway may take its time."""
        threading.Thread(target=self._interrupt, name="nbrun-interrupt", daemon=True).start()

    def kill(self) -> None:
        """End the kernel; `Died` follows, whether that succeeds or not."""
        threading.Thread(target=self._kill, name="nbrun-kill", daemon=True).start()

    def report_trouble(self, action: str, error: GatewayError) -> None:
        """Report that the gateway did not do something, once for each request."""
        trouble = (action, str(error), self._current)
        if trouble not in self._reported:
            self._reported.add(trouble)
            self._sink(GatewayTrouble(generation=self._generation, action=action, why=str(error)))

    def expect_exit(self) -> None:
        """Report neither the end of the kernel nor of the connection from now on."""
        self._exit_expected = True

    def close(self) -> None:
        """Deliver what has arrived, and close the connection. The kernel lives on."""
        self._closing = True
        self._wake.set()
        if self._socket is not None:
            self._socket.close()
        if self._watcher.is_alive():
            self._watcher.join(_TICK)

    def wait_for_last_messages(self) -> None:
        """Wait until no message has come for a moment."""
        while self.is_connected and self.seconds_quiet < _DRAIN_TIMEOUT:
            time.sleep(_DRAIN_TIMEOUT / 10)

    # ── sending ──────────────────────────────────────────────────────────────────────────────

    def _encoded(self, channel: str, message: dict[str, Any]) -> Callable[[], None]:
        # `send` encodes it again; what can't be encoded must fail before its reply is waited for.
        self._session.pack(message["content"])

        def send() -> None:
            try:
                if self._socket is None or not self.is_connected:
                    raise GatewayError("the connection is lost")
                self._socket.send(channel, message)
            except GatewayError as error:
                # The request may have arrived: it is not sent again. The probe that follows the
                # next connection tells what came of it.
                logging.getLogger(__name__).warning("not sent, or in part: %s", error)
                self._gap = True
                if channel == "stdin":
                    self._unsent_answers.append(message)

        return send

    def _interrupt(self) -> None:
        try:
            self._api.interrupt(self.kernel)
        except GatewayError as error:
            self.report_trouble("interrupt the kernel", error)
            if self.is_connected:
                self.send_interrupt_request()
        if self.is_connected:
            self.detect_lost_reply()

    def _kill(self) -> None:
        try:
            self._api.end(self.kernel)
        except GatewayError as error:
            self.report_trouble("end the kernel", error)
            why = f"the kernel could not be ended and may still run: {error}"
            self._die(why, unseen=True, may_run=True)
        else:
            self.wait_for_last_messages()
            self._die("the gateway ended the kernel, as asked")

    # ── receiving ────────────────────────────────────────────────────────────────────────────

    def _on_frame(self, frame: bytes) -> None:
        with self._receiving:
            self._last_message = time.monotonic()
            try:
                message = protocol.unpack_frame(frame)
                if not self._is_from_another(message):
                    self._handle(message)
            except Exception:  # a malformed message must not stop the thread
                logging.getLogger(__name__).warning("a message was not understood", exc_info=True)
            self._progress.set()

    def _handle(self, message: dict[str, Any]) -> None:
        match message["channel"]:
            case "iopub":
                self._on_iopub(message)
            case "shell" if message["msg_type"] == "kernel_info_reply":
                self._infos.append(message)
            case "shell":
                self._on_shell(message)
            case "stdin":
                self._on_stdin(message)

    def _is_from_another(self, message: dict[str, Any]) -> bool:
        """Return True for a message of the gateway itself, or of a kernel that replaced this one.

        A gateway writes its own messages under the name of nbrun's session. Some kernels do the
        same: of these, `kernel_session` is empty, and a restart goes unnoticed here.
        """
        kind, content = message["msg_type"], message["content"]
        state = content.get("execution_state") if kind == "status" else None
        if message["channel"] == "iopub" and state in ("restarting", "dead"):
            self._die(_REPLACED.format(self._url) if state == "restarting" else self._gone)
            return True
        if not self.kernel_session or message["session"] == self.kernel_session:
            return False
        if message["session"] != self._session.session:
            self._die(_REPLACED.format(self._url))
            return True
        if kind == "stream":  # "IOPub data rate exceeded": it is shown, too
            self.report_trouble("pass on all output", GatewayError(_LIMITED))
        return False

    def _reply_lost(self, request: str, instead: dict[str, Any]) -> None:
        """Report that a reply will not come. Other than of a local kernel, it may be on the way."""
        if request == self._current and request != self._completion.request:
            self._give_up_reply(_LOST if self._gap else str(instead["evalue"]))

    def _give_up_reply(self, why: str) -> None:
        request, self._current = self._current, None
        self._completion.cancel()
        if request is not None:
            self._idle.discard(request)
            self._replies.pop(request, None)
            self._sink(ReplyLost(request=request, why=why))

    def _on_probe(self, content: dict[str, Any], on_idle: Callable[[dict[str, Any]], None]) -> None:
        known = content.get("user_expressions", {}).get("ended", {})
        if self._kind.ended_expression and known.get("status") != "ok":
            self._die(_REPLACED.format(self._url), unseen=True)
            return
        current = self._current
        if current is not None and current in self._replies:  # only its `idle` was lost
            self._idle.add(current)
            self._deliver_reply(current)
        elif current is not None:
            self._give_up_reply(_LOST)
        self._gap = False
        on_idle(content)

    def _on_shell_lost(self, why: str) -> None:
        self._die(why)
        self.kill()

    # ── the end of the kernel ────────────────────────────────────────────────────────────────

    def _die(self, why: str, *, unseen: bool = False, may_run: bool = False) -> None:
        """Report, once, that the kernel is gone, or (`may_run`) that it can't be reached any more.

        `unseen`, or a gap: nobody knows whether the current request had ended before.
        """
        with self._ending:
            if self._dead or self._exit_expected:
                return
            self._dead = True
        if unseen or self._gap:
            self._give_up_reply(why)
        self._sink(Died(generation=self._generation, why=why, may_run=may_run))
        self._wake.set()

    @property
    def _url(self) -> str:
        return self._api.settings.url

    @property
    def _gone(self) -> str:
        return _GONE.format(self._url)

    # ── the watcher's thread ─────────────────────────────────────────────────────────────────

    @property
    def _is_over(self) -> bool:
        return self._closing or self._dead or self._exit_expected

    def _watch(self) -> None:
        while not self._is_over:
            self._wake.wait(_TICK)
            self._wake.clear()
            if self._is_over:
                return
            if self._lost_why is not None:
                self._reconnect()
            else:
                self._keep_alive()

    def _keep_alive(self) -> None:
        """Look whether the kernel is there, and let it do something if it is idle for long.

        A gateway counts what a kernel executes as activity, and not the questions about it.
        """
        self._notice_missing_reply()
        if not self.at_work and self.seconds_quiet >= self._api.settings.keep_alive:
            self.execute_silently("")
        if time.monotonic() >= self._next_check:
            self._next_check = time.monotonic() + _CHECK_INTERVAL
            self._check_kernel()

    def _check_kernel(self) -> None:
        try:
            has_kernel = self._api.has_kernel(self.kernel)
        except GatewayError as error:
            if error.is_refused:
                self.report_trouble("answer whether it still has the kernel", error)
            return  # the websocket tells whether the gateway can be reached
        if not has_kernel:
            self.wait_for_last_messages()
            self._die(self._gone)

    def _on_close(self, socket: KernelSocket, why: str) -> None:
        """Report a lost connection. The socket's thread calls this."""
        with self._receiving:
            if socket is not self._socket or self._exit_expected or self._dead:
                return
            self._gap = True
            self._lost_why = why
            self._sink(Disconnected(generation=self._generation, why=why))
        self._wake.set()

    def _reconnect(self) -> None:
        lost_at = self._last_message
        deadline = time.monotonic() + self._api.settings.reconnect
        retry = _FIRST_RETRY
        while not self._is_over:
            try:
                self._connect_again(lost_at)
            except GatewayError as error:
                if error.is_refused:
                    self.report_trouble("accept nbrun again", error)
                left = deadline - time.monotonic()
                if left <= 0:
                    why = f"{error}. The kernel may still run there"
                    self._die(why, unseen=True, may_run=True)
                    return
                self._wake.wait(min(retry, left))
                self._wake.clear()
                retry = min(retry * 2, _LONGEST_RETRY)
            else:
                return

    def _connect_again(self, lost_at: float) -> None:
        """Find the kernel again, and have it say what it has done. Raises GatewayError."""
        if not self._api.has_kernel(self.kernel):
            self._die(self._gone, unseen=True)
            return
        with self._receiving:
            self._open_socket()
            self._lost_why = None
            self._silent.clear()  # their replies may be lost, and nothing depends on them
            gap = round(time.monotonic() - lost_at, 3)
            self._sink(Reconnected(generation=self._generation, gap=gap))
            if self._completion.request is not None:  # whether it succeeded was not known yet
                self._give_up_reply(_LOST)
            answers, self._unsent_answers = self._unsent_answers, []
            for answer in answers if self._current is not None else ():
                self._encoded("stdin", answer)()
            self.probe(lambda content: self._sink(protocol.idled(self._generation, content)))

    def _open_socket(self) -> None:
        """Open a new connection. Credentials that are refused are fetched again, once."""
        headers = self._api.credentials.headers()
        try:
            self._open_with(headers)
        except GatewayError as error:
            if not (error.is_refused and self._api.renew(headers)):
                raise
            self._open_with(self._api.credentials.headers())

    def _open_with(self, headers: dict[str, str]) -> None:
        self._socket = socket = KernelSocket(
            self._api.settings,
            self.kernel,
            headers=headers,
            session=self._session,
            on_message=self._on_frame,
            on_close=self._on_close,
        )
        socket.open()
        if self._is_over:  # meanwhile
            socket.close()
