"""JSON that is nested deeper than Python's stack, wherever a stranger can send some."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyter_client.session import Session

from nbrun.core import events as ev
from nbrun.core.redaction.redactor import Redaction
from nbrun.kernel import protocol as kernel_protocol
from nbrun.kernel.messages import Displayed, Replied
from nbrun.supervisor import protocol
from nbrun.supervisor.client import connect
from nbrun.supervisor.protocol import Hello
from tests.support.build_events import begun
from tests.support.build_notebooks import code
from tests.support.served_run import TIMEOUT, ServedRun
from tests.support.terminal import Desk

DEEP = b"[" * 50_000 + b"]" * 50_000
HELLO = protocol.encode(Hello(purpose="follow"))


@pytest.fixture
def run(tmp_path: Path) -> Iterator[ServedRun]:
    made = ServedRun(tmp_path)
    yield made
    made.end()


# ── a console ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "sent",
    [
        b'{"purpose":"follow","more":%b}\n' % DEEP,
        HELLO + b'{"decide":"cancel","more":%b}\n' % DEEP,
    ],
)
def test_deep_message_ends_its_connection_and_not_the_server(run: ServedRun, sent: bytes) -> None:
    run.record(begun())
    connection = connect(run.directory)
    connection.settimeout(TIMEOUT)
    connection.sendall(sent)
    _read_to_end(connection)
    assert run.connect("operate").operator.name


def _read_to_end(connection: socket.socket) -> None:
    with connection:
        try:
            while connection.recv(65536):
                pass
        except ConnectionResetError:
            pass


def test_deep_message_of_a_supervisor_is_a_malformed_one() -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        protocol.decode_server_message(b'{"says":"ended","more":%b}' % DEEP)


# ── a kernel ─────────────────────────────────────────────────────────────────────────────────


def received(kind: str, content: bytes) -> object:
    session = Session(key=b"one key")
    header, parent = {"msg_type": kind, "msg_id": "m1"}, {"msg_id": "r1"}
    frames = [json.dumps(header).encode(), json.dumps(parent).encode(), b"{}", content]
    parts = [b"<IDS|MSG>", session.sign(frames), *frames]
    found = kernel_protocol.unpack(parts, session.sign)
    if kind == "execute_reply":
        return kernel_protocol.replied("r1", found["content"])
    return kernel_protocol.as_message("r1", kind, found["content"])


def nested(levels: int) -> bytes:
    return b'{"data":{"text/plain":"whole","application/json":%b},"metadata":{}}' % (
        b'{"a":[' * (levels // 2) + b'"hunter2"' + b"]}" * (levels // 2)
    )


@pytest.mark.parametrize("levels", [100, 180, 400, 900, 20_000])
def test_output_of_any_depth_can_be_redacted_and_recorded(levels: int) -> None:
    shown = received("display_data", nested(levels))
    assert isinstance(shown, Displayed)
    event = ev.Output(step="s", attempt=1, output=shown.output)
    (redacted,) = Redaction({"word": "hunter2"}).redact_event(event)
    assert isinstance(redacted, ev.Output)
    text = json.dumps(redacted.output)
    assert ("[secret:word]" in text) == (levels < 200)
    assert (kernel_protocol.TOO_DEEP in text) == (levels > 200)
    assert ("whole" in text) == (levels < 1000)


def test_reply_that_is_too_deep_to_read_is_a_failed_one() -> None:
    reply = received("execute_reply", b'{"status":"ok","payload":%b}' % DEEP)
    assert isinstance(reply, Replied)
    assert (reply.status, reply.evalue) == ("error", kernel_protocol.TOO_DEEP)


CELL = """from IPython.display import display
import sys
value = {}
for _ in range(900): value = {'a': value}
sys.setrecursionlimit(100_000)
display({'application/json': value, 'text/plain': 'shown'}, raw=True)"""


def test_run_with_patterns_to_redact_goes_on_after_a_deep_output(
    desk: Desk,
) -> None:
    desk.book(code(CELL, id="deep"), code("print('went' + ' on')", id="next"))
    (desk.folder / "nbrun.toml").write_text("[redact]\npatterns = ['hunter[0-9]']\n")
    done = desk.unattended()
    assert done.returncode == 0, done.stdout + done.stderr
    assert desk.printed("next") == "went on\n"
