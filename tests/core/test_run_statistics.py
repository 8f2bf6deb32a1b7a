"""Tests of the statistics over the runs of a runbook."""

import pytest

from nbrun.core.run_statistics import StepReview, advice, review_runs
from tests.support.run_builder import Run, step


def run(name: str, **fields: object) -> Run:
    return Run(step("a", "a()"), step("b", "b()"), run=name, **fields)


def failing_then_edited(name: str, source: str, reason: str = "") -> Run:
    tale = run(name).attempt("a").failure("b").decide("edit", source=source, reason=reason)
    return tale.attempt("b", source=source, cause="operator").finish()


def steps(*tales: Run) -> dict[str, StepReview]:
    return {each.id: each for each in review_runs(tale.records for tale in tales).steps}


def test_review_counts_outcomes_and_versions() -> None:
    tales = [
        run("r3", runbook_sha256="new").attempt("a"),
        failing_then_edited("r2", "c()"),
        run("r1").attempt("a").attempt("b").finish(),
    ]
    history = review_runs(tale.records for tale in tales)
    assert history.runs == 3
    assert history.off_script == 1
    assert history.outcomes == {"unfinished": 1, "completed": 2}
    assert history.versions == 2


def test_step_review_counts_attempts_failures_and_seconds() -> None:
    history = steps(failing_then_edited("r2", "c()"), run("r1").attempt("a", duration=9.0))
    assert (history["a"].runs, history["a"].attempts, history["a"].failed) == (2, 2, 0)
    assert history["a"].usual == pytest.approx((9.0 + history["a"].seconds[0]) / 2)
    assert (history["b"].runs, history["b"].attempts, history["b"].failed) == (1, 2, 1)
    assert history["b"].errors == {"ValueError": 1}
    assert history["b"].waited > 0


def test_deviation_has_person_reason_and_source() -> None:
    (edited, retried) = sorted(
        steps(failing_then_edited("r2", "c()", "no such host"))["b"].departures,
        key=lambda each: each.kind,
    )
    assert (edited.kind, edited.by, edited.reason) == ("edited", "ada", "no such host")
    assert edited.source == "c()"
    assert "+c()" in edited.diff
    assert retried.kind == "retried"
    assert retried.source == ""


def test_inserted_cell_counts_for_step_of_the_stop() -> None:
    tale = run("r1").attempt("a").failure("b").decide("insert", source="look()")
    tale.begin("inserted-1", "look()", "operator").end()
    (departure,) = steps(tale)["b"].departures
    assert (departure.kind, departure.source) == ("inserted", "look()")
    assert steps(tale)["b"].attempts == 1


def test_step_failure_counts_once_per_run() -> None:
    tale = run("r1").attempt("a").failure("b").decide("retry")
    tale.failure("b", cause="operator").decide("retry").attempt("b", cause="operator")
    history = steps(tale)["b"]
    assert (history.failed, history.cured, history.errors) == (1, 1, {"ValueError": 2})


@pytest.mark.parametrize(
    ("tales", "said"),
    [
        ([failing_then_edited(name, "c()") for name in ("r1", "r2")], "made the same edit"),
        (
            [
                run(name).attempt("a").failure("b").decide("retry").attempt("b", cause="operator")
                for name in ("r1", "r2")
            ],
            "`retries`",
        ),
        ([run(name).attempt("a").failure("b").decide("skip") for name in ("r1", "r2")], "passed"),
        (
            [
                run(name).failure("a").decide("insert", source="x").begin("inserted-1", "x")
                for name in ("r1", "r2")
            ],
            "a step may be missing",
        ),
    ],
    ids=["edit", "retry", "skip", "insert"],
)
def test_advice_needs_two_runs(tales: list[Run], said: str) -> None:
    (line,) = [line for each in steps(*tales).values() for line in advice(each) if said in line]
    assert line.startswith("2 runs")
    assert not [line for each in steps(tales[0]).values() for line in advice(each)]


def test_different_edits_give_no_advice() -> None:
    history = steps(failing_then_edited("r1", "c()"), failing_then_edited("r2", "d()"))["b"]
    assert not [line for line in advice(history) if "edit" in line]


def test_steps_are_in_order_of_newest_run() -> None:
    newest = Run(step("b", title="New title"), run="r2")
    history = review_runs([newest.records, run("r1").records])
    assert [(each.id, each.title) for each in history.steps] == [
        ("b", "New title"),
        ("a", "Title of a"),
    ]


def test_no_runs_give_empty_review() -> None:
    assert review_runs([]).runs == 0
