"""`nbrun status` says where a run stands, whatever has become of it."""

import contextlib
import fcntl
import json

import msgspec
import pytest

from nbrun.cli.commands.operate import status
from nbrun.core.model import Contract, Policy
from nbrun.errors import ExitCode, RunNotFoundError, UsageError
from tests.support import build_events
from tests.support.run_builder import Run, step, stream

RUN = "20261123-093000-restore-ab12"
PROGRAM = msgspec.structs.replace(build_events.OPERATOR, channel="program")


@contextlib.contextmanager
def hosted(journal):
    """Lock the journal, as the supervisor of a run does."""
    with journal.open("rb") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        yield


@pytest.fixture
def told(runs_dir, capsys):
    """Return the exit code and what `nbrun status --json` prints."""

    def ask(run=RUN, **options):
        code = status.status(run, runs_dir, step=options.get("step", ""), json=True)
        return code, json.loads(capsys.readouterr().out)

    return ask


def option(found, decision):
    (made,) = (each for each in found["decisions"] if each["decision"] == decision)
    return made


def failed(*texts, policy=None, **contract):
    steps = (step("a", "a()"), step("b", "b()", contract=Contract(**contract)))
    tale = Run(*steps, policy=policy or Policy()).attempt("a")
    error = {"outcome": "error", "ename": "ValueError", "evalue": "no such host"}
    return tale.attempt("b", *texts, **error).stop("step_failed")


def test_waiting_run_is_described_with_what_broke(keep, told):
    with hosted(keep(failed(stream("half done\n"), impact="destructive"))):
        code, found = told()
    assert code == ExitCode.COMPLETED
    assert (found["phase"], found["seq"]) == ("waiting", 7)
    assert found["step"] | {"title": ""} == {
        "number": 2,
        "of": 2,
        "id": "b",
        "title": "",
        "impact": "destructive",
        "attempts": 1,
        "outcome": "error",
    }
    assert found["waiting"]["reason"] == "step_failed"
    assert found["failure"]["how"].startswith("failed")
    assert found["failure"]["printed"].startswith("half done")


def test_long_output_is_cut_at_its_beginning(keep, told):
    with hosted(keep(failed(stream("x" * 9000 + "\nthe end\n")))):
        failure = told()[1]["failure"]
    assert (len(failure["printed"]), failure["cut"]) == (4000, True)
    assert "the end" in failure["printed"]


def test_each_decision_says_what_it_leads_to_and_needs(keep, told):
    rules = Policy(need_reason=("retried",), need_approval=("skipped",), approvers="dba")
    with hosted(keep(failed(policy=rules, confirm="sure?", typed="db1"))):
        found = told()[1]
    retry, skip = option(found, "retry"), option(found, "skip")
    assert retry["possible"]
    assert (retry["off_script"], retry["reason"]) == (["retried"], True)
    assert (retry["typed"], retry["question"], retry["program"]) == ("db1", "sure?", "proposes")
    assert skip["approval"] == "the group dba"
    run = option(found, "run")
    assert not run["possible"]
    assert run["why_not"] == "step 2 has failed: use retry, edit or skip"
    assert option(found, "note")["program"] == "decides"


def test_decisions_about_another_step_are_described(keep, told):
    with hosted(keep(failed())):
        found = told(step="1")[1]
        with pytest.raises(UsageError, match="no step '9'"):
            told(step="9")
    assert option(found, "run")["off_script"] == ["reran"]
    assert option(found, "jump")["possible"]
    assert option(found, "jump")["step"] == "step 1"


def test_proposal_of_a_program_is_shown_with_its_binding(keep, told):
    tale = failed().add(build_events.decision_proposed("skip", "b", by=PROGRAM, reason="again"))
    with hosted(keep(tale)):
        proposal = told()[1]["proposal"]
    assert (proposal["by"], proposal["reason"]) == ("ada via program", "again")
    assert (proposal["decision"], proposal["step"]) == ("skip", "step 2")


def test_run_that_can_not_be_decided_about_says_why(keep, told, runs_dir):
    journal = keep(failed())
    code, found = told()
    assert (found["phase"], found["decisions"], found["waiting"]) == ("interrupted", [], None)
    assert found["detail"].endswith(f"nbrun resume {RUN}")
    journal.write_text(journal.read_text().replace('"step":"b"', '"step":"c"', 1))
    code, found = told()
    assert (code, found["phase"]) == (ExitCode.ALTERED, "unreadable")
    assert "line" in found["detail"]
    with pytest.raises(RunNotFoundError):
        told("20261123-093000-other-ab12")


def test_ended_run_says_how_it_ended(keep, told, tale):
    keep(tale)
    code, found = told()
    assert code == ExitCode.COMPLETED
    assert (found["phase"], found["outcome"]) == ("ended", "completed, off script")
    assert found["off_script"] == ["step 2 run again after it had not succeeded (again)"]
    assert found["decisions"] == []


def test_text_says_it_for_a_person(keep, runs_dir, capsys):
    with hosted(keep(failed(stream("half \x1b[2J done\n")))):
        assert status.status(RUN, runs_dir, step="", json=False) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    for text in ("waiting", "step     2 of 2", "retry", "off script: retried", "program proposes"):
        assert text in shown, text
