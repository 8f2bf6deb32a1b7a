"""Test what a message says, and that nothing in it can act where it is read."""

import json
from pathlib import Path
from typing import Any

import pytest

from nbrun.core.model import Contract
from nbrun.journal.run_directory import RunDirectory
from nbrun.notifications.message import Message, compose, occasion
from nbrun.notifications.senders import harmless_in_chat
from tests.support.build_events import (
    decision_proposed,
    input_requested,
    operator_attached,
    policy,
)
from tests.support.run_builder import Run, step

FOLDER = Path("/srv/the runs/20261123-093000-restore-ab12")
DECIDE = f"nbrun decide '{FOLDER}' DECISION --expect-seq 6"
HOSTILE = "no \x1b[2Jhost\r\n<!channel> @everyone [bill](https://evil) ```"


def failed(**fields: Any) -> Run:
    return Run(step("check"), step("stop", title="Stop it"), **fields).attempt("check")


def message(run: Run, error: str = "") -> Message:
    record = run.records[-1]
    on = occasion(run.state, record)
    assert on is not None
    return compose(on, run.state, record, RunDirectory(FOLDER), error)


def test_stop_says_what_waits_for_whom_and_how_to_answer() -> None:
    told = message(failed().failure("stop"), "ValueError: no such host")
    assert (told.on, told.seq, told.step and told.step.number) == ("stopped", 6, 2)
    assert told.what == "step 2 of 2 · Stop it: this step failed"
    assert told.error == "ValueError: no such host"
    assert told.waits_for == "ada"
    assert {"retry", "skip", "edit", "cancel"} <= {*told.choices}
    assert told.expect_seq == told.seq
    assert told.answer == (f"nbrun attach '{FOLDER}'", DECIDE)
    assert told.title() == f"restore.ipynb waits at step 2 ({told.host})"
    assert told.text().splitlines() == [
        "step 2 of 2 · Stop it: this step failed",
        "ValueError: no such host",
        "waits for ada",
        f"run {told.run}, started by ada",
        f"to answer, on {told.host}:",
        f"nbrun attach '{FOLDER}'",
        DECIDE,
    ]


def test_json_is_one_line_with_the_event_as_recorded() -> None:
    line = message(failed().failure("stop")).json()
    assert line.count(b"\n") == 1
    told = json.loads(line)
    assert told["version"] == 1
    assert told["event"] == {
        "event": "stopped",
        "reason": "step_failed",
        "step": "stop",
        "detail": "",
    }
    assert told["step"] == {"id": "stop", "number": 2, "of": 2, "title": "Stop it"}


def test_stop_that_ends_the_run_names_nobody_and_no_decision() -> None:
    told = message(failed(policy=policy(attended=False)).failure("stop"))
    assert (told.waits_for, told.choices) == ("", ())
    assert told.answer == (f"nbrun log '{FOLDER}'",)
    assert "stopped at step 2" in told.title()


def test_decision_that_needs_an_approval_names_the_approvers_command() -> None:
    run = failed().failure("stop").add(decision_proposed("skip", step="stop", group="dba"))
    told = message(run)
    assert (told.on, told.waits_for) == ("proposed", "the group dba")
    assert {"approve", "reject"} <= {*told.choices}
    assert told.answer == (f"nbrun approve '{FOLDER}'",)


def test_step_that_needs_an_approval_is_an_occasion_for_approvers() -> None:
    run = Run(step("drop", contract=Contract(approve="dba"))).stop("approval")
    assert message(run).on == "proposed"


def test_question_of_a_cell_waits_for_the_operator() -> None:
    run = Run(step("ask")).add(operator_attached()).begin("ask")
    told = message(run.add(input_requested(step="ask")))
    assert (told.on, told.attached) == ("stopped", ("ada",))
    assert "answer" in told.choices
    assert "retry" not in told.choices
    assert "asks for input: host?" in told.what


def test_end_says_how_the_run_ended() -> None:
    told = message(failed().failure("stop").decide("skip").finish(why="all is done"))
    assert told.on == "finished"
    assert told.outcome == "completed, off script"
    assert told.what == "completed, off script: all is done"
    assert told.answer == (f"nbrun log '{FOLDER}'",)


def test_other_events_are_no_occasion() -> None:
    run = failed()
    assert occasion(run.state, run.records[-1]) is None


def test_long_texts_are_cut_so_that_any_message_is_small() -> None:
    run = failed().failure("stop")
    long = "x" * 1_000_000
    run.add(decision_proposed("edit", step="stop", source=long, reason=long))
    told = message(run, long)
    assert len(told.json()) < 10_000
    assert len(told.text()) < 2_000
    assert told.event["source"].endswith("…")


@pytest.mark.parametrize("where", ["title", "error"])
def test_no_control_or_markup_of_a_cell_reaches_a_chat(where: str) -> None:
    title = HOSTILE if where == "title" else "Stop it"
    run = Run(step("stop", title=title)).failure("stop")
    told = message(run, HOSTILE if where == "error" else "")
    for text in (harmless_in_chat(told.title()), harmless_in_chat(told.text())):
        assert not {"\x1b", "\r", "<", ">", "`"} & {*text}
        assert "@everyone" not in text
        assert "](" not in text
    assert "\\r\\n" in told.text()


def test_address_of_a_person_is_no_mention() -> None:
    assert harmless_in_chat("ada@db1.example @here") == "ada@db1.example ＠here"
