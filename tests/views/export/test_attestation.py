"""Test the statement about a run against the run's events."""

import json
from typing import Any

import pytest

from nbrun.errors import JournalError
from nbrun.views.export import attestation
from tests.support.build_events import runbook_replaced
from tests.support.run_builder import Run, step

DIGEST = "1" * 64


def attested(run: Run) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(attestation.statement(run.records, DIGEST, "restore.ipynb"))
    return read


def test_statement_has_runbook_parameters_outcome_and_head() -> None:
    run = Run(
        step("check"),
        step("stop"),
        parameters={"host": "db1", "password": "[secret:password]"},
        secrets=("password",),
        git_commit="c" * 40,
    )
    run.attempt("check").failure("stop").decide("skip", reason="done already").finish(
        notebook_sha256="2" * 64
    )
    read = attested(run)
    assert read["_type"] == "https://in-toto.io/Statement/v1"
    assert read["predicateType"] == attestation.PREDICATE
    assert read["subject"] == [
        {"name": "journal.jsonl", "digest": {"sha256": DIGEST}},
        {"name": "restore.ipynb", "digest": {"sha256": "2" * 64}},
    ]
    predicate = read["predicate"]
    (runbook,) = predicate["runbooks"]
    assert runbook["digest"] == {"sha256": "0" * 64}
    assert runbook["annotations"]["gitCommit"] == "c" * 40
    assert predicate["parameters"] == {"host": "db1", "password": "[secret:password]"}
    assert predicate["secrets"] == ["password"]
    assert predicate["outcome"]["result"] == "completed"
    assert predicate["outcome"]["offScript"] is True
    assert predicate["outcome"]["deviations"] == [
        {"kind": "skipped", "step": "stop", "reason": "done already"}
    ]
    last = run.records[-1]
    assert predicate["record"] == {"lines": last.seq + 1, "head": last.hash}
    assert predicate["finishedOn"] == last.at


def test_every_version_of_the_runbook_is_named_with_the_line_from_which_it_holds() -> None:
    run = Run(step("check"), step("stop")).attempt("check")
    run.add(runbook_replaced([run.state.steps[each].step for each in ("check", "stop")]))
    replaced = run.records[-2].seq + 1
    first, second = attested(run.attempt("stop").finish())["predicate"]["runbooks"]
    assert (first["annotations"]["line"], second["annotations"]["line"]) == (1, replaced)
    assert first["digest"] != second["digest"]


def test_same_records_give_same_bytes() -> None:
    run = Run(step("check")).attempt("check").finish()
    assert attestation.statement(run.records, DIGEST, "restore.ipynb") == attestation.statement(
        run.records, DIGEST, "restore.ipynb"
    )


def test_run_that_has_not_ended_is_not_attested() -> None:
    with pytest.raises(JournalError, match="has not ended"):
        attested(Run(step("check")).attempt("check"))
