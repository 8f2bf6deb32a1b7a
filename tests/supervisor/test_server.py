"""The server on a run's socket: whom it admits, what it sends, and what reaches the engine."""

import os
import subprocess
import sys
import time

import msgspec
import pytest

from nbrun.core import decisions
from nbrun.core import events as ev
from nbrun.engine.engine import SubmittedDecision
from nbrun.errors import JournalError, RefusedAttachError
from nbrun.supervisor import protocol, server
from nbrun.supervisor.client import connect
from nbrun.supervisor.protocol import Hello
from tests.support.build_events import attempted, begun, note_added
from tests.support.served_run import TIMEOUT, ServedRun, receive_through, receive_until

# ── an engine that fails early ───────────────────────────────────────────────────────────────


def test_failure_before_the_first_client_is_sent_to_it(run: ServedRun) -> None:
    """A console may take longer to start than a disk to fill."""
    run.record(begun())
    run.server.fail(JournalError("the disk is full"))
    client = run.connect("follow")
    receive_until(client, lambda: client.failure)
    assert client.failure is not None
    assert client.failure.why == "the disk is full"


def test_failed_server_waits_briefly_for_a_first_client(
    run: ServedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_FIRST_CONSOLE_TIMEOUT", 0.2)
    run.server.fail(JournalError("the disk is full"))
    run.thread.join(TIMEOUT)
    assert not run.thread.is_alive()


# ── admission ────────────────────────────────────────────────────────────────────────────────


def test_operator_is_identified_by_the_system_and_recorded(run: ServedRun) -> None:
    client = run.connect()
    assert client.operator.uid == os.getuid()
    assert run.next_in_inbox() == ev.OperatorAttached(operator=client.operator)


def test_second_operator_is_refused_and_told_who_is_attached(run: ServedRun) -> None:
    first = run.connect()
    with pytest.raises(RefusedAttachError, match=f"{first.operator.name}.*--take-over"):
        run.connect()


def test_displaced_operator_is_told_by_whom_and_then_ignored(run: ServedRun) -> None:
    first = run.connect()
    run.next_in_inbox()
    second = run.connect("take_over")
    receive_until(first, lambda: first.taken_over_by)
    assert first.taken_over_by == second.operator
    detached = run.next_in_inbox()
    assert isinstance(detached, ev.OperatorDetached)
    assert "took over" in detached.why
    assert isinstance(run.next_in_inbox(), ev.OperatorAttached)
    first.send(decisions.Cancel())
    first.receive()
    second.send(decisions.AddNote(text="mine"))
    receive_until(second, lambda: not run.inbox.empty())
    assert run.next_in_inbox() == SubmittedDecision(decisions.AddNote(text="mine"), second.operator)


def test_any_number_of_followers_attach_no_operator(run: ServedRun) -> None:
    records = run.record(begun())
    for _ in range(5):
        assert receive_through(run.connect("follow"), 1) == records
    assert run.inbox.empty()


CONNECT_AS_NOBODY = """
import os, socket, sys
os.setgid(65534); os.setuid(65534)
connection = socket.socket(socket.AF_UNIX)
try:
    connection.connect(sys.argv[1])
    try:
        connection.sendall(b'{"purpose":"operate"}\\n{"decision":"cancel"}\\n')
    except BrokenPipeError:
        pass  # refused before it could send anything: the reply can still be read
    print(connection.recv(4096).decode())
except OSError as error:
    print(error.strerror)
"""


def test_program_decides_beside_the_console_and_is_recorded_as_program(run: ServedRun) -> None:
    console = run.connect()
    run.next_in_inbox()
    program = run.connect("decide")
    assert program.operator == msgspec.structs.replace(console.operator, channel="program")
    program.send(decisions.Retry(expect_seq=4))
    receive_until(program, lambda: not run.inbox.empty())
    assert run.next_in_inbox() == SubmittedDecision(decisions.Retry(expect_seq=4), program.operator)
    program.detach()
    console.send(decisions.AddNote(text="still here"))
    receive_until(console, lambda: not run.inbox.empty())
    assert run.next_in_inbox() == SubmittedDecision(
        decisions.AddNote(text="still here"), console.operator
    )


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be a second user")
@pytest.mark.parametrize("can_reach_socket", [False, True])
def test_other_user_is_refused_even_if_modes_allow(run: ServedRun, can_reach_socket: bool) -> None:
    path = run.directory.socket.readlink()
    if can_reach_socket:  # whatever the modes, the peer's uid is checked
        path.parent.parent.chmod(0o755)
        path.parent.chmod(0o755)
        path.chmod(0o777)
    done = subprocess.run(
        [sys.executable, "-c", CONNECT_AS_NOBODY, str(path)],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    expected = '"says":"refused"' if can_reach_socket else "Permission denied"
    assert expected in done.stdout, done
    client = run.connect()  # nobody else is attached
    assert run.next_in_inbox() == ev.OperatorAttached(operator=client.operator)
    assert run.inbox.empty()


def test_identity_that_a_client_claims_is_ignored(run: ServedRun) -> None:
    raw = connect(run.directory)
    raw.sendall(b'{"purpose":"operate","uid":0,"operator":{"uid":0,"name":"god","via":"sky"}}\n')
    attached = run.next_in_inbox()
    assert isinstance(attached, ev.OperatorAttached)
    assert attached.operator.name != "god"
    raw.close()


@pytest.mark.parametrize(
    "line",
    [b"what?\n", b'{"purpose":"rule"}\n', b'{"purpose":"operate"}\n{"decision":"explode"}\n'],
)
def test_invalid_message_drops_its_client_alone(run: ServedRun, line: bytes) -> None:
    other = run.connect("follow")
    raw = connect(run.directory)
    raw.settimeout(TIMEOUT)
    raw.sendall(line)
    while raw.recv(4096):
        pass
    raw.close()
    records = run.record(begun())
    assert receive_through(other, 1) == records


# ── progress of the journal ──────────────────────────────────────────────────────────────────


def test_late_client_receives_all_records(run: ServedRun) -> None:
    records = run.record([*begun(), *attempted()])
    assert receive_through(run.connect(), records[-1].seq) == records


def test_constant_progress_is_sent_twenty_times_a_second(run: ServedRun) -> None:
    client, rounds = run.connect(), 20
    began = time.monotonic()
    run.record(begun())
    for _ in range(rounds):
        (last,) = run.record([note_added()])
        receive_through(client, last.seq)
    # One fewer: the first note may be announced together with the records before it.
    expected = (rounds - 1 - server._NOTIFY_BURST) * server._NOTIFY_INTERVAL
    assert time.monotonic() - began >= expected > 0


def test_stalled_client_delays_nobody(run: ServedRun) -> None:
    stalled = connect(run.directory)
    stalled.sendall(protocol.encode(Hello(purpose="operate")))
    (record,) = run.record([begun()[0]])
    for _ in range(100_000):
        run.server.publish([record])
    records = run.record([begun()[1]])
    assert receive_through(run.connect("follow"), 1)[-1:] == records
    stalled.close()


# ── decisions and departures ─────────────────────────────────────────────────────────────────


def test_decision_reaches_the_engine_with_its_operator(run: ServedRun) -> None:
    client = run.connect()
    run.next_in_inbox()
    edit = decisions.Edit(source="caf\u00e9\n" * 100_000, reason="why\nnot")
    client.send(edit)
    receive_until(client, lambda: not run.inbox.empty())
    assert run.next_in_inbox() == SubmittedDecision(edit, client.operator)


def test_departure_is_distinguished_from_a_lost_connection(run: ServedRun) -> None:
    client = run.connect()
    run.next_in_inbox()
    client.detach("lunch")
    assert run.next_in_inbox() == SubmittedDecision(
        decisions.Detach(reason="lunch"), client.operator
    )
    lost = run.connect()
    assert isinstance(run.next_in_inbox(), ev.OperatorAttached)
    lost.close()
    assert run.next_in_inbox() == ev.OperatorDetached(
        operator=lost.operator, why="the terminal was lost", lost=True
    )
    run.connect()
