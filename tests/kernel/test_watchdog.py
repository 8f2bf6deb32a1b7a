"""When a silent kernel is probed, and when its silence is reported."""

from dataclasses import dataclass, field

import pytest

from nbrun.kernel.messages import Responded, Unresponsive
from nbrun.kernel.watchdog import (
    PROBE_AFTER,
    REPORT_BUSY_AFTER,
    REPORT_IDLE_AFTER,
    STUCK_STATE,
    ProcessStats,
    Watchdog,
)


@dataclass
class FakeProbe:
    asked: int = 0
    answers: bool = False

    def ask(self) -> None:
        self.asked += 1

    def answered(self) -> bool:
        return self.answers


@dataclass
class WatchedKernel:
    """A kernel whose state and clock a test sets."""

    control: FakeProbe | None = field(default_factory=FakeProbe)
    heartbeat: FakeProbe = field(default_factory=lambda: FakeProbe(answers=True))
    cpu: float | None = 0.0
    state: str = "sleeping"
    now: float = 100.0

    def __post_init__(self) -> None:
        probes = None if self.control is None else (self.control, self.heartbeat)
        self.watchdog = Watchdog(
            1, 4711, lambda: ProcessStats(self.cpu, self.state), lambda: probes, lambda: self.now
        )

    def check(
        self, after: float = 1.0, *, at_work: bool = True, quiet: float = 60.0
    ) -> Unresponsive | Responded | None:
        self.now += after
        return self.watchdog.check(at_work=at_work, quiet=quiet)


def test_active_or_idle_kernel_is_not_probed() -> None:
    kernel = WatchedKernel()
    assert kernel.control is not None
    kernel.check(quiet=PROBE_AFTER - 0.1)
    kernel.check(at_work=False)
    assert kernel.control.asked == 0
    kernel.check(quiet=PROBE_AFTER)
    assert (kernel.control.asked, kernel.heartbeat.asked) == (1, 1)


def test_answering_kernel_is_probed_repeatedly_and_not_reported() -> None:
    kernel = WatchedKernel(FakeProbe(answers=True))
    assert kernel.control is not None
    assert [kernel.check(30.0) for _ in range(6)] == [None] * 6
    assert kernel.control.asked == 3


@pytest.mark.parametrize("heartbeat", [True, False])
def test_silent_idle_process_is_reported_once(heartbeat: bool) -> None:
    kernel = WatchedKernel(heartbeat=FakeProbe(answers=heartbeat))
    kernel.check()
    assert kernel.check(REPORT_IDLE_AFTER - 0.1) is None
    assert kernel.check(0.1) == Unresponsive(
        generation=1,
        pid=4711,
        silent=REPORT_IDLE_AFTER,
        heartbeat=heartbeat,
        state="sleeping",
        cpu=0.0,
    )
    assert kernel.check(600.0) is None
    assert kernel.control is not None
    kernel.control.answers = True
    assert kernel.check() == Responded(generation=1, silent=REPORT_IDLE_AFTER + 601.0)
    kernel.control.answers = False
    kernel.check()
    assert kernel.check(REPORT_IDLE_AFTER) is not None, "a later silence is reported again"


def test_silent_busy_process_is_reported_later() -> None:
    kernel = WatchedKernel(state="running")
    kernel.check()
    for _ in range(int(REPORT_BUSY_AFTER) - 1):
        kernel.cpu = (kernel.cpu or 0.0) + 0.9
        assert kernel.check() is None
    report = kernel.check()
    assert isinstance(report, Unresponsive)
    assert report.cpu == pytest.approx(0.9 * (REPORT_BUSY_AFTER - 1))


def test_unknown_processor_time_is_reported_as_unknown() -> None:
    kernel = WatchedKernel(cpu=None)
    kernel.check()
    report = kernel.check(REPORT_IDLE_AFTER)
    assert isinstance(report, Unresponsive)
    assert report.cpu is None


def test_end_of_the_request_ends_the_silence() -> None:
    kernel = WatchedKernel()
    kernel.check()
    assert kernel.check(at_work=False) is None
    kernel.check()
    assert kernel.check(REPORT_IDLE_AFTER) is not None
    assert isinstance(kernel.check(at_work=False), Responded)


def test_unprobeable_kernel_reported_only_in_disk_sleep() -> None:
    kernel = WatchedKernel(control=None)
    assert [kernel.check(30.0) for _ in range(4)] == [None] * 4
    kernel.state = STUCK_STATE
    kernel.check()
    kernel.check()
    report = kernel.check(REPORT_IDLE_AFTER)
    assert isinstance(report, Unresponsive)
    assert (report.heartbeat, report.state) == (None, STUCK_STATE)
    kernel.state = "sleeping"
    assert isinstance(kernel.check(), Responded)
