"""When each step ran last, by the journals of earlier runs."""

import tracemalloc
from pathlib import Path

from nbrun.journal.history import LastAttempt, last_attempts
from nbrun.journal.run_directory import RunDirectory
from tests.support.run_builder import Run, step

RUNBOOK = "/srv/runbooks/restore.ipynb"  # what a tale is of


def keep(parent: Path, run: str, tale: Run) -> Path:
    (parent / run).mkdir(parents=True)
    return tale.write(parent / run / "journal.jsonl")


def told(parent: Path) -> dict[str, LastAttempt]:
    """What is told in a run of the same runbook that begins after those."""
    if not (parent / "20260109-000000-now-aaaa").exists():
        keep(parent, "20260109-000000-now-aaaa", tale().attempt("a", duration=77.0))
    return last_attempts(RunDirectory(parent / "20260109-000000-now-aaaa"), RUNBOOK)


def tale(**fields: object) -> Run:
    return Run(step("a"), step("b"), **fields)


def test_last_attempts_has_newest_attempt_of_each_step(tmp_path: Path) -> None:
    keep(tmp_path, "20260101-000000-old-aaaa", tale().attempt("a", duration=9.0).attempt("b"))
    keep(tmp_path, "20260102-000000-new-aaaa", tale().failure("a", duration=2.0))
    found = told(tmp_path)
    assert found["a"] == LastAttempt(
        at="2026-11-23T09:30:03.000000Z", outcome="error", duration=2.0
    )
    assert found["b"].outcome == "ok"


def test_last_attempts_omits_other_runbooks_and_this_run(tmp_path: Path) -> None:
    keep(tmp_path, "20260101-000000-other-aaaa", tale(runbook="/x.ipynb").attempt("a"))
    assert told(tmp_path) == {}


def test_last_attempts_does_not_read_this_run(tmp_path: Path) -> None:
    long = Run(step("a", "x" * 1_000_000)).attempt("a")
    keep(tmp_path, "20260109-000000-now-aaaa", long)
    tracemalloc.start()
    try:
        assert told(tmp_path) == {}
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 500_000


def test_last_attempts_ignores_damaged_and_missing_journals(tmp_path: Path) -> None:
    journal = keep(tmp_path, "20260101-000000-old-aaaa", tale().attempt("a").attempt("b"))
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[-1] = lines[-1].replace(b'"outcome":"ok"', b'"outcome":7')
    journal.write_bytes(b"".join(lines) + b'{"torn')
    assert list(told(tmp_path)) == ["a"]
    journal.write_bytes(b"no journal\n")
    assert told(tmp_path) == {}
    assert last_attempts(RunDirectory(tmp_path / "no" / "where"), RUNBOOK) == {}


def test_last_attempts_found_while_own_journal_is_empty(tmp_path: Path) -> None:
    keep(tmp_path, "20260101-000000-old-aaaa", tale().attempt("a", duration=9.0))
    (tmp_path / "20260109-000000-now-aaaa").mkdir()
    (tmp_path / "20260109-000000-now-aaaa" / "journal.jsonl").touch()
    assert told(tmp_path)["a"].duration == 9.0
