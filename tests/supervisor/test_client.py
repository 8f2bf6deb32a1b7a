"""The way between a run's supervisor and its consoles, over a real socket."""

import os
import queue
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from nbrun.core import decisions
from nbrun.core import events as ev
from nbrun.core.events import Event, Record
from nbrun.engine.engine import Inbox, Ordered
from nbrun.errors import JournalError, NbrunError, NoSupervisorError, RefusedAttachError
from nbrun.journal.run_directory import RunDirectory
from nbrun.journal.writer import Journal
from nbrun.supervisor import protocol, server
from nbrun.supervisor.client import JournalClient, SocketClient, connect
from nbrun.supervisor.listener import Listener
from nbrun.supervisor.protocol import Hello, Purpose
from nbrun.supervisor.server import Server
from tests.support.build_events import attempted, begun, note_added, run_finished

PATIENCE = 30.0  # seconds


class House:
    """A run's folder with its journal, and a server of it."""

    def __init__(self, folder: Path) -> None:
        self.directory = RunDirectory(folder)
        self.journal = Journal.create(self.directory.journal)
        self.inbox: Inbox = queue.SimpleQueue()
        self.listener = Listener(self.directory.socket)
        self.server = Server(self.listener, self.inbox)
        self.thread = threading.Thread(target=self.server.serve)
        self.thread.start()
        self.links: list[SocketClient] = []

    def link(self, purpose: Purpose = "operate") -> SocketClient:
        self.links.append(SocketClient(self.directory, purpose))
        return self.links[-1]

    def record(self, events: Sequence[Event]) -> list[Record]:
        """As the engine does: into the journal, then told."""
        records = self.journal.append(events, sync=True)
        self.server.publish(records)
        return records

    def heard(self) -> object:
        return self.inbox.get(timeout=PATIENCE)

    def end(self) -> None:
        self.server.end()
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        monkeypatch.setenv("XDG_RUNTIME_DIR", short)
        made = House(tmp_path)
        yield made
        made.end()
        made.journal.close()


def seen(link: SocketClient | JournalClient, wanted: Callable[[], object]) -> list[Record]:
    """What a link gives until `wanted` holds; it is looked at when the link says that there is
    something."""
    deadline, records = time.monotonic() + PATIENCE, []
    while not wanted():
        assert time.monotonic() < deadline
        select.select([link], [], [], 0.1)
        records += link.receive()
    return records


def until(link: SocketClient, seq: int) -> list[Record]:
    records: list[Record] = []

    def there() -> bool:
        records.extend(link.receive())
        return bool(records) and records[-1].seq == seq

    deadline = time.monotonic() + PATIENCE
    while not there():
        assert time.monotonic() < deadline
        select.select([link], [], [], 0.1)
    return records


def test_a_run_that_fails_before_anybody_has_come_tells_the_first_who_comes(house: House) -> None:
    """A console may take longer to come up than a disk to fill."""
    house.record(begun())
    house.server.fail(JournalError("the disk is full"))
    link = house.link("follow")
    seen(link, lambda: link.failure)
    assert link.failure is not None
    assert link.failure.why == "the disk is full"


def test_a_run_that_has_failed_waits_for_nobody_for_long(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_FIRST_CONSOLE_TIMEOUT", 0.2)
    house.server.fail(JournalError("the disk is full"))
    house.thread.join(PATIENCE)
    assert not house.thread.is_alive()


# ── Coming in ────────────────────────────────────────────────────────────────────────────────


def test_an_operator_is_who_the_system_says_and_the_engine_hears_of_it(house: House) -> None:
    link = house.link()
    assert link.operator.uid == os.getuid()
    assert house.heard() == ev.OperatorAttached(operator=link.operator)


def test_who_comes_late_gets_all_there_is(house: House) -> None:
    told = house.record([*begun(), *attempted()])
    assert until(house.link(), told[-1].seq) == told


def test_news_that_never_end_are_told_twenty_times_a_second(house: House) -> None:
    link, rounds = house.link(), 20
    began = time.monotonic()
    house.record(begun())
    for _ in range(rounds):
        (last,) = house.record([note_added()])
        until(link, last.seq)
    # One fewer: the first note may be announced together with the records before it.
    seldom = (rounds - 1 - server._NOTIFY_BURST) * server._NOTIFY_INTERVAL
    assert time.monotonic() - began >= seldom > 0


def test_nothing_is_shown_before_the_journal_surely_has_it(house: House) -> None:
    house.record(begun())
    link = house.link()
    until(link, 1)
    unsafe = house.journal.append([note_added()], sync=False)
    link.wake()
    select.select([link], [], [], 1)
    assert link.receive() == []
    house.server.publish(unsafe)
    assert until(link, 2) == unsafe


def test_a_second_operator_is_refused_and_told_who_is_there(house: House) -> None:
    first = house.link()
    with pytest.raises(RefusedAttachError, match=f"{first.operator.name}.*--take-over"):
        house.link()


def test_whoever_is_taken_over_from_is_told_by_whom(house: House) -> None:
    first = house.link()
    house.heard()
    second = house.link("take_over")
    seen(first, lambda: first.taken_over_by)
    assert first.taken_over_by == second.operator
    gone = house.heard()
    assert isinstance(gone, ev.OperatorDetached)
    assert "took over" in gone.why
    assert isinstance(house.heard(), ev.OperatorAttached)
    first.send(decisions.Cancel())
    first.receive()
    second.send(decisions.AddNote(text="mine"))
    seen(second, lambda: not house.inbox.empty())
    assert house.heard() == Ordered(decisions.AddNote(text="mine"), second.operator)


def test_those_who_follow_are_as_many_as_like_and_attach_nobody(house: House) -> None:
    told = house.record(begun())
    for _ in range(5):
        assert until(house.link("follow"), 1) == told
    assert house.inbox.empty()


# ── Deciding ─────────────────────────────────────────────────────────────────────────────────


def test_decisions_reach_the_engine_with_who_made_them(house: House) -> None:
    link = house.link()
    house.heard()
    link.send(decisions.Edit(source="caf\u00e9\n" * 100_000, reason="why\nnot"))
    seen(link, lambda: not house.inbox.empty())
    edited = decisions.Edit(source="caf\u00e9\n" * 100_000, reason="why\nnot")
    assert house.heard() == Ordered(edited, link.operator)


def test_what_a_console_says_of_itself_is_not_believed(house: House) -> None:
    raw = connect(house.directory)
    raw.sendall(b'{"purpose":"operate","uid":0,"operator":{"uid":0,"name":"god","via":"sky"}}\n')
    attached = house.heard()
    assert isinstance(attached, ev.OperatorAttached)
    assert attached.operator.name != "god"
    raw.close()


@pytest.mark.parametrize(
    "line",
    [b"what?\n", b'{"purpose":"rule"}\n', b'{"purpose":"operate"}\n{"decision":"explode"}\n'],
)
def test_one_that_speaks_another_language_is_dropped_and_the_others_stay(
    house: House, line: bytes
) -> None:
    other = house.link("follow")
    raw = connect(house.directory)
    raw.settimeout(PATIENCE)
    raw.sendall(line)
    while raw.recv(4096):
        pass
    raw.close()
    told = house.record(begun())
    assert until(other, 1) == told


def test_a_line_that_never_ends_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "MAX_MESSAGE", 10)
    lines = protocol.LineBuffer()
    assert lines.feed(b"12345\n678") == [b"12345"]
    with pytest.raises(ValueError, match="does not end"):
        lines.feed(b"90123456")


# ── Going ────────────────────────────────────────────────────────────────────────────────────


def test_a_console_that_says_goodbye_is_told_from_one_that_is_lost(house: House) -> None:
    link = house.link()
    house.heard()
    link.detach("lunch")
    assert house.heard() == Ordered(decisions.Detach(reason="lunch"), link.operator)
    lost = house.link()
    assert isinstance(house.heard(), ev.OperatorAttached)
    lost.close()
    assert house.heard() == ev.OperatorDetached(operator=lost.operator, why="the terminal was lost")
    house.link()


def test_a_console_that_reads_nothing_holds_up_nobody(house: House) -> None:
    stalled = connect(house.directory)
    stalled.sendall(protocol.encode(Hello(purpose="operate")))
    (record,) = house.record([begun()[0]])
    for _ in range(100_000):
        house.server.publish([record])
    told = house.record([begun()[1]])
    assert until(house.link("follow"), 1)[-1:] == told
    stalled.close()


def test_the_end_is_told_when_all_was_received(house: House) -> None:
    link = house.link()
    told = house.record([*begun(), run_finished()])
    house.end()
    records = seen(link, lambda: link.closed)
    assert records == told
    assert link.ended
    assert not house.directory.socket.is_symlink()
    with pytest.raises(NoSupervisorError):
        house.link()


def test_what_ended_the_supervisor_is_told(house: House) -> None:
    link = house.link()
    house.server.fail(JournalError("the disk is full"))
    seen(link, lambda: link.closed)
    assert link.failure is not None
    assert (link.failure.why, link.failure.exit_code) == ("the disk is full", 1)


def test_a_supervisor_that_is_gone_without_a_word_is_noticed(house: House) -> None:
    link = house.link()
    for connection in list(house.server._connections):
        connection.socket.shutdown(socket.SHUT_RDWR)
    seen(link, lambda: link.closed)
    assert link.disconnected
    assert not link.ended


# ── The socket ───────────────────────────────────────────────────────────────────────────────


def test_the_socket_is_this_users_alone(house: House) -> None:
    path = house.directory.socket.readlink()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert len(str(path)) < 100


def test_a_socket_whose_folder_is_removed_is_made_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nbrun.supervisor.server._SOCKET_CHECK_INTERVAL", 0.05)
    link = house.link()
    gone = house.directory.socket.readlink()
    gone.unlink()
    gone.parent.rmdir()
    house.server.wake()
    again = house.link("follow")  # waits for it
    assert house.directory.socket.readlink() != gone
    link.detach()
    told = house.record(begun())
    assert until(again, 1) == told


def test_sockets_of_the_dead_are_removed_and_those_of_the_living_stay(
    house: House, tmp_path: Path
) -> None:
    alive = house.directory.socket.readlink()
    dead = alive.with_name("0123456789abcdef.sock")
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(dead))
    other = Listener(tmp_path / "other")
    assert not dead.exists()
    assert alive.exists()
    other.close()


def test_a_folder_of_another_kind_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nbrun").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    listener = Listener(tmp_path / "socket")
    assert (tmp_path / "socket").readlink().parent != tmp_path / "nbrun"
    listener.close()


def test_no_place_at_all_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    monkeypatch.setattr(
        "nbrun.supervisor.listener._socket_directories", lambda: [blocked / "x", blocked]
    )
    with pytest.raises(NbrunError, match="can't create the run's socket"):
        Listener(tmp_path / "socket")


KNOCK = """
import os, socket, sys
os.setgid(65534); os.setuid(65534)
knock = socket.socket(socket.AF_UNIX)
try:
    knock.connect(sys.argv[1])
    try:
        knock.sendall(b'{"purpose":"operate"}\\n{"decision":"cancel"}\\n')
    except BrokenPipeError:
        pass  # turned away before it could say anything: the answer is there to be read
    print(knock.recv(4096).decode())
except OSError as error:
    print(error.strerror)
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be a second user")
@pytest.mark.parametrize("is_let_near", [False, True])
def test_another_user_decides_nothing(house: House, is_let_near: bool) -> None:
    path = house.directory.socket.readlink()
    if is_let_near:  # whatever the modes, the peer's uid is looked at
        path.parent.parent.chmod(0o755)
        path.parent.chmod(0o755)
        path.chmod(0o777)
    told = subprocess.run(
        [sys.executable, "-c", KNOCK, str(path)],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    expected = '"says":"refused"' if is_let_near else "Permission denied"
    assert expected in told.stdout, told
    link = house.link()  # nobody is attached
    assert house.heard() == ev.OperatorAttached(operator=link.operator)
    assert house.inbox.empty()


# ── Looking on ───────────────────────────────────────────────────────────────────────────────


def test_who_looks_on_sees_all_to_the_end_without_a_socket(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path / "journal.jsonl")
    link = JournalClient(journal.path)
    told = journal.append(begun(), sync=False)
    assert link.receive() == told
    told += journal.append([run_finished()], sync=False)
    journal.close()
    link = JournalClient(journal.path)
    assert seen(link, lambda: link.closed) == told
    assert link.ended


def test_who_looks_on_at_a_run_that_is_killed_is_not_kept_waiting(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path / "journal.jsonl")
    told = journal.append(begun(), sync=False)
    link = JournalClient(journal.path)
    journal.close()
    assert seen(link, lambda: link.closed) == told
    assert not link.ended
