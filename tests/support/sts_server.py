"""A local security token service (moto) whose credentials can expire soon."""

import re
import threading
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError
from urllib.parse import parse_qs

import pytest

ROLE = "arn:aws:iam::123456789012:role/dba"


class Sts:
    """A proxy of moto's STS.

    `requests` are the requests received, `issued` the secrets in its answers. `lifetime` of
    credentials is in seconds; None is the requested one. `refusing`: deny every request.
    """

    def __init__(self, moto: str) -> None:
        self.requests: list[dict[str, str]] = []
        self.issued: list[str] = []
        self.lifetime: float | None = None
        self.refusing = False
        self._moto = moto
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, answer = outer.answer(body, dict(self.headers))
                self.send_response(status)
                self.send_header("Content-Type", "text/xml")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        fields = {key: values[0] for key, values in parse_qs(body.decode()).items()}
        self.requests.append(fields)
        if self.refusing:
            return 403, _REFUSED.encode()
        kept = {key: value for key, value in headers.items() if key != "Host"}
        request = urllib.request.Request(self._moto, body, kept)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                body_sent = answer.read()
        except HTTPError as error:
            return error.code, error.read()
        self.issued += re.findall(r"<(?:SecretAccessKey|SessionToken)>([^<]*)<", body_sent.decode())
        return 200, self._with_lifetime(body_sent)

    def _with_lifetime(self, answer: bytes) -> bytes:
        if self.lifetime is None:
            return answer
        until = datetime.now(UTC) + timedelta(seconds=self.lifetime)
        body_sent = f"<Expiration>{until:%Y-%m-%dT%H:%M:%SZ}</Expiration>".encode()
        return re.sub(rb"<Expiration>[^<]*</Expiration>", body_sent, answer)

    def variables(self) -> dict[str, str]:
        """Return the operator's environment variables for this STS."""
        return {
            "AWS_ENDPOINT_URL_STS": self.url,
            "AWS_ACCESS_KEY_ID": "AKIAOPERATORSOWNKEY1",
            "AWS_SECRET_ACCESS_KEY": "operators-own-secret-key",
            "AWS_REGION": "eu-central-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


_REFUSED = """<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error>
<Type>Sender</Type><Code>AccessDenied</Code><Message>User: arn:aws:iam::1:user/ada is not authorized
to perform: sts:TagSession on resource: arn:aws:iam::1:role/dba</Message></Error></ErrorResponse>"""


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def sts(moto: str) -> Iterator[Sts]:
    made = Sts(moto)
    yield made
    made.close()
