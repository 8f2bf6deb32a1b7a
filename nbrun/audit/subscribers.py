"""The subscribers of a run's record besides its consoles.

They mark, list, seal and forward it, and send its trace.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from nbrun.audit.auto_seal import AutoSealer
from nbrun.audit.forwarding import Forwarder
from nbrun.audit.run_indexer import RunIndexer
from nbrun.audit.sinks import sink
from nbrun.audit.tracing import switch
from nbrun.audit.tracing.exporter import TraceExporter
from nbrun.core import events as ev
from nbrun.core.events import Event, Record
from nbrun.journal.run_directory import RunDirectory
from nbrun.journal.start_marker import StartMarker

Report = Callable[[Event], None]  # appends an event to the journal


class Subscriber(Protocol):
    """A receiver of records that the journal has."""

    def receive(self, records: Sequence[Record]) -> None:
        """Receive records that were appended. Never raise, and never delay the run."""

    def close(self) -> None:
        """Finish: no more records will follow."""


class Subscribers:
    """The subscribers that every run has, and those that its policy or the environment asks for."""

    def __init__(self, started: ev.RunStarted, directory: RunDirectory, report: Report) -> None:
        can_be_undone = any(step.undo for step in started.steps)
        marker = StartMarker(directory.id, stays=can_be_undone)
        self._all: list[Subscriber] = [marker, RunIndexer(directory, report)]
        if started.policy.sign:
            key = Path(started.policy.sign)
            self._all.append(AutoSealer(key, started.run, directory.seals, report))
        if started.policy.forward:
            self._all.append(Forwarder(sink(started.policy.forward), directory, report))
        is_sampled = switch.is_sampled(os.environ, started.run, started.traceparent)
        if switch.is_on(os.environ) and is_sampled:
            self._all.append(TraceExporter(directory, report))

    def receive(self, records: Sequence[Record]) -> None:
        for subscriber in self._all:
            subscriber.receive(records)

    def close(self) -> None:
        for subscriber in self._all:
            subscriber.close()
