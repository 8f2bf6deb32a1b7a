"""A Jupyter gateway with scripted kernels, for faults that a real one can't be brought to."""

import asyncio
import json
import ssl
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler

TOKEN = "open-sesame-1"


class FakeKernel:
    """One kernel. Its code is `print TEXT`, `fail`, `hold` or `ask`.

    `hold` and what follows it is carried out once the test calls `FakeGateway.release`.
    """

    def __init__(self, gateway: "FakeGateway", name: str) -> None:
        self.gateway, self.name = gateway, name
        self.id = str(uuid.uuid4())
        self.session = uuid.uuid4().hex
        self.socket: Any = None
        self.client = ""  # session of the last client
        self.buffer: list[str] = []
        self.held: list[dict[str, Any]] | None = None
        self.asked: dict[str, Any] | None = None
        self.executed: list[str] = []  # not silently
        self.silent = 0

    def receive(self, message: dict[str, Any]) -> None:
        kind = message["header"]["msg_type"]
        if kind == "input_reply" and self.asked is not None:
            asked, self.asked = self.asked, None
            self._finish(asked, message["content"]["value"])
        elif kind == "interrupt_request":
            self.interrupt()
        elif kind == "kernel_info_request":
            self.send("iopub", "status", {"execution_state": "idle"}, message)
            self.send("shell", "kernel_info_reply", self.gateway.info, message)
        elif kind == "execute_request" and self.held is not None:
            self.held.append(message)
        elif kind == "execute_request":
            self._execute(message)

    def _execute(self, message: dict[str, Any]) -> None:
        content = message["content"]
        self.send("iopub", "status", {"execution_state": "busy"}, message)
        if content["silent"]:
            self.silent += 1
            self._finish(message, "")
            return
        self.executed.append(content["code"])
        word, _, text = content["code"].partition(" ")
        if word == "hold":
            self.held = []
            self.send("iopub", "stream", {"name": "stdout", "text": "before\n"}, message)
            self.gateway.holding = (self, message)
        elif word == "ask":
            self.asked = message
            self.send("stdin", "input_request", {"prompt": "host? ", "password": False}, message)
        else:
            self._finish(message, text, "error" if word == "fail" else "ok")

    def _finish(self, message: dict[str, Any], text: str, status: str = "ok") -> None:
        if text:
            self.send("iopub", "stream", {"name": "stdout", "text": text}, message)
        content: dict[str, Any] = {"status": status, "execution_count": len(self.executed)}
        if status == "error":
            content |= {"ename": "ValueError", "evalue": "no", "traceback": []}
        if message["content"].get("user_expressions"):
            told = {"text/plain": f"({len(self.executed)}, None)"}
            content["user_expressions"] = {"ended": {"status": "ok", "data": told}}
        self.send("shell", "execute_reply", content, message)
        self.send("iopub", "status", {"execution_state": "idle"}, message)

    def release(self, message: dict[str, Any], status: str = "ok") -> None:
        held, self.held = self.held or [], None
        self._finish(message, "after\n", status)
        for each in held:
            self._execute(each)

    def interrupt(self) -> None:
        holding = self.gateway.holding
        if holding is not None and holding[0] is self:
            self.gateway.holding = None
            self.release(holding[1], "error")

    def restart(self) -> None:
        """Become another kernel under the same id, as a gateway does when one has died."""
        self.session = uuid.uuid4().hex
        self.held = self.asked = self.gateway.holding = None
        self.executed = []

    def send(
        self, channel: str, kind: str, content: dict[str, Any], parent: dict[str, Any] | None
    ) -> None:
        header = {"msg_id": uuid.uuid4().hex, "msg_type": kind, "session": self.session}
        frame = json.dumps(
            {
                "channel": channel,
                "header": header,
                "msg_type": kind,
                "parent_header": parent["header"] if parent else {},
                "metadata": {},
                "content": content,
                "buffers": [],
            }
        )
        if self.socket is not None:
            self.socket.write_message(frame)
        elif self.gateway.buffers:
            self.buffer.append(frame)


class FakeGateway:
    """The server, on a thread of its own. Attributes say how it behaves; tests change them.

    - `buffers`: it keeps what a kernel says while its client is away.
    - `away`: it closes every connection without an answer.
    - `statuses`: what it answers instead, by method and the beginning of the path.
    - `location`: where an answer that is a redirect leads to.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.buffers = True
        self._tls = tls
        self.away = False
        self.token = TOKEN
        self.statuses: dict[tuple[str, str], int] = {}
        self.location = "/api/kernels/elsewhere"
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.kernels: dict[str, FakeKernel] = {}
        self.started: list[dict[str, Any]] = []  # the bodies of the requests
        self.ended: list[str] = []
        self.holding: tuple[FakeKernel, dict[str, Any]] | None = None
        self.info: dict[str, Any] = {
            "implementation": "ipython",
            "protocol_version": "5.3",
            "language_info": {"name": "python"},
        }
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        rules = [
            (r"/api/kernels/([^/]+)/channels", _Channels, {"gateway": self}),
            (r"/api/(kernelspecs|kernels)", _Rest, {"gateway": self}),
            (r"/api/kernels/([^/]+)(?:/(interrupt))?", _Kernel, {"gateway": self}),
        ]
        server = HTTPServer(Application(rules), ssl_options=self._tls)
        sockets = bind_sockets(0, "127.0.0.1")
        scheme = "https" if self._tls else "http"
        self.url = f"{scheme}://127.0.0.1:{sockets[0].getsockname()[1]}"
        server.add_sockets(sockets)
        self._ready.set()
        await self._stop.wait()
        server.stop()
        await server.close_all_connections()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def do(self, action: Callable[[], Any]) -> Any:
        """Run `action` on the server's thread, and return its result."""

        async def run() -> Any:
            return action()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(10)

    @property
    def kernel(self) -> FakeKernel:
        """The newest kernel."""
        return list(self.kernels.values())[-1]

    def drop(self) -> None:
        """Cut the connections to the kernels, as a proxy does."""
        self.do(lambda: [_cut(kernel.socket) for kernel in self.kernels.values() if kernel.socket])

    def release(self) -> None:
        """Let the kernel that holds go on."""
        assert self.holding is not None
        (kernel, message), self.holding = self.holding, None
        self.do(lambda: kernel.release(message))

    def lose(self) -> None:
        """Forget every kernel, as a gateway that ends idle ones."""
        self.do(self.kernels.clear)

    def asked(self, method: str, ending: str = "") -> list[dict[str, str]]:
        """Return the headers of the requests with this method, whose path ends so."""
        return [
            headers
            for sent, path, headers in self.requests
            if sent == method and path.partition("?")[0].endswith(ending)
        ]


def _cut(socket: Any) -> None:
    socket.gateway_lost()
    socket.ws_connection.stream.close()


class _Base(RequestHandler):
    def initialize(self, gateway: FakeGateway) -> None:
        self.gateway = gateway

    def prepare(self) -> None:
        request = self.request
        method, path = str(request.method), request.path
        self.gateway.requests.append((method, str(request.uri), dict(request.headers)))
        if self.gateway.away:
            request.connection.stream.close()  # type: ignore[union-attr]
            self._finished = True
            return
        for (wanted, beginning), status in self.gateway.statuses.items():
            if wanted == method and path.startswith(beginning):
                self._answer(status)
                return
        if request.headers.get("Authorization") != f"token {self.gateway.token}":
            self._answer(403)

    def _answer(self, status: int) -> None:
        self.set_status(status)
        if 300 <= status < 400:
            self.set_header("Location", self.gateway.location)
        self.finish(json.dumps({"message": "as the test says"}))


class _Rest(_Base):
    def get(self, what: str) -> None:
        specs = {"python3": {"name": "python3", "spec": {"language": "python"}}}
        self.finish({"default": "python3", "kernelspecs": specs})

    def post(self, what: str) -> None:
        body = json.loads(self.request.body)
        self.gateway.started.append(body)
        made = FakeKernel(self.gateway, body["name"])
        self.gateway.kernels[made.id] = made
        self.set_status(201)
        self.finish({"id": made.id, "name": made.name})


class _Kernel(_Base):
    def _found(self, kernel: str) -> FakeKernel | None:
        found = self.gateway.kernels.get(kernel)
        if found is None:
            self._answer(404)
        return found

    def get(self, kernel: str, _action: str | None) -> None:
        if self._found(kernel):
            self.finish({"id": kernel, "execution_state": "idle"})

    def post(self, kernel: str, _action: str | None) -> None:
        found = self._found(kernel)
        if found is not None:
            found.interrupt()
            self.set_status(204)

    def delete(self, kernel: str, _action: str | None) -> None:
        if self._found(kernel):
            self.gateway.ended.append(kernel)
            del self.gateway.kernels[kernel]
            self.set_status(204)


class _Channels(WebSocketHandler, _Base):
    def initialize(self, gateway: FakeGateway) -> None:
        self.gateway = gateway
        self.kernel: FakeKernel | None = None

    def open(self, kernel: str) -> None:
        found = self.gateway.kernels[kernel]
        session = self.get_argument("session_id")
        buffered, found.buffer = found.buffer, []
        self.kernel, found.socket = found, self
        if found.client == session:
            for frame in buffered:
                self.write_message(frame)
        found.client = session

    def on_message(self, frame: str | bytes) -> None:
        if self.kernel is not None:
            self.kernel.receive(json.loads(frame))

    def gateway_lost(self) -> None:
        if self.kernel is not None and self.kernel.socket is self:
            self.kernel.socket = None
        self.kernel = None

    def on_close(self) -> None:
        self.gateway_lost()


@contextmanager
def fake_gateway(tls: ssl.SSLContext | None = None) -> Iterator[FakeGateway]:
    gateway = FakeGateway(tls)
    try:
        yield gateway
    finally:
        gateway.close()
