"""`nbrun runs` lists runs by the first and last line of each journal."""

import contextlib
import fcntl
import json

import pytest
from typer.testing import CliRunner

from nbrun.cli.commands.records import runs
from nbrun.cli.main import app
from nbrun.core.model import Contract
from tests.support import build_events
from tests.support.run_builder import Run, at, step, stream

GRACE = build_events.operator("grace", 1001)
CONFIRM = "asks for confirmation"


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
            "waiting": None,
            "owner": "",
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


@contextlib.contextmanager
def in_progress(journal):
    """Hold the journal as the run's supervisor does."""
    with journal.open("rb") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        yield


def failing():
    """Return a run that has stopped because step 2 failed."""
    return Run(step("a"), step("b")).attempt("a").failure("b")


def timed_out():
    return Run(step("a")).begin("a").end("timed_out").add(build_events.stopped("step_failed", "a"))


@pytest.mark.parametrize(
    ("run", "place", "reason", "waits_for"),
    [
        (failing(), "step 2", "failed", "ada"),
        (failing().output(stream("x"), late=True), "step 2", "failed", "ada"),
        (
            failing().add(build_events.operator_attached(GRACE)),
            "step 2",
            "failed",
            "grace",
        ),
        (
            Run(step("a"))
            .begin("a")
            .end("timed_out")
            .add(build_events.stopped("step_failed", "a")),
            "step 1",
            "timed out",
            "ada",
        ),
        (Run(step("a")).add(build_events.stopped("confirm", "a")), "step 1", CONFIRM, "ada"),
        (
            Run(step("a", contract=Contract(approve="dba"))).add(
                build_events.stopped("approval", "a", detail="dba")
            ),
            "step 1",
            "needs approval",
            "the group dba",
        ),
        (
            Run(step("a")).begin("a").add(build_events.input_requested(step="a")),
            "step 1",
            "asks for input",
            "ada",
        ),
    ],
)
def test_run_at_a_stop_waits_with_place_reason_and_person(
    keep, listed, run, place, reason, waits_for
):
    with in_progress(keep(run)):
        (line,) = listed()
    assert line["status"] == "waiting"
    assert {"place": place, "reason": reason, "waits_for": waits_for}.items() <= (
        line["waiting"].items()
    )


def test_wait_counts_from_the_stop(keep, listed):
    run = failing().add(build_events.note_added())
    with in_progress(keep(run)):
        assert listed()[0]["waiting"]["since"] == at(len(run.records) - 2)


@pytest.mark.parametrize(
    "run",
    [
        failing().add(build_events.resumed()).begin("b", cause="operator"),
        Run(step("a")).begin("a").output(stream("x")),
        Run(step("a")),
    ],
)
def test_run_at_work_does_not_wait(keep, listed, run):
    with in_progress(keep(run)):
        (line,) = listed()
    assert (line["status"], line["waiting"]) == ("running", None)


def test_waiting_option_lists_only_runs_that_wait(keep, tale, runs_dir):
    keep(tale, "20261123-093000-ended-ab12")
    keep(failing(), "20261123-093001-interrupted-ab12")
    options = ["runs", "--waiting", "--runs-dir", str(runs_dir)]
    told = CliRunner().invoke(app, options)
    assert (told.exit_code, told.output.startswith("no run waits in ")) == (0, True)
    with in_progress(keep(failing(), "20261123-093002-waits-ab12")):
        told = CliRunner().invoke(app, options, env={"COLUMNS": "200"})
    first, *_ = told.output.splitlines()
    since = "since 2026-11-23 09:30:06 UTC"
    assert first == f"20261123-093002-waits-ab12  waiting at step 2: failed · {since} · for ada"
    assert "ended" not in told.output
    assert "interrupted" not in told.output


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
