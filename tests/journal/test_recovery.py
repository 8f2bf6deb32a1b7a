"""Test recovery of a journal whose writer is gone, and following a growing journal."""

import errno
import os
from pathlib import Path

import msgspec
import pytest

from nbrun import __version__
from nbrun.core import events as ev
from nbrun.core.reducer import fold
from nbrun.core.state import Phase
from nbrun.errors import DamagedJournalError, JournalError
from nbrun.journal.reader import JournalFollower, JournalReader
from nbrun.journal.recovery import record_interruption, reopen
from nbrun.journal.writer import Journal, is_locked
from tests.support.build_events import (
    attempt_started,
    attempted,
    begun,
    decided,
    note_added,
    output,
    run_finished,
    run_interrupted,
    stopped,
    uneventful,
    with_deviations,
    write,
)


def tags(path: Path) -> list[str]:
    return [type(record.event).__struct_config__.tag for record in JournalReader(path)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def test_interruption_makes_running_attempt_indeterminate_once(path: Path) -> None:
    write(path, [*begun(), attempt_started(), output()])
    assert record_interruption(path)
    before = path.read_bytes()
    assert tags(path)[-2:] == ["attempt.indeterminate", "run.interrupted"]
    assert not record_interruption(path)
    assert path.read_bytes() == before


def test_interruption_between_attempts_makes_none_indeterminate(path: Path) -> None:
    write(path, [*begun(), *attempted()])
    assert record_interruption(path)
    assert tags(path)[-2:] == ["attempt.finished", "run.interrupted"]


def test_reopening_records_deviations_lost_in_crash(path: Path) -> None:
    """A crash can tear one write between a decision and the deviations that it implies."""
    plan, kernel = begun(3)
    named = msgspec.structs.replace(plan, versions={"nbrun": __version__})
    decision = [
        *attempted("s1", outcome="error"),
        stopped(),
        decided("jump", step="s3", reason="done by hand"),
    ]
    whole = with_deviations([named, kernel, *decision])
    assert [each.step for each in whole[-2:] if isinstance(each, ev.Deviated)] == ["s1", "s2"]
    for kept in (len(whole) - 2, len(whole) - 1, len(whole)):
        cut = path.with_name(f"cut-{kept}")
        write(cut, whole[:kept])
        with cut.open("ab") as file:
            file.write(b'{"v":1,"seq":')
        assert record_interruption(cut)
        events = [record.event for record in JournalReader(cut)]
        assert events[:-1] == whole
        assert isinstance(events[-1], ev.RunInterrupted)
        assert len(fold(events).deviations) == 2


@pytest.mark.parametrize("events", [uneventful(), [*begun(), run_interrupted()]])
def test_interruption_of_ended_or_interrupted_run_writes_nothing(
    path: Path, events: list[ev.Event]
) -> None:
    write(path, events)
    before = path.read_bytes()
    record_interruption(path)
    assert path.read_bytes() == before


def test_interruption_of_running_run_writes_nothing(path: Path) -> None:
    journal = Journal.create(path)
    journal.append(begun(), sync=True)
    before = path.read_bytes()
    assert not record_interruption(path)
    with pytest.raises(BlockingIOError):
        reopen(path)
    assert path.read_bytes() == before
    journal.close()


def test_journal_without_first_line_is_left_unchanged(path: Path) -> None:
    path.write_bytes(b'{"v":1,"se')
    assert not record_interruption(path)
    with pytest.raises(JournalError, match="empty"):
        reopen(path)
    assert path.read_bytes() == b'{"v":1,"se'


@pytest.mark.sweep
def test_reopening_continues_after_last_complete_line_of_any_cut(path: Path) -> None:
    """For every length that a crash may leave, complete lines are kept and torn ones moved."""
    write(path, [*begun(), attempt_started(), output("caf\u00e9\n"), *attempted()[1:]])
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for size in range(first, len(whole) + 1):
        path.write_bytes(whole[:size])
        kept, torn = whole[:size].rpartition(b"\n")[0] + b"\n", whole[:size].rpartition(b"\n")[2]
        reopened = reopen(path)
        reopened.journal.append([note_added()], sync=True)
        reopened.journal.close()
        assert path.read_bytes().startswith(kept)
        records = list(JournalReader(path))
        (interruption,) = [r.event for r in records if isinstance(r.event, ev.RunInterrupted)]
        assert interruption.cut == len(torn)
        if torn:
            aside = path.with_name(interruption.kept_in)
            assert aside.read_bytes() == torn
            assert aside.stat().st_mode & 0o777 == 0o600
            aside.unlink()
        assert fold(record.event for record in records).attempt is None


def test_interrupted_repair_is_repeated(path: Path) -> None:
    write(path, begun())
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"v":1')
    path.with_name(f"{path.name}.torn-at-{len(whole)}").write_bytes(b'{"v":1')
    reopen(path).journal.close()
    assert tags(path)[-1] == "run.interrupted"


@pytest.mark.parametrize("before", [b"", b'{"v"', b'{"x":'])
def test_torn_line_is_kept_whatever_an_earlier_recovery_left(path: Path, before: bytes) -> None:
    write(path, begun())
    size = path.stat().st_size
    path.write_bytes(path.read_bytes() + b'{"v":1')
    first = path.with_name(f"{path.name}.torn-at-{size}")
    first.write_bytes(before)
    reopen(path).journal.close()
    last = list(JournalReader(path))[-1].event
    assert isinstance(last, ev.RunInterrupted)
    assert path.with_name(last.kept_in).read_bytes() == b'{"v":1'
    assert before in first.read_bytes()


def test_torn_line_stays_when_the_disk_is_full(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(path, begun())
    torn = path.read_bytes() + b'{"v":1'
    path.write_bytes(torn)

    def full(_fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr("nbrun.journal.recovery.sync_file", full)
        for _ in range(2):
            assert record_interruption(path)
            assert path.read_bytes() == torn
            with pytest.raises(JournalError, match="torn last line can't be cut"):
                reopen(path)
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert record_interruption(path)
    assert tags(path)[-1] == "run.interrupted"


def test_reopening_refuses_other_damage_and_changes_nothing(path: Path) -> None:
    write(path, [*begun(), attempt_started(), output()])
    damaged = path.read_bytes().replace(b"python3", b"python2", 1)
    path.write_bytes(damaged)
    with pytest.raises(DamagedJournalError, match="line 2"):
        record_interruption(path)
    assert path.read_bytes() == damaged
    assert not is_locked(path)


def test_seconds_never_go_back_after_reopening(path: Path) -> None:
    write(path, [*begun(), *attempted()])  # stamped in the past
    reopened = reopen(path)
    reopened.journal.append([note_added()], sync=True)
    reopened.journal.close()
    monos = [record.mono for record in JournalReader(path)]
    assert monos == sorted(monos)


def test_reopening_does_not_follow_symlink(path: Path, tmp_path: Path) -> None:
    elsewhere = write(tmp_path / "elsewhere", begun())
    path.symlink_to(elsewhere)
    with pytest.raises(JournalError):
        reopen(path)
    assert tags(elsewhere)[-1] == "kernel.started"


def test_reopening_restores_run_state(path: Path) -> None:
    write(path, [*begun(), attempt_started()])
    reopened = reopen(path)
    assert reopened.state.phase is Phase.READY
    assert [each.step for each in reopened.state.unsettled] == ["s1"]
    assert reopened.last_alive == 2.0
    reopened.journal.close()


# ── Following a growing journal ──────────────────────────────────────────────────────────────


def test_a_follower_gets_each_record_once_and_no_torn_one(path: Path) -> None:
    whole = write(path, uneventful()).read_bytes()
    growing = path.with_name("growing")
    growing.touch()
    following, seen = JournalFollower(growing), []
    with growing.open("ab", buffering=0) as file:
        for at in range(0, len(whole), 97):
            file.write(whole[at : at + 97])
            seen += following.read_new()
    assert seen == list(JournalReader(path))
    assert following.read_new() == []
    following.close()


def test_a_follower_is_shown_no_further_than_it_is_told(path: Path) -> None:
    write(path, uneventful())
    following = JournalFollower(path)
    assert [record.seq for record in following.read_new(through=2)] == [0, 1, 2]
    assert following.read_new(through=2) == []
    assert following.read_new()[0].seq == 3


def test_a_follower_finds_damage(path: Path) -> None:
    write(path, [*begun(), run_finished()])
    path.write_bytes(path.read_bytes().replace(b"python3", b"python2", 1))
    with pytest.raises(DamagedJournalError, match="line 2"):
        JournalFollower(path).read_new()
