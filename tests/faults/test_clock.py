"""Test P10: no duration is negative or wrong, whatever the wall clock does."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nbrun.core import events as ev
from nbrun.journal.reader import JournalReader
from nbrun.journal.writer import Clock, Journal
from nbrun.system import provenance
from tests.support.fault_rig import Rig

HOUR, YEAR = timedelta(hours=1), timedelta(days=365)


class Wall:
    """A wall clock that an administrator sets while a step runs."""

    def __init__(self) -> None:
        self.offset = timedelta()

    def now(self) -> datetime:
        return datetime(2026, 11, 23, 9, 30, tzinfo=UTC) + self.offset


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Iterator[Wall]:
    made = Wall()
    create = Journal.create
    monkeypatch.setattr(Journal, "create", lambda path: create(path, Clock(now=made.now)))
    return made


@pytest.mark.parametrize("jump", [-HOUR, YEAR, -YEAR], ids=["an hour back", "on", "a year back"])
def test_clock_set_during_step_changes_no_duration(
    tmp_path: Path, wall: Wall, jump: timedelta
) -> None:
    rig = Rig(tmp_path / "runs")

    def ran(source: str) -> None:
        rig.effects.append(source)
        if source == "step_1()":
            wall.offset += jump

    rig.kernel.on_execute = ran
    assert rig.perform() is None
    records = list(JournalReader(rig.directory.journal))
    monos = [record.mono for record in records]
    assert monos == sorted(monos)
    assert 0 <= monos[-1] < 60
    durations = [r.event.duration for r in records if isinstance(r.event, ev.AttemptFinished)]
    assert durations
    assert all(0 <= each < 60 for each in durations)
    finished = records[-1].event
    assert isinstance(finished, ev.RunFinished)
    assert 0 <= finished.duration < 60
    days = {record.at[:13] for record in records}
    assert days == {
        f"{datetime(2026, 11, 23, 9, 30) + each:%Y-%m-%dT%H}" for each in (timedelta(), jump)
    }
    assert all(record.at.endswith("Z") for record in records)
    assert rig.verify().standing == "UNSEALED"


def test_boot_id_is_stable() -> None:
    boot = provenance.boot_id()
    assert boot
    assert boot == provenance.boot_id()
