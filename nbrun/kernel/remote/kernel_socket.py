"""The websocket of a kernel on a gateway: jupyter-kernel-client's, made to report its end.

Its client sends the token in the URL, where servers and proxies log it; it knows neither a CA nor a
client certificate; and it connects again by itself, unnoticed. None of that is used here.
"""

import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import websocket
from jupyter_kernel_client import KernelWebSocketClient
from jupyter_kernel_client.wsclient import WSSession

from nbrun.kernel.remote.api import REFUSED, GatewayError, describe_status
from nbrun.kernel.remote.settings import GatewaySettings

CONNECT_TIMEOUT = 60.0  # seconds: a server waits for the kernel before it accepts
# Seconds between two pings, and for the answer. Proxies cut connections that are idle for a minute.
PING_INTERVAL = 20.0
PING_TIMEOUT = 15.0


class _DirectSocket(websocket.WebSocket):
    """A websocket that follows no redirect, which would carry the credentials elsewhere."""

    def connect(self, url: str, **options: Any) -> None:
        try:
            super().connect(url, redirect_limit=0, **options)  # type: ignore[no-untyped-call]
        except websocket.WebSocketException as error:
            answer = self.handshake_response
            if answer is None or not 300 <= answer.status < 400:
                raise
            raise websocket.WebSocketBadStatusException("a redirect", answer.status) from error


# `run_forever` has no option for it
websocket._app.WebSocket = _DirectSocket  # type: ignore[attr-defined]

OnMessage = Callable[[bytes], None]  # receives each frame, on the socket's thread
OnClose = Callable[["KernelSocket", str], None]  # receives the reason, on the socket's thread


class ClientSession(WSSession):  # type: ignore[misc]  # it is not typed
    """nbrun as the gateway knows it, over all connections to one kernel.

    A gateway keeps messages for a session that is away, as far as it does that at all.
    """

    def __init__(self, name: str = "") -> None:
        """Use the name of an earlier supervisor's session, or a new one."""
        super().__init__()
        self.session = name or uuid4().hex

    @property
    def msg_id(self) -> str:
        """Return a new id. jupyter_client counts, and a resumed run would count from 0 again."""
        return uuid4().hex


class KernelSocket(KernelWebSocketClient):  # type: ignore[misc]  # it is not typed
    """One connection to one kernel. It is opened once, and never opens again by itself."""

    def __init__(
        self,
        settings: GatewaySettings,
        kernel: str,
        *,
        headers: dict[str, str],
        session: ClientSession,
        on_message: OnMessage,
        on_close: OnClose,
    ) -> None:
        """Open nothing yet. `on_close` is called once if the connection was open."""
        address = settings.url.replace("http", "ws", 1)
        super().__init__(
            endpoint=f"{address}/api/kernels/{quote(kernel, safe='')}/channels",
            timeout=CONNECT_TIMEOUT,
            headers=headers,
        )
        self.session = session
        self.headers = headers
        self._settings = settings
        self._receive = on_message
        self._report_close = on_close
        self._is_open = False
        self._failure: BaseException | None = None
        self._send_lock = threading.Lock()

    def open(self) -> None:
        """Connect, and return when the gateway has accepted.

        Raises:
            GatewayError: it has not.
        """
        # The library has no option for the timeout of one connection. It applies to sending, too:
        # a gateway that takes nothing must not hold up the run.
        websocket.setdefaulttimeout(CONNECT_TIMEOUT)
        self.start_channels()
        if not self._is_open:
            self.close()
            raise _as_error(self._settings, self._failure)

    def send(self, channel: str, message: dict[str, Any]) -> None:
        """Send a message of `self.session`.

        Raises:
            GatewayError: it was not sent, or only in part.
        """
        app = self.kernel_socket
        try:
            with self._send_lock:
                if app is None or not self._is_open:
                    raise websocket.WebSocketConnectionClosedException("the connection is closed")
                self.session.send(app, channel, message)
        except (websocket.WebSocketException, OSError) as error:
            self._failure = self._failure or error
            if app is not None:  # a part of a message may have been sent: nothing can follow it
                app.close()
            raise _as_error(self._settings, error) from error

    def close(self) -> None:
        """Close the connection, and wait for nothing. `on_close` is not called for that."""
        self._report_close = lambda _socket, _why: None
        self.shutting_down = True
        if self.kernel_socket is not None:
            self.kernel_socket.close()

    # ── called by the library ────────────────────────────────────────────────────────────────

    def _run_websocket(self) -> None:
        app = self.kernel_socket
        app.on_error = self._on_error
        try:
            app.run_forever(
                sslopt=_tls(self._settings),
                ping_interval=PING_INTERVAL,
                ping_timeout=PING_TIMEOUT,
                # Else a proxy that changes the host would make the gateway refuse nbrun as a page
                # of another site.
                suppress_origin=True,
                skip_utf8_validation=True,  # the frame is passed on as bytes
            )
        except Exception as error:  # noqa: BLE001  whatever it is, the connection has ended
            self._failure = self._failure or error
        was_open, self._is_open = self._is_open, False
        self.connection_ready.set()  # `start_channels` waits for it, also where that has failed
        if was_open:
            self._report_close(self, _in_words(self._failure))

    def _on_open(self, app: Any) -> None:
        self._is_open = True
        super()._on_open(app)

    def _on_error(self, _app: Any, error: BaseException) -> None:
        self._failure = self._failure or error

    def _on_message(self, _app: Any, frame: bytes) -> None:
        self._receive(frame)

    def _on_close(self, *_: Any) -> None:
        """Leave it to `_run_websocket`, which also runs if the connection was never open."""

    def __del__(self) -> None:
        """Close nothing: the library would join the thread, which may be this one."""


def _tls(settings: GatewaySettings) -> dict[str, Any]:
    files = {
        "ca_certs": settings.ca,
        "certfile": settings.client_cert,
        "keyfile": settings.client_key,
    }
    return {key: str(path) for key, path in files.items() if path is not None}


def _as_error(settings: GatewaySettings, failure: BaseException | None) -> GatewayError:
    status = getattr(failure, "status_code", None)
    if isinstance(failure, websocket.WebSocketBadStatusException) and status:
        said = describe_status(int(status))
        return GatewayError(f"{settings.url}: {said}", is_refused=status in REFUSED)
    return GatewayError(f"{settings.url}: can't be reached: {_in_words(failure)}")


def _in_words(failure: BaseException | None) -> str:
    if failure is None:
        return "no answer came in time"
    text = getattr(failure, "strerror", None) or str(failure) or type(failure).__name__
    return " ".join(str(text).split())[:200]
