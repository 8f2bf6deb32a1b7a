"""Undoing steps at a terminal, and in a run of its own after the run has ended."""

import shutil
from typing import Any

import pytest

from nbrun.core import events as ev
from nbrun.journal.reader import first_record
from tests.e2e.test_detach import REASON
from tests.support.build_notebooks import code
from tests.support.terminal import Desk

SETUP = code("import os, pathlib", id="setup", tags=["setup"])
MOUNT = code("pathlib.Path('mounted').touch()", id="mount")
SERVE = code("pathlib.Path('serving').touch()", id="serve")
BREAK = code("pathlib.Path('ready').stat()", id="break")


def undo(name: str, **own: Any) -> dict[str, Any]:
    source = f"pathlib.Path({name!r}).unlink(); print('removed', {name!r})"
    return code(source, id=f"un-{name}", tags=["undo"], metadata={"nbrun": own})


def failed(desk: Desk, *options: str) -> Any:
    """Start a run whose step 4 fails, after two steps that have an undo."""
    desk.book(SETUP, MOUNT, undo("mounted"), SERVE, undo("serving", confirm="Sure?"), BREAK)
    terminal = desk.start(*options)
    terminal.prompted("step 4>")
    return terminal


@pytest.mark.sweep
def test_undos_are_offered_newest_first_and_run_one_by_one(desk: Desk) -> None:
    terminal = failed(desk)
    assert "u undo step 3" in terminal.text()
    terminal.type("c")
    terminal.answer("end the run here? [y/N]", "n")
    words = terminal.words()
    assert words.index("can be undone: step 3 of 4") < words.index("can be undone: step 2 of 4")
    assert "nothing is undone unasked" in words
    terminal.answer("step 4>", "u")
    terminal.answer("continue? [y/N]", "y")  # the undo's own question
    terminal.answer(REASON, "going back")
    terminal.answer("step 3>", "undo")
    terminal.answer("run this undo? [y/N]", "n")
    assert (desk.folder / "mounted").exists()
    terminal.answer("step 3>", "u")
    terminal.answer("run this undo? [y/N]", "y")
    terminal.answer(REASON, "")
    terminal.prompted("step 2>")
    assert "step 2 is undone" in terminal.text()
    terminal.type("u")
    terminal.until("nothing that ran has an undo that is left to run")
    terminal.answer("step 2>", "c")
    terminal.answer("end the run here? [y/N]", "y")
    terminal.answer(REASON, "")
    assert terminal.wait() == 5
    assert not (desk.folder / "mounted").exists()
    assert not (desk.folder / "serving").exists()
    assert desk.deviations() == [("undone", "serve"), ("undone", "mount")]
    assert [each.reason for each in desk.events(ev.Deviated)] == ["going back", ""]
    assert desk.attempts()[-2:] == [("un-serving", 1, "ok"), ("un-mounted", 1, "ok")]
    assert desk.finish().counts["failed"] == 1
    whole = desk.command("verify", "last")
    assert whole.returncode == 0, whole.stdout
    assert "undo of step 3 of 4" in desk.command("log", "last").stdout
    exported = desk.command("export", "last", "report.html", "--html")
    assert exported.returncode == 0, exported.stderr
    assert "ok, then undone" in (desk.folder / "report.html").read_text()


def test_undone_step_runs_again_only_when_asked(desk: Desk) -> None:
    terminal = failed(desk)
    terminal.type("u 2")
    terminal.answer("run this undo? [y/N]", "y")
    terminal.answer(REASON, "")
    (desk.folder / "ready").touch()
    terminal.answer("step 2>", "r")
    terminal.answer(REASON, "mounted again")
    terminal.answer("step 4>", "r")
    terminal.answer(REASON, "")
    assert terminal.wait() == 3
    assert desk.deviations()[:2] == [("undone", "mount"), ("reran", "mount")]
    assert (desk.folder / "mounted").exists()


@pytest.mark.sweep
def test_ended_run_is_undone_in_a_run_of_its_own_and_only_once(desk: Desk) -> None:
    parameters = code("where = 'here'", id="parameters", tags=["parameters"])
    undo_mount = code(
        "pathlib.Path('mounted').unlink(); print('gone from', where)",
        id="unmount",
        tags=["undo"],
        metadata={"nbrun": {"step": "mount"}},
    )
    desk.book(parameters, SETUP, MOUNT, SERVE, undo("serving"), undo_mount, BREAK)
    assert desk.unattended("-p", "where=db1").returncode == 4
    (ended,) = desk.all_runs()
    refused = desk.command("undo", ended.name)
    assert refused.returncode == 2
    assert "no terminal" in refused.stderr
    (desk.folder / "runbook.ipynb").unlink()  # the record is enough
    terminal = desk.open("undo", ended.name)
    terminal.prompted("step 4>")
    assert "Undo step 5?" in terminal.text()
    terminal.type("r")
    terminal.prompted("step 5>")
    terminal.type("c")
    terminal.answer("end the run here? [y/N]", "y")
    terminal.answer(REASON, "lunch")
    assert terminal.wait() == 5
    assert not (desk.folder / "serving").exists()
    (new,) = (each for each in desk.all_runs() if each != ended)
    first = first_record(new / "journal.jsonl")
    assert first is not None
    started = first.event
    assert isinstance(started, ev.RunStarted)
    assert (started.undoes, started.reason) == (ended.name, f"undoes {ended.name}")
    whole = desk.command("verify", "last")
    assert whole.returncode == 0, whole.stdout

    # What was undone is not undone again, wherever the runs of today are kept
    again = desk.open("undo", str(ended), "--runs-dir", str(desk.folder / "elsewhere"))
    again.answer("step 4>", "r")
    assert again.wait() == 0
    assert "gone from db1" in again.text()
    assert not (desk.folder / "mounted").exists()
    assert not (desk.folder / "elsewhere").exists()
    nothing = desk.open("undo", ended.name)
    assert nothing.wait() == 2
    assert "nothing that ran has an undo that is left to run" in nothing.words()
    without = desk.open("undo", "last")
    assert without.wait() == 2
    assert "no step of this run has an undo" in without.words()


def test_copy_of_a_record_is_not_undone(desk: Desk) -> None:
    desk.book(SETUP, MOUNT, undo("mounted"), BREAK)
    assert desk.unattended().returncode == 4
    (ended,) = desk.all_runs()
    copied = desk.folder / "copied" / ended.name
    shutil.copytree(ended, copied)
    desk.variables["XDG_STATE_HOME"] = str(desk.folder / "another-home")
    terminal = desk.open("undo", str(copied))
    assert terminal.wait() == 2
    assert "nbrun did not begin this run here" in terminal.words()
    assert (desk.folder / "mounted").exists()


def test_run_that_waits_is_undone_at_its_own_prompt(desk: Desk) -> None:
    terminal = failed(desk)
    refused = desk.open("undo", "last")
    assert refused.wait() == 2
    assert "the run has not ended: undo its steps with u at a stop" in refused.words()
    terminal.answer("", "c")
    terminal.answer("end the run here? [y/N]", "y")
    terminal.answer(REASON, "")
    assert terminal.wait() == 5
