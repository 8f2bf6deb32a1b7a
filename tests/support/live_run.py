"""A run in this process on a real kernel, so that a test can shorten its timeouts."""

import queue
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from nbrun.core import events as ev
from nbrun.core.decisions import Decision
from nbrun.core.events import Event, Record
from nbrun.core.model import Contract, Policy
from nbrun.core.redaction.redactor import Redaction
from nbrun.engine.engine import Engine, Inbox, SubmittedDecision
from nbrun.journal.writer import Journal
from nbrun.kernel.launcher import KernelLauncher
from nbrun.kernel.local import LocalKernel
from nbrun.kernel.output_limit import OutputLimiter
from nbrun.kernel.process import KernelLog
from tests.support.build_events import OPERATOR, run_started, step

TIMEOUT = 30  # seconds


class LiveRun:
    """A run that takes one of `decisions` at each stop, and then a cancel."""

    def __init__(
        self,
        folder: Path,
        *decisions: Decision,
        kernel: str = "python3",
        redaction: Redaction | None = None,
    ) -> None:
        self._published: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._decisions = list(decisions)
        inbox: Inbox = queue.SimpleQueue()
        limiter = OutputLimiter(inbox.put)
        launcher = KernelLauncher(kernel, cwd=folder, attended=True)
        self._kernel = LocalKernel(launcher, limiter, log=KernelLog(folder / "kernel.log"))
        self.events: list[Event] = []
        self.engine = Engine(
            Journal.create(folder / "journal.jsonl"),
            inbox=inbox,
            kernel=self._kernel,
            output_limiter=limiter,
            publish=self._publish,
            save_notebook=lambda _end: None,
            redaction=redaction,
        )
        self._thread = threading.Thread(target=self._run)
        self._plan: ev.RunStarted

    def start(self, *sources: str, policy: Policy | None = None, **contract: Any) -> "LiveRun":
        """Start a run of these cells, each with this contract."""
        steps = [
            step(number, source=source, contract=Contract(**contract))
            for number, source in enumerate(sources, 1)
        ]
        self._plan = run_started(steps, policy)
        self._thread.start()
        return self

    def _run(self) -> None:
        self.engine.run(self._plan)

    def _publish(self, records: Sequence[Record]) -> None:
        for record in records:
            if isinstance(record.event, ev.Stopped):
                self.decide(self._decisions.pop(0) if self._decisions else None)
            self._published.put(record.event)

    def decide(self, decision: Decision | None) -> None:
        from nbrun.core import decisions

        self.engine.inbox.put(SubmittedDecision(decision or decisions.Cancel(), OPERATOR))

    def until(self, wanted: type[Any], and_: Callable[[Any], bool] = lambda _event: True) -> Any:
        """Wait for the next event of a kind. All events up to it are added to `events`."""
        while True:
            event = self._published.get(timeout=TIMEOUT)
            self.events.append(event)
            if isinstance(event, wanted) and and_(event):
                return event

    def printed(self, text: str) -> str:
        """Wait for an output with this text, and return the whole output."""
        output = self.until(ev.Output, lambda event: text in event.output.get("text", ""))
        return str(output.output["text"])

    def ended(self) -> ev.RunFinished:
        """Wait for the end of the run."""
        finished: ev.RunFinished = self.until(ev.RunFinished)
        self._thread.join(TIMEOUT)
        assert not self._thread.is_alive()
        return finished

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def close(self) -> None:
        """Cancel the run if it is still running."""
        if self._thread.is_alive():
            self.decide(None)
            self._thread.join(TIMEOUT)
