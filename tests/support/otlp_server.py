"""A collector for tests: it receives traces by OTLP over HTTP on loopback, and decodes them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class OtlpServer:
    """What was received: each span as a plain mapping, in the order of arrival.

    Attributes:
        status: the HTTP status of every reply.
        headers: of the last request.
        resources: the attributes of each resource.
    """

    def __init__(self) -> None:
        self.status = 200
        self.spans: list[dict[str, Any]] = []
        self.resources: list[dict[str, Any]] = []
        self.headers: dict[str, str] = {}
        self.requests = 0
        self._arrived = threading.Condition()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                server.receive(self.path, dict(self.headers), body)
                self.send_response(server.status)
                self.end_headers()

            def log_message(self, *_args: Any) -> None:
                """Print nothing."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def receive(self, path: str, headers: dict[str, str], body: bytes) -> None:
        assert path == "/v1/traces"
        request = ExportTraceServiceRequest.FromString(body)
        with self._arrived:
            self.headers = headers
            self.requests += 1
            for group in request.resource_spans if self.status == 200 else ():
                self.resources.append(_attributes(group.resource.attributes))
                self.spans += [_span(span) for scope in group.scope_spans for span in scope.spans]
            self._arrived.notify_all()

    def wait_for(self, name: str) -> dict[str, Any]:
        """Wait for a span with this name, and return it."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: self.named(name), timeout=30), self.spans
            return self.named(name)[0]

    def named(self, name: str) -> list[dict[str, Any]]:
        return [span for span in self.spans if span["name"] == name]

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@contextmanager
def collector() -> Iterator[OtlpServer]:
    server = OtlpServer()
    try:
        yield server
    finally:
        server.close()


def _span(span: Any) -> dict[str, Any]:
    return {
        "name": span.name,
        "trace": span.trace_id.hex(),
        "id": span.span_id.hex(),
        "parent": span.parent_span_id.hex(),
        "kind": span.kind,
        "begin": span.start_time_unix_nano,
        "end": span.end_time_unix_nano,
        "status": span.status.code,
        "message": span.status.message,
        "attributes": _attributes(span.attributes),
        "events": [(event.name, _attributes(event.attributes)) for event in span.events],
    }


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
