"""Seal a growing record: at its end, at each stop, and every few minutes."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from nbrun.audit import seals
from nbrun.core import events as ev
from nbrun.core.events import Event, Record
from nbrun.errors import SignatureError

EVERY = 300.0  # seconds between two seals while steps run
PATIENCE = 60.0  # seconds that the end of a run waits for its seal


class AutoSealer:
    """Makes seals on a thread of its own, so that a slow SSH agent never delays a step."""

    def __init__(
        self, key: Path, run: str, path: Path, report: Callable[[Event], None], every: float = EVERY
    ) -> None:
        """`path` is the file of seals. `report` appends an event to the journal.

        A failed seal is reported, and tried again when the next one is due.
        """
        self._key = key
        self._run = run
        self._path = path
        self._report = report
        self._every = every
        self._changed = threading.Condition()
        self._head: Record | None = None  # the last record
        self._sealed = -1  # the number of the last record for which a seal was tried
        self._due = time.monotonic() + every
        self._ended = False
        self._thread = threading.Thread(target=self._run_thread, name="nbrun-sealing", daemon=True)
        self._thread.start()

    def receive(self, records: Sequence[Record]) -> None:
        """Receive records that were appended; return at once.

        Only the end of a run waits: it is sealed on return, unless sealing failed or took too long.
        """
        ended = any(isinstance(record.event, ev.RunFinished) for record in records)
        with self._changed:
            for record in records:
                # A failed seal must not cause the next one.
                if not isinstance(record.event, ev.SealFailed):
                    self._head = record
            if any(isinstance(record.event, ev.Stopped) for record in records):
                self._due = 0.0
                self._changed.notify()
        if ended:
            self.close()

    def close(self) -> None:
        """Seal what is not sealed yet, and end the thread."""
        with self._changed:
            self._ended = True
            self._due = 0.0
            self._changed.notify()
        self._thread.join(PATIENCE)

    # ── on the thread ────────────────────────────────────────────────────────────────────────

    def _run_thread(self) -> None:
        while True:
            head, ended = self._wait()
            if head is not None:
                self._seal(head)
            elif ended:
                return

    def _wait(self) -> tuple[Record | None, bool]:
        """Wait for a seal to be due; return its record, or None and True at the end."""
        with self._changed:
            while True:
                left = self._due - time.monotonic()
                if left <= 0:
                    self._due = time.monotonic() + self._every
                    if self._head is not None and self._head.seq > self._sealed:
                        self._sealed = self._head.seq
                        return self._head, self._ended
                elif self._ended:
                    return None, True
                self._changed.wait(max(left, 0.0))

    def _seal(self, head: Record) -> None:
        try:
            seals.append(self._path, seals.make(self._key, self._run, head))
        except (SignatureError, OSError) as error:
            logging.getLogger(__name__).warning("line %d could not be sealed: %s", head.seq, error)
            self._report(ev.SealFailed(upto=head.seq, why=str(error)))
