"""`nbrun runs`: what the head and the tail of each journal say."""

import fcntl
import json

import pytest

from nbrun.cli.commands.records import runs
from tests.support.run_builder import Tale, step, stream


@pytest.fixture
def listed(runs_dir, capsys):
    """The runs as `nbrun runs --json` lists them."""

    def lines():
        assert runs.show(runs_dir, json=True) == 0
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return lines


def test_an_ended_run_is_told_in_full(keep, tale, listed):
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


def test_the_newest_comes_first(keep, tale, listed):
    for run in ("20261123-093000-x-aaaa", "20261124-093000-x-aaaa", "20251123-093000-x-aaaa"):
        keep(tale, run)
    assert [line["run"][:8] for line in listed()] == ["20261124", "20261123", "20251123"]


def test_no_folder_is_no_runs(runs_dir, listed):
    runs_dir.rmdir()
    assert listed() == []


def test_a_journal_that_is_written_is_a_run_that_goes_on(keep, listed):
    journal = keep(Tale(step("a")).attempt("a"))
    with journal.open("rb") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        assert listed()[0]["status"] == "running"
    assert listed()[0]["status"] == "interrupted"


def test_a_run_without_an_end_was_interrupted_and_has_no_verdict(keep, listed):
    keep(Tale(step("a")).begin("a"))
    (line,) = listed()
    assert (line["status"], line["duration"], line["off_script"]) == ("interrupted", None, None)


def test_a_torn_last_line_is_left_out(keep, tale, listed):
    journal = keep(tale)
    journal.write_bytes(journal.read_bytes()[:-20])
    assert listed()[0]["status"] == "interrupted"


def test_a_torn_first_line_is_a_run_that_never_began(keep, tale, listed):
    journal = keep(tale)
    journal.write_bytes(journal.read_bytes()[:100])
    assert listed()[0]["status"] == "never began"


def test_an_empty_journal_is_a_run_that_never_began(keep, tale, listed):
    keep(tale).write_bytes(b"")
    assert listed()[0]["status"] == "never began"


def test_a_journal_that_can_not_be_read_does_not_hide_the_others(keep, tale, listed):
    keep(tale, "20261123-093000-good-ab12")
    keep(tale, "20261123-093001-odd-ab12").write_bytes(b"no journal\n")
    odd, good = listed()
    assert odd["status"].startswith("unreadable: ")
    assert good["status"] == "completed"


def test_only_the_head_and_the_tail_are_read(keep, tale, listed):
    """A list of a thousand runs can't read them all; `nbrun log` says what is damaged."""
    journal = keep(tale)
    lines = journal.read_bytes().split(b"\n")
    lines[3:6] = [b"damaged"] * 3
    journal.write_bytes(b"\n".join(lines))
    assert listed()[0]["status"] == "completed"


def test_a_long_last_line_that_is_no_end_is_not_read_whole(keep, listed):
    keep(Tale(step("a")).attempt("a", stream("x" * 200_000)).begin("a", cause="operator"))
    assert listed()[0]["status"] == "interrupted"


def test_an_end_after_long_lines_is_found(keep, listed):
    keep(Tale(step("a")).attempt("a", stream("x" * 200_000)).finish())
    assert listed()[0]["status"] == "completed"


def test_the_table_names_the_run(keep, tale, runs_dir, capsys):
    keep(tale)
    assert runs.show(runs_dir, json=False) == 0
    assert "20261123-093000-restore-ab12" in capsys.readouterr().out
