"""`nbrun runs` lists runs by the first and last line of each journal."""

import fcntl
import json

import pytest

from nbrun.cli.commands.records import runs
from tests.support.run_builder import Run, step, stream


@pytest.fixture
def listed(runs_dir, capsys):
    """Return the runs as `nbrun runs --json` lists them."""

    def lines():
        assert runs.show(runs_dir, json=True) == 0
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return lines


def test_ended_run_is_listed_with_all_fields(keep, tale, listed):
    keep(tale)
    assert listed() == [
        {
            "run": "20261123-093000-restore-ab12",
            "runbook": "restore.ipynb",
            "parameters": {"host": "db1"},
            "operator": "ada",
            "started": "2026-11-23T09:30:00.000000Z",
            "duration": 61.5,
            "status": "completed",
            "off_script": True,
            "kernel_alive": False,
        }
    ]


def test_newest_run_comes_first(keep, tale, listed):
    for run in ("20261123-093000-x-aaaa", "20261124-093000-x-aaaa", "20251123-093000-x-aaaa"):
        keep(tale, run)
    assert [line["run"][:8] for line in listed()] == ["20261124", "20261123", "20251123"]


def test_missing_runs_folder_lists_nothing(runs_dir, listed):
    runs_dir.rmdir()
    assert listed() == []


def test_locked_journal_means_running(keep, listed):
    journal = keep(Run(step("a")).attempt("a"))
    with journal.open("rb") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        assert listed()[0]["status"] == "running"
    assert listed()[0]["status"] == "interrupted"


def test_run_without_end_is_interrupted_without_duration(keep, listed):
    keep(Run(step("a")).begin("a"))
    (line,) = listed()
    assert (line["status"], line["duration"], line["off_script"]) == ("interrupted", None, None)


def test_torn_last_line_means_interrupted(keep, tale, listed):
    journal = keep(tale)
    journal.write_bytes(journal.read_bytes()[:-20])
    assert listed()[0]["status"] == "interrupted"


def test_torn_first_line_means_never_began(keep, tale, listed):
    journal = keep(tale)
    journal.write_bytes(journal.read_bytes()[:100])
    assert listed()[0]["status"] == "never began"


def test_empty_journal_means_never_began(keep, tale, listed):
    keep(tale).write_bytes(b"")
    assert listed()[0]["status"] == "never began"


def test_unreadable_journal_does_not_hide_other_runs(keep, tale, listed):
    keep(tale, "20261123-093000-good-ab12")
    keep(tale, "20261123-093001-odd-ab12").write_bytes(b"no journal\n")
    odd, good = listed()
    assert odd["status"].startswith("unreadable: ")
    assert good["status"] == "completed"


def test_only_first_and_last_line_are_read(keep, tale, listed):
    """A list of a thousand runs can't read them all; `nbrun log` says what is damaged."""
    journal = keep(tale)
    lines = journal.read_bytes().split(b"\n")
    lines[3:6] = [b"damaged"] * 3
    journal.write_bytes(b"\n".join(lines))
    assert listed()[0]["status"] == "completed"


def test_long_last_line_without_end_means_interrupted(keep, listed):
    keep(Run(step("a")).attempt("a", stream("x" * 200_000)).begin("a", cause="operator"))
    assert listed()[0]["status"] == "interrupted"


def test_end_after_long_line_is_found(keep, listed):
    keep(Run(step("a")).attempt("a", stream("x" * 200_000)).finish())
    assert listed()[0]["status"] == "completed"


def test_table_names_the_run(keep, tale, runs_dir, capsys):
    keep(tale)
    assert runs.show(runs_dir, json=False) == 0
    assert "20261123-093000-restore-ab12" in capsys.readouterr().out
