"""Send a run's spans while the run goes on, without delaying it."""

import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence

from nbrun.audit.tracing import switch
from nbrun.audit.tracing.collector import Collector, TraceError
from nbrun.audit.tracing.spans import Span, TraceFold
from nbrun.core import events as ev
from nbrun.core.events import Event, Record
from nbrun.core.reducer import changes_state
from nbrun.errors import NbrunError
from nbrun.journal.reader import JournalReader
from nbrun.journal.run_directory import RunDirectory

GATHER = 2.0  # seconds to collect spans before they are sent
PATIENCE = 5.0  # seconds that the end of a run waits for the remaining spans
LAST_PATIENCE = 1.0  # seconds to give up on them


class TraceExporter:
    """A subscriber of the record. A thread of its own folds the records and sends the spans.

    A resumed run's earlier records are read from the journal. The process before has sent their
    spans, or the trace lacks them.
    """

    def __init__(self, directory: RunDirectory, report: Callable[[Event], None]) -> None:
        """`report` appends an event to the journal."""
        self._directory = directory
        self._report = report
        self._records: queue.SimpleQueue[Record | None] = queue.SimpleQueue()
        self._fold = TraceFold()
        self._collector: Collector | None = None
        self._has_failed = False
        self._thread = threading.Thread(target=self._run_thread, name="nbrun-tracing", daemon=True)
        self._thread.start()

    def receive(self, records: Sequence[Record]) -> None:
        """Hand over what changes the run's state. Outputs are in no span."""
        for record in records:
            if changes_state(record.event):
                self._records.put(record)

    def close(self) -> None:
        """Send the remaining spans, if that is possible within a few seconds."""
        self._records.put(None)
        self._thread.join(LAST_PATIENCE if self._has_failed else PATIENCE)
        if self._thread.is_alive():
            logging.getLogger(__name__).warning("the trace was not sent whole: no more time")
            if self._collector is not None:
                self._collector.close()
            self._thread.join(LAST_PATIENCE)

    # ── on the thread ────────────────────────────────────────────────────────────────────────

    def _run_thread(self) -> None:
        try:
            self._send_all()
        except Exception as error:  # a trace is never worth a run
            logging.getLogger(__name__).warning("the trace ends here", exc_info=error)

    def _send_all(self) -> None:
        waiting: list[Span] = []
        first = self._records.get()
        if first is None:
            return
        self._fold_earlier(first)
        ended = self._take(first, waiting)
        while not ended:
            ended = self._gather(waiting)
            if waiting:
                self._send(waiting)
                waiting.clear()

    def _fold_earlier(self, first: Record) -> None:
        """Fold what the journal has before `first`, of a resumed run."""
        if first.seq == 0:
            return
        for record in JournalReader(self._directory.journal):
            if record.seq >= first.seq:
                return
            if changes_state(record.event):
                self._fold.take(record)

    def _gather(self, waiting: list[Span]) -> bool:
        """Take the records of the next seconds. Return True if they are the last ones."""
        ended = self._take(self._records.get(), waiting)
        deadline = time.monotonic() + GATHER
        while not ended:
            try:
                record = self._records.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                break
            ended = self._take(record, waiting)
        return ended

    def _take(self, record: Record | None, waiting: list[Span]) -> bool:
        if record is None:
            return True
        waiting += self._fold.take(record)
        return isinstance(record.event, ev.RunFinished)

    def _send(self, spans: Sequence[Span]) -> None:
        target = ""
        try:
            why = switch.fault(os.environ)
            if why:
                raise TraceError(why)
            self._collector = self._collector or Collector(self._fold.host)
            target = self._collector.target
            self._collector.send(spans)
        except TraceError as error:
            self._on_failure(target, error)

    def _on_failure(self, target: str, error: NbrunError) -> None:
        """Report the first failure."""
        if not self._has_failed:
            self._has_failed = True
            logging.getLogger(__name__).warning("the trace can't be sent: %s", error)
            self._report(ev.TraceFailed(target=target, why=str(error)))
