"""Those who get each piece of the record once the journal has it, besides the operator's screen."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from nbrun.audit.auto_seal import Sealer
from nbrun.audit.forwarding import Forwarder
from nbrun.audit.sinks import target
from nbrun.core import events as ev
from nbrun.core.events import Event, Record
from nbrun.journal.run_directory import RunDirectory

Report = Callable[[Event], None]  # has what it is given recorded in the journal


class Recipient(Protocol):
    def take(self, records: Sequence[Record]) -> None:
        """The record has grown by these. Never raises, and never keeps the run waiting."""

    def close(self) -> None:
        """Nothing more will come."""


class Recipients:
    """The recipients that a run's policy asks for, as one."""

    def __init__(self, started: ev.RunStarted, directory: RunDirectory, report: Report) -> None:
        self._all: list[Recipient] = []
        if started.policy.sign:
            key = Path(started.policy.sign)
            self._all.append(Sealer(key, started.run, directory.seals, report))
        if started.policy.forward:
            self._all.append(Forwarder(target(started.policy.forward), directory, report))

    def take(self, records: Sequence[Record]) -> None:
        for recipient in self._all:
            recipient.take(records)

    def close(self) -> None:
        for recipient in self._all:
            recipient.close()
