"""Clients of a run: what they receive, and how they learn of its end."""

import os
import select
import socket
from pathlib import Path

import pytest

from nbrun.core import decisions
from nbrun.errors import JournalError, NoSupervisorError
from nbrun.journal.writer import Journal
from nbrun.supervisor.client import JournalClient
from tests.support.build_events import begun, decision_refused, note_added, run_finished
from tests.support.served_run import ServedRun, receive_through, receive_until

# ── with a supervisor ────────────────────────────────────────────────────────────────────────


def test_record_is_not_received_before_it_is_published(run: ServedRun) -> None:
    run.record(begun())
    client = run.connect()
    receive_through(client, 1)
    unpublished = run.journal.append([note_added()], sync=False)
    client.wake()
    select.select([client], [], [], 1)
    assert client.receive() == []
    run.server.publish(unpublished)
    assert receive_through(client, 2) == unpublished


@pytest.mark.sweep
def test_client_closes_after_all_records_of_an_ended_run(run: ServedRun) -> None:
    client = run.connect()
    written = run.record([*begun(), run_finished()])
    run.end()
    records = receive_until(client, lambda: client.closed)
    assert records == written
    assert client.ended
    assert not run.directory.socket.is_symlink()
    with pytest.raises(NoSupervisorError):
        run.connect()


def test_client_receives_the_supervisors_failure(run: ServedRun) -> None:
    client = run.connect()
    run.server.fail(JournalError("the disk is full"))
    receive_until(client, lambda: client.closed)
    assert client.failure is not None
    assert (client.failure.why, client.failure.exit_code) == ("the disk is full", 1)


def test_client_detects_a_supervisor_that_is_gone(run: ServedRun) -> None:
    client = run.connect()
    for connection in list(run.server._connections):
        connection.socket.shutdown(socket.SHUT_RDWR)
    receive_until(client, lambda: client.closed)
    assert client.disconnected
    assert not client.ended


def test_client_leaves_a_supervisor_that_never_ends(
    run: ServedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nbrun.supervisor.client.END_TIMEOUT", 0.05)
    client = run.connect()
    assert not client.closed
    client.send(decisions.Cancel())
    receive_until(client, lambda: client.closed)
    assert f"kill -9 {os.getpid()}" in client.describe_loss()


def test_client_waits_on_if_its_cancellation_is_refused(
    run: ServedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nbrun.supervisor.client.END_TIMEOUT", 0.0)
    client = run.connect()
    client.send(decisions.Cancel())
    assert client.is_overdue
    run.record([*begun(), decision_refused("cancel")])
    receive_until(client, lambda: not client.is_overdue)
    assert not client.closed


# ── with the journal alone ───────────────────────────────────────────────────────────────────


def test_journal_client_needs_no_supervisor(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path / "journal.jsonl")
    client = JournalClient(journal.path)
    written = journal.append(begun(), sync=False)
    assert client.receive() == written
    written += journal.append([run_finished()], sync=False)
    journal.close()
    client = JournalClient(journal.path)
    assert receive_until(client, lambda: client.closed) == written
    assert client.ended


def test_journal_client_closes_when_the_writer_is_killed(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path / "journal.jsonl")
    written = journal.append(begun(), sync=False)
    client = JournalClient(journal.path)
    journal.close()
    assert receive_until(client, lambda: client.closed) == written
    assert not client.ended
