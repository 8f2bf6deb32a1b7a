"""When a kernel that says nothing is asked, and what is told of its silence."""

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
class Line:
    asked: int = 0
    well: bool = False

    def ask(self) -> None:
        self.asked += 1

    def answered(self) -> bool:
        return self.well


@dataclass
class Patient:
    """A kernel of which a test says how it is; its time moves as it is told."""

    control: Line | None = field(default_factory=Line)
    heartbeat: Line = field(default_factory=lambda: Line(well=True))
    cpu: float | None = 0.0
    state: str = "sleeping"
    now: float = 100.0

    def __post_init__(self) -> None:
        lines = None if self.control is None else (self.control, self.heartbeat)
        self.watchdog = Watchdog(
            1, 4711, lambda: ProcessStats(self.cpu, self.state), lambda: lines, lambda: self.now
        )

    def look(
        self, after: float = 1.0, *, at_work: bool = True, quiet: float = 60.0
    ) -> Unresponsive | Responded | None:
        self.now += after
        return self.watchdog.check(at_work=at_work, quiet=quiet)


def test_one_that_speaks_or_has_nothing_to_do_is_not_asked() -> None:
    patient = Patient()
    assert patient.control is not None
    patient.look(quiet=PROBE_AFTER - 0.1)
    patient.look(at_work=False)
    assert patient.control.asked == 0
    patient.look(quiet=PROBE_AFTER)
    assert (patient.control.asked, patient.heartbeat.asked) == (1, 1)


def test_one_that_answers_is_well_and_asked_again_and_again() -> None:
    patient = Patient(Line(well=True))
    assert patient.control is not None
    assert [patient.look(30.0) for _ in range(6)] == [None] * 6
    assert patient.control.asked == 3


@pytest.mark.parametrize("heartbeat", [True, False])
def test_silence_without_work_is_told_of_once_with_what_is_known(heartbeat: bool) -> None:
    patient = Patient(heartbeat=Line(well=heartbeat))
    patient.look()
    assert patient.look(REPORT_IDLE_AFTER - 0.1) is None
    assert patient.look(0.1) == Unresponsive(
        generation=1,
        pid=4711,
        silent=REPORT_IDLE_AFTER,
        heartbeat=heartbeat,
        state="sleeping",
        cpu=0.0,
    )
    assert patient.look(600.0) is None
    assert patient.control is not None
    patient.control.well = True
    assert patient.look() == Responded(generation=1, silent=REPORT_IDLE_AFTER + 601.0)
    patient.control.well = False
    patient.look()
    assert patient.look(REPORT_IDLE_AFTER) is not None, "another silence is another"


def test_silence_with_work_is_told_of_later() -> None:
    patient = Patient(state="running")
    patient.look()
    for _ in range(int(REPORT_BUSY_AFTER) - 1):
        patient.cpu = (patient.cpu or 0.0) + 0.9
        assert patient.look() is None
    told = patient.look()
    assert isinstance(told, Unresponsive)
    assert told.cpu == pytest.approx(0.9 * (REPORT_BUSY_AFTER - 1))


def test_silence_of_one_whose_time_nobody_may_know_is_told_of_as_such() -> None:
    patient = Patient(cpu=None)
    patient.look()
    told = patient.look(REPORT_IDLE_AFTER)
    assert isinstance(told, Unresponsive)
    assert told.cpu is None


def test_the_end_of_its_work_ends_its_silence() -> None:
    patient = Patient()
    patient.look()
    assert patient.look(at_work=False) is None
    patient.look()
    assert patient.look(REPORT_IDLE_AFTER) is not None
    assert isinstance(patient.look(at_work=False), Responded)


def test_one_that_cannot_be_asked_is_told_of_only_when_the_system_says_that_it_is_stuck() -> None:
    patient = Patient(control=None)
    assert [patient.look(30.0) for _ in range(4)] == [None] * 4
    patient.state = STUCK_STATE
    patient.look()
    patient.look()
    told = patient.look(REPORT_IDLE_AFTER)
    assert isinstance(told, Unresponsive)
    assert (told.heartbeat, told.state) == (None, STUCK_STATE)
    patient.state = "sleeping"
    assert isinstance(patient.look(), Responded)
