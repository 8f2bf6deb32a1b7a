"""Test P1, P3 and P12: a failing or changed journal stops the run; what it has stays intact."""

import mmap
import os
from pathlib import Path

import pytest

from nbrun.audit.verify import Standing
from nbrun.core import events as ev
from nbrun.errors import JournalError, NbrunError
from nbrun.journal.reader import JournalReader
from tests.support.fault_rig import EFFECTS, Rig, complete_lines, start
from tests.support.faulty_disk import CALLS, Disk

MODES = [
    pytest.param(kind, lasting, short, id=f"{kind}{' on' * lasting}{' short' * short}")
    for kind in CALLS
    for lasting in (False, True)
    for short in ((False, True) if kind == "write" else (False,))
]


def test_run_completes_without_faults(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "runs")
    assert rig.perform() is None
    assert rig.effects == EFFECTS
    assert rig.verify().standing is Standing.UNSEALED


@pytest.mark.parametrize(("kind", "lasting", "short"), MODES)
def test_any_failing_call_stops_run_and_keeps_record(
    tmp_path: Path, kind: str, lasting: bool, short: bool
) -> None:
    """The first call of its kind fails, then the second, until a run makes fewer calls."""
    for nth in range(1, 500):
        disk = Disk(kind, nth, lasting=lasting, short=short)
        if not run_and_check(tmp_path / str(nth), disk):
            assert nth > 1, f"{kind} is never called"
            return
    raise AssertionError("no run completed without a fault")


def run_and_check(runs: Path, disk: Disk) -> bool:
    """Run with a faulty disk, and check the result; return False if the disk never failed."""
    with disk():
        rig = start(runs)
        if isinstance(rig, NbrunError):
            assert "No space left" in str(rig)
            return True
        sizes: list[int] = []
        disk.when_failing = lambda: sizes.append(len(rig.effects))
        failure = rig.perform()
    if not disk.reached:
        assert failure is None
        assert rig.effects == EFFECTS
        return False
    check(rig, failure, sizes, lasting=disk.lasting)
    return True


def check(rig: Rig, failure: NbrunError | None, sizes: list[int], *, lasting: bool) -> None:
    path = rig.directory.journal
    recorded = list(JournalReader(path))  # raises if a line is damaged
    seen = [record.event for record in rig.records]
    assert [record.event for record in recorded][: len(seen)] == seen
    started = [e.event.source for e in recorded if isinstance(e.event, ev.AttemptStarted)]
    assert started[: len(rig.effects)] == rig.effects
    assert rig.is_notebook_complete()
    assert rig.verify().standing is not Standing.BROKEN
    if failure is None:  # the call was for the notebook: that does not stop the run
        assert rig.effects == EFFECTS
        assert isinstance(recorded[-1].event, ev.RunFinished)
        return
    assert isinstance(failure, JournalError)
    assert "No space left" in str(failure)
    assert rig.effects == EFFECTS[: len(rig.effects)]
    assert len(rig.effects) <= sizes[-1], "a step was sent after the disk had failed"
    assert rig.kernel.calls[-1] == "shutdown"


@pytest.mark.parametrize("nth", range(1, 20))
def test_step_is_not_run_after_failed_sync_of_its_start(tmp_path: Path, nth: int) -> None:
    """Each sync fails in turn. If it is that of an attempt's start, the step has no effect."""
    disk = Disk("sync", nth, lasting=False)
    with disk():
        rig = start(tmp_path / "runs")
        if isinstance(rig, NbrunError):
            return
        rig.perform()
    recorded = [record.event for record in JournalReader(rig.directory.journal)]
    if isinstance(recorded[-1], ev.AttemptStarted):
        assert recorded[-1].source not in rig.effects[len(EFFECTS) :]
        assert len(rig.effects) == sum(isinstance(e, ev.AttemptStarted) for e in recorded) - 1


def test_failed_sync_is_never_retried(tmp_path: Path) -> None:
    disk = Disk("sync", 8, lasting=False)
    with disk():
        rig = start(tmp_path / "runs")
        assert isinstance(rig, Rig)
        written = rig.directory.journal.stat().st_size
        failure = rig.perform()
        calls = disk.calls
    assert failure is not None
    assert disk.failed == 1
    assert calls == 8, "something was synced after a sync had failed"
    assert rig.directory.journal.stat().st_size > written


@pytest.mark.parametrize("running", [True, False])
def test_error_says_what_is_recorded_and_what_is_not(tmp_path: Path, running: bool) -> None:
    rig = Rig(tmp_path / "runs")
    disk = Disk("write", 1, lasting=True)

    def ran(source: str) -> None:
        if running:
            stack.enter_context(disk())

    from contextlib import ExitStack

    with ExitStack() as stack:
        rig.kernel.on_execute = ran
        if not running:
            stack.enter_context(disk())
        failure = rig.perform()
    assert "Nothing more is run; what was recorded before is kept" in str(failure)
    if running:
        assert "how step 1, attempt 1 ended" in str(failure)
        assert "interrupt" in rig.kernel.calls
    else:
        assert "No step was running, and none was sent" in str(failure)


# ── P12: another program changes the journal ─────────────────────────────────────────────────


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"{}\n")


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 10)


def cut_to_nothing(path: Path) -> None:
    os.truncate(path, 0)


def delete(path: Path) -> None:
    path.unlink()


def replace(path: Path) -> None:
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    copy.replace(path)


def link(path: Path) -> None:
    elsewhere = path.with_name("elsewhere")
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def overwrite(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at, os.SEEK_SET if at >= 0 else os.SEEK_END)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))


def overwrite_the_first_line(path: Path) -> None:
    overwrite(path, 200)


def overwrite_the_last_line(path: Path) -> None:
    overwrite(path, -100)


def overwrite_and_set_the_time_back(path: Path) -> None:
    before = path.stat()
    overwrite(path, 300)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def map_into_memory_and_change(path: Path) -> None:
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        mapped[250] ^= 1
        mapped.flush()


OVERWRITES = [
    overwrite_the_first_line,
    overwrite_the_last_line,
    overwrite_and_set_the_time_back,
    map_into_memory_and_change,
]


@pytest.mark.parametrize("touch", [append, cut, cut_to_nothing, delete, replace, link, *OVERWRITES])
@pytest.mark.parametrize("step", [1, 2, 3])
def test_change_by_cell_is_detected_before_next_step(
    tmp_path: Path, touch: object, step: int
) -> None:
    rig = Rig(tmp_path / "runs")

    def ran(source: str) -> None:
        rig.effects.append(source)
        if source == f"step_{step}()":
            touch(rig.directory.journal)  # type: ignore[operator]

    rig.kernel.on_execute = ran
    failure = rig.perform()
    assert isinstance(failure, JournalError)
    assert failure.exit_code == 7
    assert str(rig.directory.journal) in str(failure)
    assert rig.effects == EFFECTS[: EFFECTS.index(f"step_{step}()") + 1]
    assert complete_lines(rig.directory.journal) is not None
