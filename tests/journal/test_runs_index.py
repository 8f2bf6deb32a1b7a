"""The index of a folder of runs: whole after any crash, with any number of writers."""

import fcntl
import multiprocessing
import os
from pathlib import Path

import pytest

from nbrun.errors import DamagedJournalError, JournalError
from nbrun.journal import runs_index
from nbrun.journal.codec import GENESIS, digest
from tests.support.build_events import record, run_finished, run_started

RUN = "20261123-093000-restore-ab12"
FIRST, LAST = record(run_started(1)), record(run_finished(), 5)


def enter(runs: Path, run: str = RUN, *, ended: bool = True) -> None:
    runs_index.append(runs, "run.started", run, FIRST)
    if ended:
        runs_index.append(runs, "run.ended", run, LAST)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return runs_index.path_in(tmp_path, os.geteuid())


def test_start_and_end_of_run_are_chained(tmp_path: Path, path: Path) -> None:
    assert runs_index.head(tmp_path) == GENESIS
    enter(tmp_path)
    found = runs_index.read(path)
    assert [(line.event, line.run, line.head, line.lines) for line in found.lines] == [
        ("run.started", RUN, FIRST.hash, 1),
        ("run.ended", RUN, LAST.hash, 6),
    ]
    assert found.lines[1].prev == found.heads[0]
    assert runs_index.head(tmp_path) == found.heads[1]
    assert path.stat().st_mode & 0o777 == 0o600


def test_index_is_private_under_any_umask(tmp_path: Path, path: Path) -> None:
    before = os.umask(0)
    try:
        enter(tmp_path)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600


def test_torn_last_line_of_any_length_is_cut(tmp_path: Path, path: Path) -> None:
    enter(tmp_path)
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for size in range(first, len(whole)):
        path.write_bytes(whole[:size])
        assert runs_index.read(path).torn == size - first
        assert runs_index.head(tmp_path) == digest(whole[: first - 1])
        runs_index.append(tmp_path, "run.ended", RUN, LAST)
        assert len(runs_index.read(path).lines) == 2


def test_torn_only_line_is_cut(tmp_path: Path, path: Path) -> None:
    path.write_bytes(b'{"v":1,"seq"')
    enter(tmp_path)
    assert [line.seq for line in runs_index.read(path).lines] == [0, 1]


def _enter_many(runs: Path, writer: int) -> None:
    for number in range(20):
        enter(runs, f"20261123-093000-restore-{writer}{number:03}")


def test_runs_that_append_at_once_lose_no_line(tmp_path: Path, path: Path) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_enter_many, args=(tmp_path, each)) for each in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    lines = runs_index.read(path).lines
    assert len(lines) == 160
    assert len({(line.run, line.event) for line in lines}) == 160


def test_index_that_is_held_for_long_is_given_up(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs_index, "PATIENCE", 0.05)
    enter(tmp_path)
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(JournalError, match="index-"):
            runs_index.append(tmp_path, "run.started", "other", FIRST)


def test_failed_sync_leaves_index_as_it_was(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(tmp_path)
    before = path.read_bytes()

    def failing(_fd: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(runs_index, "sync_file", failing)
    with pytest.raises(JournalError, match="Input/output error"):
        runs_index.append(tmp_path, "run.started", "other", FIRST)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "last", [b"{}\n", b"\n", b"x" * 5000, b"\xff\n"], ids=["empty", "blank", "long", "no text"]
)
def test_damaged_index_takes_no_more_lines(tmp_path: Path, path: Path, last: bytes) -> None:
    enter(tmp_path)
    path.write_bytes(path.read_bytes() + last)
    before = path.read_bytes()
    with pytest.raises(JournalError, match="its last line is not one of an index"):
        runs_index.append(tmp_path, "run.started", "other", FIRST)
    assert path.read_bytes() == before


def test_every_changed_byte_is_refused(tmp_path: Path, path: Path) -> None:
    enter(tmp_path)
    enter(tmp_path, "20261123-093000-restore-cd34")
    data = path.read_bytes()
    last = len(data[: data[:-1].rindex(b"\n") + 1])  # only the head shows a change to the last line
    for at in range(last):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(DamagedJournalError, match=rf"{path.name}, line \d"):
            runs_index.read(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: lines[1:],
        lambda lines: [lines[0], *lines[2:]],
        lambda lines: [lines[1], lines[0], *lines[2:]],
        lambda lines: [lines[0].replace(b'"seq":0', b'"seq": 0'), *lines[1:]],
        lambda lines: [*lines[:-1], lines[-1].replace(b'"lines"', b'"more":1,"lines"')],
    ],
    ids=["first missing", "one missing", "swapped", "space", "unknown field"],
)
def test_changed_index_is_refused(tmp_path: Path, path: Path, change: object) -> None:
    enter(tmp_path)
    enter(tmp_path, "20261123-093000-restore-cd34")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(change(lines)))  # type: ignore[operator]
    with pytest.raises(DamagedJournalError):
        runs_index.read(path)
