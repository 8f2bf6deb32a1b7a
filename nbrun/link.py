"""The way between one engine and those who watch and decide: events out, decisions in."""

import os
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from nbrun.engine import Inbox, Ordered
from nbrun.events import Decision, Operator, Record


class Link(Protocol):
    """What a console needs of a run, wherever that runs."""

    def fileno(self) -> int:
        """Readable when `receive` has something to give."""

    def receive(self) -> list[Record]:
        """The records that have come since the last call; empty when there are none."""

    @property
    def closed(self) -> bool:
        """Nothing more will come."""

    def send(self, decision: Decision) -> None:
        """Hand a decision to the engine. Safe in a signal handler."""

    def wake(self) -> None:
        """Make it readable though nothing has come. Safe in a signal handler."""


class LocalLink:
    """A link to an engine in this process, on another thread."""

    def __init__(self, operator: Operator) -> None:
        self._operator = operator
        self._inbox: Inbox | None = None
        self._records: deque[Record] = deque()
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        os.set_blocking(self._write_end, False)
        self._closed = False

    def connect(self, inbox: Inbox) -> None:
        """Decisions go to `inbox` from here on."""
        self._inbox = inbox

    def publish(self, records: Sequence[Record]) -> None:
        """The engine's side: let the other side see `records`. Never waits for it."""
        self._records.extend(records)
        self.wake()

    def close(self) -> None:
        """The engine's side: nothing more will come."""
        self._closed = True
        self.wake()

    def wake(self) -> None:
        with suppress(BlockingIOError):  # a full pipe wakes the reader as well
            os.write(self._write_end, b"\0")

    def fileno(self) -> int:
        return self._read_end

    @property
    def closed(self) -> bool:
        return self._closed and not self._records

    def receive(self) -> list[Record]:
        with suppress(BlockingIOError):
            while os.read(self._read_end, 4096):
                pass
        records = []
        while self._records:
            records.append(self._records.popleft())
        return records

    def send(self, decision: Decision) -> None:
        if self._inbox is not None:
            self._inbox.put(Ordered(decision, self._operator))
