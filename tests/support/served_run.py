"""A run's journal and its socket server in this process, without an engine."""

import queue
import select
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from nbrun.core.events import Event, Record
from nbrun.engine.engine import Inbox
from nbrun.journal.run_directory import RunDirectory
from nbrun.journal.writer import Journal
from nbrun.supervisor.client import JournalClient, SocketClient
from nbrun.supervisor.listener import Listener
from nbrun.supervisor.protocol import Purpose
from nbrun.supervisor.server import Server

TIMEOUT = 30.0  # seconds


class ServedRun:
    """A run directory with a journal, and a server that serves it on a thread."""

    def __init__(self, folder: Path) -> None:
        self.directory = RunDirectory(folder)
        self.journal = Journal.create(self.directory.journal)
        self.inbox: Inbox = queue.SimpleQueue()
        self.listener = Listener(self.directory.socket)
        self.server = Server(self.listener, self.inbox, self.directory.id)
        self.thread = threading.Thread(target=self.server.serve)
        self.thread.start()
        self.clients: list[SocketClient] = []

    def connect(self, purpose: Purpose = "operate") -> SocketClient:
        """Connect a client, which stays referenced until the end of the test."""
        self.clients.append(SocketClient(self.directory, purpose))
        return self.clients[-1]

    def record(self, events: Sequence[Event]) -> list[Record]:
        """Append `events` to the journal and publish the records, as the engine does."""
        records = self.journal.append(events, sync=True)
        self.server.publish(records)
        return records

    def next_in_inbox(self) -> object:
        """Wait for what the server forwards to the engine next."""
        return self.inbox.get(timeout=TIMEOUT)

    def end(self) -> None:
        """End the run, and wait until the server has shut down."""
        self.server.end()
        self.thread.join(TIMEOUT)
        assert not self.thread.is_alive()


def receive_until(
    client: SocketClient | JournalClient, condition: Callable[[], object]
) -> list[Record]:
    """Receive from `client` until `condition` holds, waiting as a console does."""
    deadline, records = time.monotonic() + TIMEOUT, []
    while not condition():
        assert time.monotonic() < deadline
        select.select([client], [], [], 0.1)
        records += client.receive()
    return records


def receive_through(client: SocketClient, seq: int) -> list[Record]:
    """Receive from `client` up to the record number `seq`."""
    deadline, records = time.monotonic() + TIMEOUT, []
    while not records or records[-1].seq != seq:
        assert time.monotonic() < deadline
        records += client.receive()
        if records and records[-1].seq == seq:
            break
        select.select([client], [], [], 0.1)
    return records
