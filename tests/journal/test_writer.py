"""Test writing of journals: creation, chain, locking, and a disk that fails."""

import errno
import fcntl
import json
import os
import stat
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from nbrun.core.events import Event, Record
from nbrun.errors import JournalError
from nbrun.journal import writer as journal_module
from nbrun.journal.codec import GENESIS, digest
from nbrun.journal.reader import JournalReader
from nbrun.journal.writer import Clock, Journal, is_locked
from tests.support.build_events import (
    BEGAN,
    attempt_started,
    attempted,
    begun,
    clock,
    note_added,
    records,
    run_finished,
    run_started,
    uneventful,
    write,
)


def read(path: Path) -> list[Record]:
    return list(JournalReader(path))


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


SMALL: list[Event] = [run_started(1), note_added("é"), run_finished()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def test_append_returns_records_as_read_back(path: Path) -> None:
    journal = Journal.create(path, clock())
    first = journal.append(begun(), sync=False)
    second = journal.append(attempted(), sync=True)
    journal.close()
    assert [each.seq for each in [*first, *second]] == [0, 1, 2, 3]
    assert read(path) == [*first, *second]


def test_each_line_has_hash_of_line_before(path: Path) -> None:
    write(path, uneventful())
    prev = GENESIS
    for line in lines_of(path):
        assert json.loads(line)["prev"] == prev
        prev = digest(line[:-1])
    assert json.loads(lines_of(path)[0])["prev"] == (
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )


def test_clock_set_back_changes_times_but_not_seconds(
    path: Path,
) -> None:
    walls = iter([BEGAN, BEGAN - timedelta(hours=1), BEGAN + timedelta(microseconds=7)])
    seconds = iter([100.0, 100.0, 100.25, 107.0000004])
    journal = Journal.create(path, Clock(now=walls.__next__, monotonic=seconds.__next__))
    found = journal.append(SMALL, sync=False)
    journal.close()
    assert [each.mono for each in found] == [0.0, 0.25, 7.0]
    assert [each.at for each in found] == [
        "2026-11-23T09:30:00.000000Z",
        "2026-11-23T08:30:00.000000Z",
        "2026-11-23T09:30:00.000007Z",
    ]


@pytest.mark.parametrize(
    "occupy",
    [
        pytest.param(lambda path: path.write_text("kept"), id="a file"),
        pytest.param(lambda path: path.symlink_to(path.parent / "elsewhere"), id="a symlink"),
        pytest.param(os.mkfifo, id="a FIFO"),
        pytest.param(lambda path: path.mkdir(), id="a folder"),
    ],
)
def test_create_never_replaces_existing_path(path: Path, occupy: Callable[[Path], None]) -> None:
    occupy(path)
    before = path.lstat()
    with pytest.raises(JournalError, match="journal"):
        Journal.create(path)
    assert path.lstat() == before
    assert not (path.parent / "elsewhere").exists()


def test_create_fails_without_folder(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="No such file"):
        Journal.create(tmp_path / "none" / "journal.jsonl")


@pytest.mark.parametrize("umask", [0, 0o777])
def test_created_journal_is_private_under_any_umask(path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        Journal.create(path).close()
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_journal_is_locked_until_closed(path: Path) -> None:
    journal = Journal.create(path)
    assert is_locked(path)
    with path.open("rb") as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    journal.close()
    assert not is_locked(path)


class Disk:
    """A disk that records the calls of a journal, and fails on request."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[str] = []
        self.most = 10**9
        self.failing: tuple[str, int] | None = None
        self._write, self._sync = os.write, journal_module.sync_file
        monkeypatch.setattr(os, "write", self.write)
        monkeypatch.setattr(journal_module, "sync_file", self.sync)

    def write(self, fd: int, data: bytes) -> int:
        self._called("write")
        return self._write(fd, data[: self.most])

    def sync(self, fd: int) -> None:
        self._called("sync")
        self._sync(fd)

    def _called(self, what: str) -> None:
        self.calls.append(what)
        if self.failing == (what, self.calls.count(what)):
            raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


@pytest.mark.parametrize("most", [1, 7, 4096])
def test_short_write_is_completed(path: Path, disk: Disk, most: int) -> None:
    disk.most = most
    write(path, uneventful())
    assert read(path) == records(uneventful())
    assert len(disk.calls) >= path.stat().st_size // most


def test_synced_append_syncs_before_returning(path: Path, disk: Disk) -> None:
    journal = Journal.create(path)
    journal.append(begun(), sync=True)
    assert disk.calls == ["write", "sync"]
    journal.append([attempt_started()], sync=False)
    assert disk.calls == ["write", "sync", "write"]
    journal.close()


def test_batch_is_written_at_once(path: Path, disk: Disk) -> None:
    write(path, uneventful())
    assert disk.calls == ["write"]


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("call", ["write", "sync"])
def test_journal_takes_no_events_after_failure(
    path: Path, disk: Disk, call: str, number: int
) -> None:
    disk.failing = (call, number)
    journal = Journal.create(path, clock())
    appended: list[Record] = []
    with pytest.raises(JournalError, match=r"can't be written: No space left.*Nothing more is run"):
        for event in uneventful():
            appended += journal.append([event], sync=True)
    assert len(appended) == number - 1
    calls, size = list(disk.calls), path.stat().st_size
    for sync in (True, False):
        with pytest.raises(JournalError, match="takes no more events"):
            journal.append([note_added()], sync=sync)
    assert (disk.calls, path.stat().st_size) == (calls, size)
    journal.close()
    assert read(path)[: number - 1] == appended


def test_write_failing_midway_leaves_torn_line(path: Path, disk: Disk) -> None:
    journal = Journal.create(path, clock())
    journal.append([SMALL[0]], sync=False)
    disk.most, disk.failing = 10, ("write", 3)
    with pytest.raises(JournalError):
        journal.append([SMALL[1]], sync=False)
    journal.close()
    reader = JournalReader(path)
    assert list(reader) == records(SMALL[:1])
    assert reader.torn == b'{"v":1,"se'
