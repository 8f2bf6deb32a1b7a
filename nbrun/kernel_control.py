"""What a run does to its kernel besides sending it code, and the record of it: it is started,
restarted, found again, interrupted and killed."""

import time
from collections.abc import Callable

import msgspec

from nbrun import bindings
from nbrun import events as ev
from nbrun.errors import KernelError
from nbrun.messages import Kernel, KernelInfo
from nbrun.recorder import Recorder
from nbrun.state import RunState

CANCEL_GRACE = 10.0  # seconds that a cancelled or timed-out step has to answer the interrupt


class KernelControl:
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
        lost = bindings.lost(self._state)
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
    def due(self) -> tuple[float | None, float | None]:
        """The moments when `act_if_due` has something to do."""
        return self._kill_due, self._timeout_due

    def begin(self, now: float) -> None:
        """The running step's time begins."""
        self._timeout_due = now + self.limit if self.limit else None

    def ended(self) -> None:
        """The kernel has ended what it did: there is nothing to wait for."""
        self._kill_due = self._timeout_due = None

    def act_if_due(self, now: float) -> None:
        if self._kill_due is not None and now >= self._kill_due:
            self.kill("the step did not answer the interrupt")
        if self._timeout_due is not None and now >= self._timeout_due:
            self._time_out()

    def interrupt(self, why: str) -> None:
        self._timeout_due = None
        self._recorder.emit(ev.KernelInterrupted(generation=self._state.generation, why=why))
        self._kernel.interrupt()

    def cancel(self, why: str) -> None:
        """Interrupt it, and kill it if it does not answer that in time."""
        self.interrupt(why)
        self._be_patient()

    def kill(self, why: str) -> None:
        self._kill_due = None
        generation = self._state.generation
        self._recorder.emit(ev.KernelInterrupted(generation=generation, why=why, kill=True))
        self._kernel.kill()

    def _time_out(self) -> None:
        """Interrupt the step that has taken too long; what does not answer that is killed."""
        self._timeout_due = None
        self._be_patient()
        why = f"the step has taken its {self.limit:g} s"
        generation = self._state.generation
        self._recorder.emit(ev.KernelInterrupted(generation=generation, why=why, timeout=True))
        self._kernel.interrupt()

    def _be_patient(self) -> None:
        self._kill_due = self._kill_due or time.monotonic() + CANCEL_GRACE


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
