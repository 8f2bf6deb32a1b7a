"""Test summaries of runs from the first and the last line of a journal."""

import tracemalloc
from pathlib import Path

import pytest

from nbrun.errors import DamagedJournalError
from nbrun.journal.summary import read_start_and_end
from tests.support.run_builder import Run, display, step, stream


def test_summary_of_ended_run_has_start_and_end(tmp_path: Path) -> None:
    tale = Run(step("a"), parameters={"host": "db1"}).attempt("a").finish(duration=61.5)
    began, ended = read_start_and_end(tale.write(tmp_path / "journal.jsonl"))
    assert began is not None
    assert ended is not None
    assert (began.runbook, began.parameters) == ("/srv/runbooks/restore.ipynb", {"host": "db1"})
    assert (began.operator.name, began.at) == ("ada", "2026-11-23T09:30:00.000000Z")
    assert (ended.outcome, ended.off_script, ended.duration) == ("completed", False, 61.5)


def test_summary_finds_long_last_line(tmp_path: Path) -> None:
    tale = Run(step("a")).attempt("a").finish("failed", why="x" * 20_000)
    assert read_start_and_end(tale.write(tmp_path / "journal.jsonl"))[1] is not None


@pytest.mark.parametrize("size", [100, 4_000, 5_000, 70_000])
def test_last_line_of_other_event_is_not_an_end(tmp_path: Path, size: int) -> None:
    said = display(application_json={"event": "run.finished", "x": '"event":"run.finished"' * 9})
    tale = Run(step("a")).begin("a").output(stream("x" * size)).output(said)
    assert read_start_and_end(tale.write(tmp_path / "journal.jsonl"))[1] is None
    assert (
        read_start_and_end(tale.output(stream("x" * size)).write(tmp_path / "other.jsonl"))[1]
        is None
    )


def test_very_long_plan_is_in_memory_once(tmp_path: Path) -> None:
    tale = Run(step("a", "x" * 3_000_000)).attempt("a").finish()
    path = tale.write(tmp_path / "journal.jsonl")
    tracemalloc.start()
    try:
        began, ended = read_start_and_end(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert began is not None
    assert began.runbook == "/srv/runbooks/restore.ipynb"
    assert ended is not None
    assert peak < 4_000_000


def test_first_line_of_other_event_is_damage(tmp_path: Path) -> None:
    path = Run(step("a")).attempt("a").finish().write(tmp_path / "journal.jsonl")
    path.write_bytes(path.read_bytes().split(b"\n", 1)[1])
    with pytest.raises(DamagedJournalError, match=r"journal\.jsonl"):
        read_start_and_end(path)


def test_end_with_wrong_field_is_damage(tmp_path: Path) -> None:
    path = Run(step("a")).attempt("a").finish().write(tmp_path / "journal.jsonl")
    path.write_bytes(path.read_bytes().replace(b'"off_script":false', b'"off_script":9'))
    with pytest.raises(DamagedJournalError):
        read_start_and_end(path)
