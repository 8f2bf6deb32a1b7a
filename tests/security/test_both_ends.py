"""Attacks on the two ends of a run's socket: false supervisors, and hostile clients."""

import os
import pwd
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nbrun.cli.commands.operate import approve
from nbrun.core import decisions
from nbrun.core import events as ev
from nbrun.core.events import Event, Record
from nbrun.errors import NoSupervisorError, RefusedAttachError, UsageError
from nbrun.journal import own_runs
from nbrun.journal.run_directory import RunDirectory
from nbrun.supervisor import admission, peer_check, protocol, server
from nbrun.supervisor.admission import Admission
from nbrun.supervisor.client import SocketClient, connect
from nbrun.supervisor.protocol import Hello, Purpose
from nbrun.system.peer_credentials import Peer
from tests.support.build_events import (
    begun,
    decision_refused,
    kernel_started,
    operator,
    run_started,
    stopped,
    write,
)
from tests.support.other_users import OtherUsers
from tests.support.served_run import TIMEOUT, ServedRun
from tests.support.terminal import Desk, wait_until

only_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can be a second user")

# As another user: listens on a socket, welcomes whoever comes, and writes down what it receives.
FALSE_SUPERVISOR = """
import os, socket, sys
place, told, uid = sys.argv[1:]
file = open(told, "ab", 0)
os.setgid(int(uid)); os.setuid(int(uid))
listening = socket.socket(socket.AF_UNIX)
listening.bind(place)
listening.listen()
os.chmod(place, 0o777)
print("listening", flush=True)
while True:
    connection, _ = listening.accept()
    connection.sendall(b'{"says":"welcome","operator":{"uid":0,"name":"you","via":"here"}}\\n')
    try:
        while data := connection.recv(4096): file.write(data)
    except OSError: pass
"""


class FalseSupervisor:
    """A supervisor of the user `uid`, and a folder in which everybody can reach its socket."""

    def __init__(self, uid: int) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="nbrun-false-", dir="/tmp"))
        self.folder.chmod(0o755)
        place = self.folder / "nbrun-1000"
        place.mkdir(mode=0o711)
        place.chmod(0o711)
        os.chown(place, uid, -1)
        self.socket = place / "0123456789abcdef.sock"
        self._told = self.folder / "told"
        self._process = subprocess.Popen(
            [sys.executable, "-c", FALSE_SUPERVISOR, self.socket, self._told, str(uid)],
            stdout=subprocess.PIPE,
            cwd="/",
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"listening\n"

    def received(self) -> bytes:
        return self._told.read_bytes()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()
        shutil.rmtree(self.folder)


def planted_run(
    folder: Path, uid: int, false: FalseSupervisor, *more: Event, **plan: Any
) -> RunDirectory:
    """Return a waiting run that the user `uid` wrote, with a link to a false supervisor."""
    folder.mkdir(mode=0o755)
    events = [run_started(**plan), kernel_started(), stopped("paused"), *more]
    write(folder / "journal.jsonl", events)
    (folder / "journal.jsonl").chmod(0o644)
    (folder / "socket").symlink_to(false.socket)
    for path in (folder, folder / "journal.jsonl"):
        os.chown(path, uid, uid)
    return RunDirectory(folder)


# ── False supervisors ────────────────────────────────────────────────────────────────────────


@pytest.fixture
def false(request: pytest.FixtureRequest) -> Iterator[FalseSupervisor]:
    if os.getuid() != 0:
        pytest.skip("only root can be a second user")
    made = FalseSupervisor(getattr(request, "param", 65534))
    yield made
    made.close()


@pytest.mark.parametrize("purpose", ["operate", "take_over", "follow"])
def test_client_sends_nothing_to_another_user_than_the_owner(
    false: FalseSupervisor, tmp_path: Path, purpose: Purpose
) -> None:
    """Another user put a socket in the place of the run's own."""
    directory = planted_run(tmp_path / "run", 0, false)
    with pytest.raises(NoSupervisorError, match="belongs to nobody"):  # the folder of the socket
        SocketClient(directory, purpose)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(false.socket))
        with pytest.raises(RefusedAttachError, match=r"belongs to nobody .*, and the run to root"):
            peer_check.require_owner(connection, directory, purpose)
    assert false.received() == b""


def test_attach_sends_nothing_to_a_planted_run(other_users: OtherUsers) -> None:
    """A colleague planted a whole run, whose supervisor would ask for a password."""
    colleague = pwd.getpwnam(other_users.user).pw_uid
    false = FalseSupervisor(colleague)
    directory = planted_run(false.folder / "20261123-093000-restore-ab12", colleague, false)
    (false.folder / "desk").mkdir()
    desk = Desk(false.folder / "desk")
    desk.nbrun = [*other_users.as_operator(), other_users.python, "-m", "nbrun"]
    desk.variables = dict(other_users.variables)
    terminal = desk.open("attach", str(directory.path))
    try:
        assert terminal.wait() not in (0, 8)
        assert "but its files belong to" in terminal.words()
        assert false.received() == b""
    finally:
        desk.close()
        false.close()


def test_attach_asks_before_it_sends_anything_to_a_run_offered_by_another(
    other_users: OtherUsers,
) -> None:
    """A colleague planted a run in their own name that offers itself to the operator."""
    colleague, me = (pwd.getpwnam(each) for each in (other_users.user, other_users.operator))
    false = FalseSupervisor(colleague.pw_uid)
    planter = operator(colleague.pw_name, colleague.pw_uid)
    offer = ev.HandoverOffered(operator=planter, to=me.pw_name, to_uid=me.pw_uid)
    folder = false.folder / "20261123-093000-restore-ab12"
    directory = planted_run(folder, colleague.pw_uid, false, offer, operator=planter)
    (false.folder / "desk").mkdir()
    desk = Desk(false.folder / "desk")
    desk.nbrun = [*other_users.as_operator(), other_users.python, "-m", "nbrun"]
    desk.variables = dict(other_users.variables)
    terminal = desk.open("attach", str(directory.path))
    try:
        terminal.answer("accept this run, and operate it? [y/N]", "n")
        assert terminal.wait() == 2
        assert f"owner {colleague.pw_name} (uid {colleague.pw_uid})" in terminal.words()
        assert false.received() == b""
    finally:
        desk.close()
        false.close()


@only_root
def test_record_in_another_name_is_not_approved(false: FalseSupervisor, tmp_path: Path) -> None:
    """The record says that ada, uid 1000, began it; its files are somebody else's."""
    directory = planted_run(tmp_path / "run", 65534, false)
    state = approve.fold(each.event for each in approve.JournalReader(directory.journal))
    with pytest.raises(UsageError, match=r"says that ada .* but its files belong to nobody"):
        own_runs.require_recorded_owner(directory, state.plan.operator)


def test_link_to_another_run_reaches_no_run(run: ServedRun, tmp_path: Path) -> None:
    """`nbrun cancel` of a planted run must not cancel the run that its link leads to."""
    run.record(begun())
    planted = RunDirectory(tmp_path / "planted")
    planted.path.mkdir()
    write(planted.journal, begun())
    planted.socket.symlink_to(run.directory.socket.readlink())
    with pytest.raises(RefusedAttachError, match=f"the supervisor of {run.directory.id}, not of"):
        SocketClient(planted, "follow")
    assert run.inbox.empty()


# ── Hostile clients ──────────────────────────────────────────────────────────────────────────


def closed(connection: socket.socket) -> bool:
    """Wait until the server has closed the connection."""
    connection.settimeout(TIMEOUT)
    try:
        while connection.recv(65536):
            pass
    except ConnectionResetError:
        pass
    return True


def test_client_that_says_nothing_is_dropped(
    run: ServedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_HELLO_TIMEOUT", 0.1)
    monkeypatch.setattr(server, "_SOCKET_CHECK_INTERVAL", 0.05)
    run.server.wake()
    silent = connect(run.directory)
    assert closed(silent)
    admitted = run.connect("follow")
    assert admitted.operator.pid == os.getpid()


def test_endless_message_is_dropped(run: ServedRun) -> None:
    endless = connect(run.directory)
    endless.sendall(protocol.encode(Hello(purpose="follow")))
    with pytest.raises(OSError):
        for _ in range(10 * protocol.MAX_FOLLOWER_MESSAGE // 4096):
            endless.sendall(b"x" * 4096)
    endless.close()


def test_server_without_descriptors_pauses_and_accepts_again(
    run: ServedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_SOCKET_CHECK_INTERVAL", 0.05)
    run.server.wake()
    path = str(run.directory.socket.readlink())
    connection = socket.socket(socket.AF_UNIX)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, limits[1]))
    try:
        connection.connect(path)
        wait_until(lambda: run.server._accept_again_at is not None, TIMEOUT)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    connection.sendall(protocol.encode(Hello(purpose="follow")))
    connection.settimeout(TIMEOUT)
    assert b'"says":"welcome"' in connection.recv(4096)
    connection.close()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


GUEST = os.getuid() + 1


def test_guest_may_hold_few_connections() -> None:
    rules = Admission(is_shared=True)
    peer = Peer(pid=os.getpid(), uid=GUEST)
    assert rules.stranger_refusal(peer, 7) is None
    assert "close some" in str(rules.stranger_refusal(peer, 8))
    assert rules.stranger_refusal(Peer(pid=1, uid=os.getuid()), 8) is None


def test_guest_who_connects_too_often_is_refused_without_affecting_others() -> None:
    clock = Clock()
    rules = Admission(is_shared=True, clock=clock)
    guest = Peer(pid=os.getpid(), uid=GUEST)
    answers = [rules.process_refusal(guest) for _ in range(100)]
    assert answers[:20] == [None] * 20
    assert all("too often" in str(answer) for answer in answers[20:])
    assert rules.process_refusal(Peer(pid=os.getpid(), uid=GUEST + 1)) is None
    clock.now += 1.0
    assert [rules.process_refusal(guest) for _ in range(3)].count(None) == 2


def test_refused_approvals_do_not_fill_the_journal() -> None:
    """Somebody sends the same stale approval all day, as often as they can."""
    clock = Clock()
    rules = Admission(is_shared=True, clock=clock)
    recorded, eve = 0, operator("eve", GUEST)
    stale = decisions.Approve(binding="0")
    while clock.now < 24 * 3600:
        clock.now += 0.5
        if rules.haste_refusal(stale, eve) is None:
            recorded += 1
            rules.note(_record(decision_refused("approve", by=eve)))
    assert recorded < 50
    assert rules.haste_refusal(decisions.Cancel(), operator("ada", os.getuid())) is None
    assert rules.haste_refusal(stale, operator("grace", GUEST + 1)) is None


def test_program_decides_at_a_limited_rate_without_affecting_its_person() -> None:
    rules = Admission(is_shared=False, clock=Clock())
    person = operator("ada", os.getuid())
    program = msgspec.structs.replace(person, channel="program")
    answers = [rules.haste_refusal(decisions.Retry(), program) for _ in range(100)]
    assert answers[:20] == [None] * 20
    assert all("too often" in str(answer) for answer in answers[20:])
    assert rules.haste_refusal(decisions.Cancel(), person) is None


def test_guest_may_not_decide_as_a_program_either() -> None:
    rules = Admission(is_shared=True)
    program = msgspec.structs.replace(operator("eve", GUEST), channel="program")
    assert "approve or reject" in str(rules.decision_refusal(decisions.Retry(), program))
    assert rules.decision_refusal(decisions.Approve(binding="0"), program) is None
    own = msgspec.structs.replace(program, uid=os.getuid())
    assert rules.decision_refusal(decisions.Retry(), own) is None
    person = operator("ada", os.getuid())
    assert "only the console" in str(rules.decision_refusal(decisions.Retry(), person))


def _record(event: ev.Event) -> Record:
    return Record(seq=0, at="", mono=0.0, event=event, prev="", hash="")


def test_refusals_are_recorded_at_powers_of_two() -> None:
    rules = Admission(is_shared=True)
    peer = Peer(pid=os.getpid(), uid=os.getuid())
    found = [rules.connection_refused(peer, admission.OF_KERNEL) for _ in range(1000)]
    assert [each.times for each in found if each] == [2**power for power in range(10)]
    assert rules.connection_refused(peer, "you connect too often: wait a moment") is None
