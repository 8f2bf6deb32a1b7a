"""Control of the kernel apart from sending it code: start, restart, adopt, interrupt, kill.

Each action is recorded. So are processes that a cut-short attempt left running.
"""

import time
from collections.abc import Callable

import msgspec

from nbrun.core import events as ev
from nbrun.core.events import Event
from nbrun.core.state import RunState
from nbrun.engine import lost_names
from nbrun.engine.leftover_processes import LeftoverProcesses
from nbrun.engine.recorder import Recorder
from nbrun.errors import KernelError, UnreachableKernelError
from nbrun.kernel.messages import (
    Disconnected,
    GatewayTrouble,
    Kernel,
    KernelInfo,
    LeftInBackground,
    Reconnected,
    Responded,
    Suspended,
    Unresponsive,
)

KILL_GRACE = 8.0  # seconds from the interrupt of a cancelled or timed-out step to the kill
SUSPENDED_KILL_GRACE = 2.0  # the same for a suspended kernel, which can't react
UNHEEDED_AFTER = 5.0  # seconds from an operator's interrupt to `interrupt.unheeded`


class KernelController:
    """Controls the kernel of one run and records what it does.

    While a kernel starts, `stop_requested` is polled: True means that the operator wants to give
    up. Deadlines are times of `time.monotonic()`.
    """

    def __init__(
        self, kernel: Kernel, recorder: Recorder, stop_requested: Callable[[], bool]
    ) -> None:
        self._kernel = kernel
        self._recorder = recorder
        self._stop_requested = stop_requested
        self._kill_deadline: float | None = None
        self._timeout_deadline: float | None = None
        self._unheeded_deadline: float | None = None
        self._leftovers = LeftoverProcesses(recorder.redaction)

    @property
    def _state(self) -> RunState:
        return self._recorder.state

    # ── starting and adopting kernels ────────────────────────────────────────────────────────

    def start(self) -> None:
        """Start the run's first kernel."""
        info = self._start_kernel()
        if info is not None:
            self._recorder.emit(ev.KernelStarted(**msgspec.structs.asdict(info)))

    def restart(self, why: str) -> None:
        """Start a new kernel in place of the old one; the first one if there was none."""
        if self._state.kernel_info is None:
            self.start()
            return
        lost = lost_names.lost_names(self._state)
        info = self._start_kernel()
        if info is None:
            return
        self._recorder.emit(
            ev.KernelRestarted(
                generation=info.generation,
                kernelspec=info.kernelspec,
                why=why,
                process=info.process,
                lost=lost,
                identities=info.identities,
                remote=info.remote,
            )
        )

    def adopt(self, last_seen: float) -> None:
        """Reconnect to the kernel that the run had.

        `last_seen` is when the run's last sign of life was, in seconds since it began.
        """
        generation, process = self._state.generation, self._state.process
        try:
            self._kernel.adopt(_info_of(self._state), self._stop_requested)
        except KernelError as error:
            may_run = isinstance(error, UnreachableKernelError)
            what = "may still run, and was not found again" if may_run else "is gone"
            why = f"the kernel {what} since the run was interrupted: {error}"
            self._recorder.emit(ev.KernelDied(generation=generation, why=why, may_run=may_run))
            left = self._leftovers.report_of_kernel(process) if process else None
            self._recorder.emit_all([left] if left else [])
        else:
            gap = round(self._recorder.elapsed() - last_seen, 6)
            self._recorder.emit(ev.KernelReattached(generation=generation, gap=gap))

    def record_connection(self, message: Disconnected | Reconnected | GatewayTrouble) -> None:
        """Record what became known of the way to a remote kernel, if the run still uses it."""
        if message.generation != self._state.generation or self._state.kernel != "alive":
            return
        match message:
            case Disconnected(generation=generation, why=why):
                self._recorder.emit(ev.KernelDisconnected(generation=generation, why=why))
            case Reconnected(generation=generation, gap=gap):
                self._recorder.emit(
                    ev.KernelReattached(generation=generation, gap=gap, buffered=True)
                )
            case GatewayTrouble():
                self._recorder.emit(ev.GatewayFailed(**msgspec.structs.asdict(message)))

    def _start_kernel(self) -> KernelInfo | None:
        """Return a ready kernel; None, after recording why, if it did not start."""
        try:
            return self._kernel.start(self._stop_requested)
        except KernelError as error:
            generation = self._state.generation + 1
            may_run = self._state.kernel_may_run or isinstance(error, UnreachableKernelError)
            died = ev.KernelDied(generation=generation, why=str(error), may_run=may_run)
            self._recorder.emit(died)
            return None

    # ── ending a step ────────────────────────────────────────────────────────────────────────

    @property
    def time_limit(self) -> float | None:
        """Return the seconds that the running step may take; None for no limit."""
        attempt = self._state.attempt
        if attempt is None:
            return None
        checked = self._state.checked.get(attempt.step)
        if checked is not None and checked.step.check is not None:
            return checked.step.check.timeout
        step = self._state.step_of(attempt.step)
        return step.step.contract.timeout if step else None

    @property
    def deadlines(self) -> tuple[float | None, ...]:
        """Return the times at which `act_on_deadlines` has something to do."""
        return (
            self._kill_deadline,
            self._timeout_deadline,
            self._unheeded_deadline,
            self._leftovers.deadline,
        )

    def attempt_started(self, now: float) -> None:
        """Start the running step's time limit."""
        self._timeout_deadline = now + self.time_limit if self.time_limit else None
        if self._state.attempt is not None:
            self._leftovers.attempt_started(self._state.attempt, self._state.process)

    def clear_deadlines(self) -> None:
        """Drop all deadlines: the kernel has finished what it was doing."""
        self._kill_deadline = self._timeout_deadline = self._unheeded_deadline = None

    def watch_leftovers(self, outcome: ev.Outcome) -> None:
        """Schedule the check for processes that the ended attempt left running."""
        self._leftovers.attempt_ended(outcome)

    def report_leftovers(self) -> None:
        """Record the processes left running after the kernel has ended for good."""
        self._recorder.emit_all(self._leftovers.report_at_end())

    def record_status(
        self, message: Suspended | Unresponsive | Responded | LeftInBackground, *, at_end: bool
    ) -> None:
        """Record what became known of the kernel's process, or of what it left at its end.

        `at_end`: the run ends.
        """
        if isinstance(message, LeftInBackground):
            events = self._leftovers.background_events(message, at_end=at_end)
            self._recorder.emit_all(events)
            return
        self._recorder.emit(_status_event(message))
        if self._state.suspended and self._kill_deadline is not None:
            self._set_kill_deadline()

    def act_on_deadlines(self, now: float) -> None:
        """Kill, time out or report, whatever is due at `now`."""
        if self._kill_deadline is not None and now >= self._kill_deadline:
            self.kill("the step did not answer the interrupt")
        if self._timeout_deadline is not None and now >= self._timeout_deadline:
            self._time_out()
        if self._unheeded_deadline is not None and now >= self._unheeded_deadline:
            self._unheeded_deadline = None
            generation = self._state.generation
            self._recorder.emit(ev.InterruptUnheeded(generation=generation, waited=UNHEEDED_AFTER))
        self._recorder.emit_all(self._leftovers.report_due())

    def interrupt(self, why: str) -> None:
        """Interrupt the kernel for the operator; record it if nothing comes of that."""
        self._send_interrupt(why)
        self._unheeded_deadline = time.monotonic() + UNHEEDED_AFTER

    def cancel(self, why: str) -> None:
        """Interrupt the kernel, and kill it if it does not react in time."""
        self.interrupt(why)
        self._set_kill_deadline()

    def kill(self, why: str) -> None:
        """Kill the kernel."""
        self._kill_deadline = self._unheeded_deadline = None
        self._leftovers.snapshot()  # before the kill, which orphans the kernel's children
        generation = self._state.generation
        self._recorder.emit(ev.KernelInterrupted(generation=generation, why=why, kill=True))
        self._kernel.kill()

    def _time_out(self) -> None:
        """Interrupt the step that exceeded its time limit; kill it if that has no effect."""
        self._send_interrupt(f"the step has taken its {self.time_limit:g} s", timeout=True)
        self._set_kill_deadline()

    def _send_interrupt(self, why: str, *, timeout: bool = False) -> None:
        self._timeout_deadline = None
        self._leftovers.snapshot()
        generation = self._state.generation
        self._recorder.emit(ev.KernelInterrupted(generation=generation, why=why, timeout=timeout))
        self._kernel.interrupt()

    def _set_kill_deadline(self) -> None:
        """Set the kill deadline: sooner for a suspended kernel, and never later."""
        grace = SUSPENDED_KILL_GRACE if self._state.suspended else KILL_GRACE
        deadline = time.monotonic() + grace
        self._kill_deadline = min(self._kill_deadline or deadline, deadline)


def _status_event(status: Suspended | Unresponsive | Responded) -> Event:
    """Return the event that records `status`."""
    match status:
        case Suspended(generation=generation, pid=pid, suspended=True):
            return ev.KernelSuspended(generation=generation, pid=pid)
        case Suspended(generation=generation, pid=pid):
            return ev.KernelContinued(generation=generation, pid=pid)
        case Unresponsive():
            return ev.KernelUnresponsive(**msgspec.structs.asdict(status))
        case Responded():
            return ev.KernelResponded(**msgspec.structs.asdict(status))


def _info_of(state: RunState) -> KernelInfo:
    """Return what the run's kernel reported of itself when it started."""
    started = state.kernel_info
    assert started is not None  # noqa: S101  a run has an alive kernel after kernel.started only
    return KernelInfo(
        generation=state.generation,
        kernelspec=started.kernelspec,
        language=started.language,
        language_info=started.language_info,
        implementation=started.implementation,
        process=state.process,
        remote=state.remote,
    )
