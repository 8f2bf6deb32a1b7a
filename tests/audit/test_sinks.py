"""Test sinks: what a syslog daemon or a command receives, and what counts as sent."""

import hashlib
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbrun.audit import sinks
from nbrun.audit.sinks import (
    CommandSink,
    JournalLine,
    LocalSyslog,
    RemoteSyslog,
    sink,
    syslog_message,
)
from nbrun.errors import ForwardingError
from nbrun.system import processes

RUN = "20261123-093000-restore-ab12"


def line(
    seq: int = 0, content: bytes = b'{"v":1}', event: str = "output", run: str = RUN
) -> JournalLine:
    return JournalLine(
        run=run,
        seq=seq,
        at="2026-11-23T09:30:00.000000Z",
        event=event,
        content=content,
        hash=hashlib.sha256(content).hexdigest(),
    )


def test_syslog_message_follows_rfc_5424(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "db 1é")
    message = syslog_message(line(event="attempt.started"), '{"é":1}'.encode())
    head, _, content = message.partition(b" - ")
    assert head == (
        f"<134>1 2026-11-23T09:30:00.000000Z db-1? nbrun {RUN} attempt.started".encode()
    )
    assert content == '{"é":1}'.encode()


def test_syslog_header_is_ascii_for_run_id_outside_ascii() -> None:
    message = syslog_message(line(run="20261123-093000-пример-ab12"), b"{}")
    assert message.startswith(b"<134>1 2026-11-23T09:30:00.000000Z ")
    assert b" nbrun 20261123-093000-??????-ab12 output - {}" in message


def test_sink_is_chosen_by_configuration() -> None:
    assert isinstance(sink(["syslog"]), LocalSyslog)
    remote = sink(["syslog://[::1]:601"])
    assert isinstance(remote, RemoteSyslog)
    assert remote.name == "syslog://::1:601"
    assert isinstance(sink(["syslog", "and"][:1]), LocalSyslog)
    assert isinstance(sink(["cat", "-"]), CommandSink)


# ── local syslog ────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[tuple[LocalSyslog, socket.socket]]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        path = str(tmp_path / "log")
        listening.bind(path)
        listening.settimeout(10)
        yield LocalSyslog(path), listening


def test_local_syslog_sends_each_line_as_datagram(
    daemon: tuple[LocalSyslog, socket.socket],
) -> None:
    local, listening = daemon
    local.send([line(0, b"zero"), line(1, b"one")])
    assert [listening.recv(9999).rpartition(b" ")[2] for _ in range(2)] == [b"zero", b"one"]


def test_local_syslog_sends_hash_of_too_long_line(
    daemon: tuple[LocalSyslog, socket.socket],
) -> None:
    local, listening = daemon
    long = line(7, b"x" * 10_000_000)
    local.send([long, line(8, b"next")])
    told = json.loads(listening.recv(9999).partition(b" - ")[2])
    assert told == {"seq": 7, "event": "output", "bytes": 10_000_000, "sha256": long.hash}
    assert listening.recv(9999).endswith(b" - next")


def test_local_syslog_fails_without_daemon(tmp_path: Path) -> None:
    with pytest.raises(ForwardingError, match="No such file"):
        LocalSyslog(str(tmp_path / "none")).send([line()])


# ── remote syslog ───────────────────────────────────────────────────────────────────────────


class Remote:
    """A syslog daemon on a port of its own."""

    def __init__(self) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.frames: list[bytes] = []
        self.connections: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            self.connections.append(connection)
            threading.Thread(target=self._read, args=(connection.makefile("rb"),)).start()

    def _read(self, stream: object) -> None:
        while head := self._head(stream):
            self.frames.append(stream.read(int(head)))  # type: ignore[attr-defined]

    def _head(self, stream: object) -> bytes:
        digits = b""
        while (byte := stream.read(1)) not in (b" ", b""):  # type: ignore[attr-defined]
            digits += byte
        return digits

    def has(self, *endings: bytes) -> bool:
        return [frame.rpartition(b" ")[2] for frame in self.frames] == list(endings)


@pytest.fixture
def remote() -> Iterator[Remote]:
    made = Remote()
    yield made
    made.listening.close()
    for connection in made.connections:
        connection.close()


def wait_until(holds: object) -> None:
    deadline = time.monotonic() + 20
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_remote_syslog_frames_messages_by_length(remote: Remote) -> None:
    sender = RemoteSyslog("127.0.0.1", remote.port)
    sender.send([line(0, b"zero"), line(1, b"one")])
    sender.send([line(2, b"two")])
    wait_until(lambda: remote.has(b"zero", b"one", b"two"))
    assert len(remote.connections) == 1


def test_remote_syslog_reconnects_after_close(remote: Remote) -> None:
    sender = RemoteSyslog("127.0.0.1", remote.port)
    sender.send([line(0, b"zero")])
    wait_until(lambda: remote.has(b"zero"))
    remote.connections[0].shutdown(socket.SHUT_RDWR)
    wait_until(lambda: sinks._was_closed(sender._connection))  # type: ignore[arg-type]
    sender.send([line(1, b"one")])
    wait_until(lambda: remote.has(b"zero", b"one"))
    assert len(remote.connections) == 2


def test_remote_syslog_fails_without_listener() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ForwardingError, match="Connection refused"):
        RemoteSyslog("127.0.0.1", port).send([line()])


# ── a command ────────────────────────────────────────────────────────────────────────────────


def python(code: str) -> CommandSink:
    return CommandSink([sys.executable, "-c", code])


def test_command_sink_passes_lines_and_run_id(tmp_path: Path) -> None:
    got = tmp_path / "got"
    code = (
        "import os, sys\n"
        f"open({str(got)!r}, 'ab').write(os.environ['NBRUN_RUN'].encode()"
        " + b':' + sys.stdin.buffer.read())"
    )
    python(code).send([line(0, b"zero"), line(1, b"\xc3\xa9")])
    assert got.read_bytes() == RUN.encode() + b":zero\n\xc3\xa9\n"


def test_command_sink_fails_on_nonzero_exit() -> None:
    with pytest.raises(ForwardingError, match="exit 3: no room"):
        python("import sys; sys.stderr.write('no room\\n'); sys.exit(3)").send([line()])
    with pytest.raises(ForwardingError, match="No such file"):
        CommandSink(["/no/such/command"]).send([line()])


def test_command_sink_ends_command_after_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sinks, "TIMEOUT", 0.3)
    with pytest.raises(ForwardingError, match="did not end within"):
        python("import time; time.sleep(60)").send([line()])


def test_command_sink_accepts_command_that_reads_nothing() -> None:
    python("pass").send([line(content=b"x" * 1_000_000)])


# Starts a child, and a child in a session of its own, and waits. Each writes its process id.
FAMILY = """
import subprocess, sys, time
child = "echo $$ >> $0; exec sleep 600"
for apart in (False, True):
    subprocess.Popen(["sh", "-c", child, sys.argv[1]], start_new_session=apart)
time.sleep(float(sys.argv[2]))
"""


def family(pids: Path, seconds: float) -> CommandSink:
    return CommandSink([sys.executable, "-c", FAMILY, str(pids), str(seconds)])


def members(pids: Path) -> list[int]:
    """Wait until both children run, and return their process ids."""
    wait_until(lambda: pids.exists() and pids.read_text().count("\n") == 2)
    return [int(line) for line in pids.read_text().split()]


def test_command_is_killed_with_all_that_it_started_after_timeout(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sinks, "TIMEOUT", 3.0)
    with pytest.raises(ForwardingError, match="did not end within"):
        family(tmp_path / "pids", 600).send([line()])
    wait_until(lambda: not any(map(processes.exists, members(tmp_path / "pids"))))


def test_close_kills_a_command_at_work_and_starts_no_other(tmp_path: Path) -> None:
    sender = family(tmp_path / "pids", 600)
    failed: list[ForwardingError] = []

    def send() -> None:
        try:
            sender.send([line()])
        except ForwardingError as error:
            failed.append(error)

    thread = threading.Thread(target=send)
    thread.start()
    pids = members(tmp_path / "pids")
    sender.close()
    thread.join(20)
    assert len(failed) == 1
    wait_until(lambda: not any(map(processes.exists, pids)))
    with pytest.raises(ForwardingError, match="the run has ended"):
        sender.send([line()])


def test_command_that_leaves_a_process_behind_is_done_when_it_exits(tmp_path: Path) -> None:
    started = time.monotonic()
    family(tmp_path / "pids", 0).send([line()])
    assert time.monotonic() - started < sinks.TIMEOUT / 2
    for pid in members(tmp_path / "pids"):
        os.kill(pid, signal.SIGKILL)
