"""Detect unresponsive kernels by probing the control and heartbeat channels.

A kernel that uses ipykernel answers its control channel from a separate thread. No answer means
that some code holds the interpreter: a long call into C, which may be work or may wait forever.
nbrun can't tell these apart, but measures the processor time that the process uses. ipykernel
answers its heartbeat without the interpreter: no answer means that the whole process does not run.
Other kernels answer nothing while they work; for these, only the state of the process is checked.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from nbrun.kernel.messages import Responded, Unresponsive

PROBE_AFTER = 5.0  # seconds without a message after which a kernel at work is probed
REPORT_IDLE_AFTER = 10.0  # seconds without an answer, for a kernel that uses no processor time
REPORT_BUSY_AFTER = 30.0  # seconds without an answer, for a kernel that does
BUSY_SHARE = 0.1  # of one processor: from here on a process counts as busy
STUCK_STATE = "disk-sleep"  # psutil's name of the state in which a process can't be interrupted


class Probe(Protocol):
    """One channel that a kernel answers. No method blocks."""

    def ask(self) -> None:
        """Send a request, unless the last one has no answer yet."""

    def answered(self) -> bool:
        """Return True if the last request has been answered."""


@dataclass(frozen=True)
class ProcessStats:
    """The processor time of a process in seconds, None if unknown, and its state as in psutil."""

    cpu: float | None
    state: str


@dataclass
class _PendingProbe:
    """A probe sent at the monotonic time `at`, when the process had used `cpu` seconds."""

    at: float
    cpu: float | None
    heartbeat: bool | None = None
    reported: bool = False


class Watchdog:
    """Watches one kernel. A single thread calls `check` about once a second."""

    def __init__(
        self,
        generation: int,
        pid: int,
        stats: Callable[[], ProcessStats],
        open_probes: Callable[[], tuple[Probe, Probe] | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open nothing yet.

        `open_probes` returns the probes of control and heartbeat, or None if the kernel can't
        answer while it works. It is called before the first probe.
        """
        self._generation = generation
        self._pid = pid
        self._stats = stats
        self._open_probes = open_probes
        self._clock = clock
        self._probes: tuple[Probe, Probe] | None = None
        self._pending: _PendingProbe | None = None

    def check(self, *, at_work: bool, quiet: float) -> Unresponsive | Responded | None:
        """Probe the kernel if it is due, and return what to report, if anything.

        `at_work`: a request has no reply yet. `quiet`: seconds since the kernel's last message.
        """
        if self._pending is None:
            if at_work and quiet >= PROBE_AFTER:
                self._probe()
            return None
        if self._has_answered(self._pending) or not at_work:
            return self._responded()
        return self._overdue(self._pending)

    def _probe(self) -> None:
        self._probes = self._probes or self._open_probes()
        for probe in self._probes or ():
            probe.ask()
        self._pending = _PendingProbe(self._clock(), self._stats().cpu)

    def _has_answered(self, pending: _PendingProbe) -> bool:
        """Return True if the control channel answered. Without probes, only STUCK_STATE counts."""
        if self._probes is None:
            return self._stats().state != STUCK_STATE
        control, heartbeat = self._probes
        pending.heartbeat = heartbeat.answered()
        return control.answered()

    def _responded(self) -> Responded | None:
        pending, self._pending = self._pending, None
        if pending is None or not pending.reported:
            return None
        return Responded(generation=self._generation, silent=self._seconds_since(pending))

    def _overdue(self, pending: _PendingProbe) -> Unresponsive | None:
        silent = self._seconds_since(pending)
        if pending.reported or silent < REPORT_IDLE_AFTER:
            return None
        now = self._stats()
        unknown = now.cpu is None or pending.cpu is None
        used = None if unknown else round((now.cpu or 0.0) - (pending.cpu or 0.0), 2)
        if used is not None and used >= silent * BUSY_SHARE and silent < REPORT_BUSY_AFTER:
            return None
        pending.reported = True
        return Unresponsive(
            generation=self._generation,
            pid=self._pid,
            silent=silent,
            heartbeat=pending.heartbeat,
            state=now.state,
            cpu=used,
        )

    def _seconds_since(self, pending: _PendingProbe) -> float:
        return round(self._clock() - pending.at, 1)
