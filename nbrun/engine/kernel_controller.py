"""What a run does to its kernel besides sending it code, and the record of it: it is started,
restarted, found again, interrupted and killed, and what it leaves running is named."""

import time
from collections.abc import Callable

import msgspec

from nbrun.core import events as ev
from nbrun.core.events import Event
from nbrun.core.state import RunState
from nbrun.engine import lost_names
from nbrun.engine.leftover_processes import LeftoverProcesses
from nbrun.engine.recorder import Recorder
from nbrun.errors import KernelError
from nbrun.kernel.messages import Kernel, KernelInfo, Responded, Suspended, Unresponsive

CANCEL_GRACE = 8.0  # seconds that a cancelled or timed-out step has to answer the interrupt
SUSPENDED_GRACE = 2.0  # the same for a kernel that something has stopped: it can't
UNHEEDED_AFTER = (
    5.0  # seconds after an operator's interrupt that nothing came of, till that is said
)


class KernelController:
    """`asked_to_stop`: whether the operator wants a kernel that does not become ready to be given
    up. Moments are of `time.monotonic()`."""

    def __init__(
        self, kernel: Kernel, recorder: Recorder, asked_to_stop: Callable[[], bool]
    ) -> None:
        self._kernel = kernel
        self._recorder = recorder
        self._asked_to_stop = asked_to_stop
        self._kill_due: float | None = None
        self._timeout_due: float | None = None
        self._unheeded_due: float | None = None
        self._runaways = LeftoverProcesses(recorder.redaction)

    @property
    def _state(self) -> RunState:
        return self._recorder.state

    # ── from one kernel to the next ──────────────────────────────────────────────────────────

    def start(self) -> None:
        info = self._new()
        if info is not None:
            self._recorder.emit(ev.KernelStarted(**msgspec.structs.asdict(info)))

    def restart(self, why: str) -> None:
        """A new kernel in the old one's place; the first, where there never was one."""
        if self._state.kernel_info is None:
            self.start()
            return
        lost = lost_names.lost_names(self._state)
        info = self._new()
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
            )
        )

    def adopt(self, seen: float) -> None:
        """Find the kernel again that the run had. `seen`: when something was last seen of the run,
        in seconds since it began."""
        generation, process = self._state.generation, self._state.process
        try:
            if process is None:
                raise KernelError("the record does not say where it is")
            self._kernel.adopt(process, _info_of(self._state), self._asked_to_stop)
        except KernelError as error:
            why = f"the kernel is gone since the run was interrupted: {error}"
            self._recorder.emit(ev.KernelDied(generation=generation, why=why))
            left = self._runaways.of_gone(process) if process else None
            self._recorder.emit_all([left] if left else [])
        else:
            gap = round(self._recorder.elapsed() - seen, 6)
            self._recorder.emit(ev.KernelReattached(generation=generation, gap=gap))

    def _new(self) -> KernelInfo | None:
        """A kernel that is ready; None, and the event that says why, when there is none."""
        try:
            return self._kernel.start(self._asked_to_stop)
        except KernelError as error:
            generation = self._state.generation + 1
            self._recorder.emit(ev.KernelDied(generation=generation, why=str(error)))
            return None

    # ── a step that is to end ────────────────────────────────────────────────────────────────

    @property
    def limit(self) -> float | None:
        """The seconds that the running step may take; None for as many as it likes."""
        attempt = self._state.attempt
        step = self._state.steps.get(attempt.step) if attempt else None
        return step.step.contract.timeout if step else None

    @property
    def due(self) -> tuple[float | None, ...]:
        """The moments when `act_if_due` has something to do."""
        return self._kill_due, self._timeout_due, self._unheeded_due, self._runaways.due

    def begin(self, now: float) -> None:
        """The running step's time begins."""
        self._timeout_due = now + self.limit if self.limit else None
        if self._state.attempt is not None:
            self._runaways.began(self._state.attempt, self._state.process)

    def ended(self) -> None:
        """The kernel has ended what it did: there is nothing to wait for."""
        self._kill_due = self._timeout_due = self._unheeded_due = None

    def attempt_ended(self, outcome: ev.Outcome) -> None:
        """Its end is recorded; what it left running is looked for a moment later."""
        self._runaways.ended(outcome)

    def look_last(self) -> None:
        """The kernel has ended for good: what is left of those whose attempts were cut short."""
        self._recorder.emit_all(self._runaways.look_last())

    def seen(self, message: Suspended | Unresponsive | Responded) -> None:
        """What became known of its process."""
        self._recorder.emit(_told(message))
        if self._state.suspended and self._kill_due is not None:
            self._be_patient()

    def act_if_due(self, now: float) -> None:
        if self._kill_due is not None and now >= self._kill_due:
            self.kill("the step did not answer the interrupt")
        if self._timeout_due is not None and now >= self._timeout_due:
            self._time_out()
        if self._unheeded_due is not None and now >= self._unheeded_due:
            self._unheeded_due = None
            generation = self._state.generation
            self._recorder.emit(ev.InterruptUnheeded(generation=generation, waited=UNHEEDED_AFTER))
        self._recorder.emit_all(self._runaways.look())

    def interrupt(self, why: str) -> None:
        """As the operator asked. When nothing comes of it, that is said after a while."""
        self._send_interrupt(why)
        self._unheeded_due = time.monotonic() + UNHEEDED_AFTER

    def cancel(self, why: str) -> None:
        """Interrupt it, and kill it if it does not answer that in time."""
        self.interrupt(why)
        self._be_patient()

    def kill(self, why: str) -> None:
        self._kill_due = self._unheeded_due = None
        self._runaways.about_to_end()
        generation = self._state.generation
        self._recorder.emit(ev.KernelInterrupted(generation=generation, why=why, kill=True))
        self._kernel.kill()

    def _time_out(self) -> None:
        """Interrupt the step that has taken too long; what does not answer that is killed."""
        self._send_interrupt(f"the step has taken its {self.limit:g} s", timeout=True)
        self._be_patient()

    def _send_interrupt(self, why: str, *, timeout: bool = False) -> None:
        self._timeout_due = None
        self._runaways.about_to_end()
        generation = self._state.generation
        self._recorder.emit(ev.KernelInterrupted(generation=generation, why=why, timeout=timeout))
        self._kernel.interrupt()

    def _be_patient(self) -> None:
        """Only so long: less with a kernel that can't answer."""
        grace = SUSPENDED_GRACE if self._state.suspended else CANCEL_GRACE
        due = time.monotonic() + grace
        self._kill_due = due if self._kill_due is None else min(self._kill_due, due)


def _told(seen: Suspended | Unresponsive | Responded) -> Event:
    """What was seen of the kernel's process, as it is recorded."""
    match seen:
        case Suspended(generation=generation, pid=pid, suspended=True):
            return ev.KernelSuspended(generation=generation, pid=pid)
        case Suspended(generation=generation, pid=pid):
            return ev.KernelContinued(generation=generation, pid=pid)
        case Unresponsive():
            return ev.KernelUnresponsive(**msgspec.structs.asdict(seen))
        case Responded():
            return ev.KernelResponded(**msgspec.structs.asdict(seen))


def _info_of(state: RunState) -> KernelInfo:
    """What the kernel that the run has said of itself when it started."""
    first = state.kernel_info
    assert first is not None  # noqa: S101  a run has an alive kernel after kernel.started only
    return KernelInfo(
        generation=state.generation,
        kernelspec=first.kernelspec,
        language=first.language,
        language_info=first.language_info,
        implementation=first.implementation,
    )
