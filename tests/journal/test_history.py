"""Test finding the last attempt of each step in earlier runs."""

import tracemalloc
from pathlib import Path

from nbrun.journal.history import LastAttempt, last_attempts
from nbrun.journal.run_directory import RunDirectory
from tests.support.run_builder import Run, step

RUNBOOK = "/srv/runbooks/restore.ipynb"  # the default of `Run`


def keep(parent: Path, id: str, run: Run) -> Path:
    (parent / id).mkdir(parents=True)
    return run.write(parent / id / "journal.jsonl")


def last_attempts_seen(parent: Path) -> dict[str, LastAttempt]:
    """Return the last attempts as seen by a later run of the same runbook."""
    if not (parent / "20260109-000000-now-aaaa").exists():
        keep(parent, "20260109-000000-now-aaaa", new_run().attempt("a", duration=77.0))
    return last_attempts(RunDirectory(parent / "20260109-000000-now-aaaa"), RUNBOOK)


def new_run(**fields: object) -> Run:
    return Run(step("a"), step("b"), **fields)


def test_last_attempts_has_newest_attempt_of_each_step(tmp_path: Path) -> None:
    keep(tmp_path, "20260101-000000-old-aaaa", new_run().attempt("a", duration=9.0).attempt("b"))
    keep(tmp_path, "20260102-000000-new-aaaa", new_run().failure("a", duration=2.0))
    found = last_attempts_seen(tmp_path)
    assert found["a"] == LastAttempt(
        at="2026-11-23T09:30:03.000000Z", outcome="error", duration=2.0
    )
    assert found["b"].outcome == "ok"


def test_last_attempts_omits_other_runbooks_and_this_run(tmp_path: Path) -> None:
    keep(tmp_path, "20260101-000000-other-aaaa", new_run(runbook="/x.ipynb").attempt("a"))
    assert last_attempts_seen(tmp_path) == {}


def test_last_attempts_does_not_read_this_run(tmp_path: Path) -> None:
    long = Run(step("a", "x" * 1_000_000)).attempt("a")
    keep(tmp_path, "20260109-000000-now-aaaa", long)
    tracemalloc.start()
    try:
        assert last_attempts_seen(tmp_path) == {}
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 500_000


def test_last_attempts_ignores_damaged_and_missing_journals(tmp_path: Path) -> None:
    journal = keep(tmp_path, "20260101-000000-old-aaaa", new_run().attempt("a").attempt("b"))
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[-1] = lines[-1].replace(b'"outcome":"ok"', b'"outcome":7')
    journal.write_bytes(b"".join(lines) + b'{"torn')
    assert list(last_attempts_seen(tmp_path)) == ["a"]
    journal.write_bytes(b"no journal\n")
    assert last_attempts_seen(tmp_path) == {}
    assert last_attempts(RunDirectory(tmp_path / "no" / "where"), RUNBOOK) == {}


def test_last_attempts_found_while_own_journal_is_empty(tmp_path: Path) -> None:
    keep(tmp_path, "20260101-000000-old-aaaa", new_run().attempt("a", duration=9.0))
    (tmp_path / "20260109-000000-now-aaaa").mkdir()
    (tmp_path / "20260109-000000-now-aaaa" / "journal.jsonl").touch()
    assert last_attempts_seen(tmp_path)["a"].duration == 9.0
