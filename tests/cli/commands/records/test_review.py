"""`nbrun review` summarizes the runs of one runbook."""

import json
from pathlib import Path

import pytest

from nbrun.cli.commands.records import review
from nbrun.cli.commands.records.review import ReviewOptions
from nbrun.errors import RunNotFoundError
from tests.support.run_builder import Run, step

RUNBOOK = Path("/srv/runbooks/restore.ipynb")
OLD, NEW = "20261121-093000-restore-aaaa", "20261122-093000-restore-bbbb"


def edited(run, source="c()"):
    tale = Run(step("a", "a()"), step("b", "b()"), run=run).attempt("a").failure("b")
    tale.decide("edit", source=source, reason="the host has moved")
    return tale.attempt("b", source=source, cause="operator").finish()


@pytest.fixture
def told(runs_dir, capsys):
    def tell(**wanted):
        assert review.show(ReviewOptions(runbook=str(RUNBOOK), runs_dir=runs_dir, **wanted)) == 0
        return capsys.readouterr().out

    return tell


def test_review_shows_where_and_why_operators_leave_the_runbook(keep, told):
    for run in (OLD, NEW):
        keep(edited(run), run)
    out = told()
    assert "runs        2: 2 completed" in out
    assert "off script  2 of 2" in out
    assert "failed with ValueError ×2" in out
    assert out.count("(the host has moved)") >= 2
    assert "→ 2 runs made the same edit: take it into the runbook" in out
    assert "+c()" not in out
    assert "+c()" in told(diffs=True)


def test_newest_limits_runs_and_other_runbooks_are_left_out(keep, told):
    keep(edited(OLD, "old()"), OLD)
    keep(edited(NEW, "new()"), NEW)
    keep(Run(step("a"), runbook="/srv/other.ipynb"), "20261123-093000-other-cccc")
    out = told(newest=1, diffs=True)
    assert "new()" in out
    assert "old()" not in out


def test_json_has_advice_for_each_step(keep, told):
    for run in (OLD, NEW):
        keep(edited(run), run)
    found = json.loads(told(json=True))
    assert found["runbook"] == str(RUNBOOK)
    (step_b,) = [each for each in found["steps"] if each["id"] == "b"]
    assert "2 runs made the same edit: take it into the runbook" in step_b["advice"]
    assert step_b["departures"][0]["by"] == "ada"


def test_runbook_is_found_by_any_spelling_of_its_path(
    keep, runs_dir, tmp_path, monkeypatch, capsys
):
    (tmp_path / "book.ipynb").touch()
    (tmp_path / "other").mkdir()
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    keep(Run(step("a"), runbook=f"{tmp_path}/other/../book.ipynb", run=OLD).attempt("a"), OLD)
    keep(Run(step("a"), runbook=f"{tmp_path}/link/book.ipynb", run=NEW).attempt("a"), NEW)
    monkeypatch.chdir(tmp_path)
    assert review.show(ReviewOptions(runbook="book.ipynb", runs_dir=runs_dir)) == 0
    assert "runs        2: 2 unfinished" in capsys.readouterr().out


def test_recorded_control_characters_are_not_printed(keep, told):
    hostile = "\x1b]0;gone\x07\x1b[2J"
    tale = Run(step("a", title=f"T{hostile}"), run=OLD)
    tale.attempt("a", outcome="error", ename=f"E{hostile}", evalue="").stop("step_failed")
    tale.decide("edit", source=f"x = '{hostile}'", reason=f"R{hostile}")
    tale.attempt("a", source=f"x = '{hostile}'", cause="operator")
    keep(tale, OLD)
    out = told(diffs=True)
    assert "\x1b" not in out
    assert "\x07" not in out
    assert "failed with E" in out


def test_damaged_run_is_named_and_left_out(keep, runs_dir, capsys):
    keep(edited(OLD), OLD)
    damaged = keep(edited(NEW), NEW)
    lines = damaged.read_bytes().splitlines(keepends=True)
    damaged.write_bytes(b"".join(lines[:3] + lines[4:]))
    assert review.show(ReviewOptions(runbook=str(RUNBOOK), runs_dir=runs_dir)) == 0
    said = capsys.readouterr()
    assert "runs        1: 1 completed" in said.out
    assert "left out" in said.err
    assert NEW in said.err


def test_runbook_without_runs_is_an_error(runs_dir):
    with pytest.raises(RunNotFoundError, match="holds no run of"):
        review.show(ReviewOptions(runbook=str(RUNBOOK), runs_dir=runs_dir))
