"""Keeps a growing record sealed: at its end, at each stop, and every few minutes."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from nbrun.audit import seals
from nbrun.core import events as ev
from nbrun.core.events import Event, Record
from nbrun.errors import SignatureError

EVERY = 300.0  # seconds between two seals of a run that goes on
PATIENCE = 60.0  # seconds that the end of a run waits for its seal


class Sealer:
    """Signs on a thread of its own, so that a slow agent never holds up a step."""

    def __init__(
        self, key: Path, run: str, path: Path, report: Callable[[Event], None], every: float = EVERY
    ) -> None:
        """`path`: where the seals are kept. What can't be signed is reported, and tried again
        when the next seal is due."""
        self._key = key
        self._run = run
        self._path = path
        self._report = report
        self._every = every
        self._changed = threading.Condition()
        self._head: Record | None = None
        self._sealed = -1
        self._due = time.monotonic() + every
        self._ended = False
        self._thread = threading.Thread(target=self._seal_on, name="nbrun-sealing", daemon=True)
        self._thread.start()

    def take(self, records: Sequence[Record]) -> None:
        """The record has grown by these. Comes back at once, but for the end of a run: that is
        sealed when this returns, if it can be."""
        ended = any(isinstance(record.event, ev.RunFinished) for record in records)
        with self._changed:
            for record in records:
                if not isinstance(record.event, ev.SealFailed):
                    self._head = record
            if any(isinstance(record.event, ev.Stopped) for record in records):
                self._due = 0.0
                self._changed.notify()
        if ended:
            self.close()

    def close(self) -> None:
        """Seal what there is, and end the thread."""
        with self._changed:
            self._ended = True
            self._due = 0.0
            self._changed.notify()
        self._thread.join(PATIENCE)

    # ── the thread ───────────────────────────────────────────────────────────────────────────

    def _seal_on(self) -> None:
        while True:
            head, ended = self._wait()
            if head is not None:
                self._make(head)
            elif ended:
                return

    def _wait(self) -> tuple[Record | None, bool]:
        """The head to seal when one is due; None, and whether to end, else."""
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

    def _make(self, head: Record) -> None:
        try:
            seals.keep(self._path, seals.make(self._key, self._run, head))
        except (SignatureError, OSError) as error:
            logging.getLogger(__name__).warning("line %d could not be sealed: %s", head.seq, error)
            self._report(ev.SealFailed(upto=head.seq, why=str(error)))
