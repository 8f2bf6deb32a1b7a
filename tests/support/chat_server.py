"""A chat service on the loopback interface, which apprise reaches as `json://`."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class ChatServer:
    """Keeps what it receives, and answers with `status`. With `hangs`, it never answers."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self.status = 200
        self.hangs = False
        self._ended = threading.Event()
        chat = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                chat.received.append(json.loads(body))
                if chat.hangs:
                    chat._ended.wait(60)
                self.send_response(chat.status)
                self.end_headers()

            def log_message(self, *_arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def url(self, token: str = "t0ken") -> str:
        return f"json://user:{token}@127.0.0.1:{self._server.server_port}/{token}"

    def __enter__(self) -> "ChatServer":
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
