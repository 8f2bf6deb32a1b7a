"""`nbrun log` replays a run from its journal."""

import pytest

from nbrun.cli.commands.records import log
from nbrun.cli.commands.records.log import LogOptions
from nbrun.errors import DamagedJournalError, RunNotFoundError, UsageError
from tests.support.run_builder import Run, step


@pytest.fixture
def show(runs_dir, capsys, monkeypatch):
    """Print a run as `nbrun log` does. Return stdout and stderr."""
    monkeypatch.setenv("COLUMNS", "300")

    def shown(**options):
        assert log.show(LogOptions(runs_dir=runs_dir, **options)) == 0
        return capsys.readouterr()

    return shown


def test_run_is_shown_from_its_journal_alone(keep, tale, show):
    keep(tale)
    out = show().out
    for said in ("step 1 of 2 · Title of a", "one", "ada: retry step 2 (again)", "two"):
        assert said in out
    assert "completed, off script" in out
    assert "\x1b" not in out


def test_last_is_the_newest_run(keep, tale, show):
    keep(tale, "20261123-093000-old-ab12")
    keep(tale, "20261124-093000-new-ab12")
    assert "20261124-093000-new-ab12" in show().out
    assert "20261123-093000-old-ab12" in show(run="old").out


def test_no_output_hides_output_but_not_source(keep, tale, show):
    keep(tale)
    out = show(output=False).out.splitlines()
    assert "one" not in out
    assert "a()" in out


def test_json_is_the_journal_byte_for_byte(keep, tale, show):
    journal = keep(tale)
    assert show(json=True).out.encode() == journal.read_bytes()


@pytest.mark.parametrize("called", ["2", "b"])
def test_step_can_be_named_by_number_or_id(keep, tale, show, called):
    keep(tale)
    out = show(step=called).out.splitlines()
    assert "two" in out
    assert "one" not in out


def test_inserted_cell_can_be_named_by_id(keep, show):
    inserting = Run(step("a")).stop("step_mode").decide("insert", source="peek()")
    keep(inserting.attempt("inserted-1", source="peek()", cause="operator"))
    assert "peek()" in show(step="inserted-1").out


@pytest.mark.parametrize("called", ["3", "0", "nowhere", "9" * 5000])
def test_missing_step_is_usage_error(keep, tale, show, called):
    keep(tale)
    with pytest.raises(UsageError, match="no such step"):
        show(step=called)


def test_steps_prints_a_table_without_output(keep, tale, show):
    keep(tale)
    out = show(steps=True).out
    assert "decision" in out
    assert "one" not in out.split()


def test_timed_replay_prints_the_same_as_plain_replay(keep, tale, show):
    keep(tale)
    assert show(timing=True, speed=1e6).out == show().out


def test_torn_last_line_is_moved_aside_and_reported(keep, tale, show):
    journal = keep(tale)
    journal.write_bytes(journal.read_bytes()[:-20])
    said = show()
    assert "completed" not in said.out.splitlines()[-1]
    assert "a torn last line" in said.out
    assert "without an end of the run" in said.err


def test_torn_last_line_is_reported_if_journal_is_read_only(keep, tale, show, monkeypatch):
    monkeypatch.setattr(
        "nbrun.journal.recovery.os.access", lambda *_: False
    )  # root may write everything
    journal = keep(tale)
    torn = journal.read_bytes()[:-20]
    journal.write_bytes(torn)
    said = show()
    assert "the last line is torn" in said.err
    assert str(journal) in said.err
    assert journal.read_bytes() == torn


def test_damaged_line_is_named(keep, tale, show):
    journal = keep(tale)
    journal.write_bytes(journal.read_bytes().replace(b"two", b"2wo", 1))
    with pytest.raises(DamagedJournalError, match=r"line \d+: the record is damaged"):
        show()


def test_intact_lines_before_damage_are_shown(keep, tale, runs_dir, capsys):
    journal = keep(tale)
    lines = journal.read_bytes().splitlines(keepends=True)
    (said,) = (number for number, line in enumerate(lines) if b"two" in line)
    journal.write_bytes(b"".join(lines[: said + 1]) + b"damaged\n")
    with pytest.raises(DamagedJournalError):
        log.show(LogOptions(runs_dir=runs_dir))
    out = capsys.readouterr().out
    assert "ada: retry step 2 (again)" in out
    assert out.endswith("two\n")


def test_missing_run_is_named(show):
    with pytest.raises(RunNotFoundError, match="'nowhere'"):
        show(run="nowhere")
