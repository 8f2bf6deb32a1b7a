"""What the runs of a runbook tell of it."""

import pytest

from nbrun.core.run_statistics import StepReview, advice, review_runs
from tests.support.run_builder import Tale, step


def run(name: str, **fields: object) -> Tale:
    return Tale(step("a", "a()"), step("b", "b()"), run=name, **fields)


def failing_then_edited(name: str, source: str, reason: str = "") -> Tale:
    tale = run(name).attempt("a").failure("b").decide("edit", source=source, reason=reason)
    return tale.attempt("b", source=source, cause="operator").finish()


def steps(*tales: Tale) -> dict[str, StepReview]:
    return {each.id: each for each in review_runs(tale.records for tale in tales).steps}


def test_runs_are_counted_by_their_ends_and_versions() -> None:
    tales = [
        run("r3", runbook_sha256="new").attempt("a"),
        failing_then_edited("r2", "c()"),
        run("r1").attempt("a").attempt("b").finish(),
    ]
    told = review_runs(tale.records for tale in tales)
    assert told.runs == 3
    assert told.off_script == 1
    assert told.outcomes == {"unfinished": 1, "completed": 2}
    assert told.versions == 2


def test_a_step_tells_its_attempts_failures_times_and_who_waited() -> None:
    told = steps(failing_then_edited("r2", "c()"), run("r1").attempt("a", duration=9.0))
    assert (told["a"].runs, told["a"].attempts, told["a"].failed) == (2, 2, 0)
    assert told["a"].usual == pytest.approx((9.0 + told["a"].seconds[0]) / 2)
    assert (told["b"].runs, told["b"].attempts, told["b"].failed) == (1, 2, 1)
    assert told["b"].errors == {"ValueError": 1}
    assert told["b"].waited > 0


def test_a_departure_tells_who_and_why_and_what_ran() -> None:
    (edited, retried) = sorted(
        steps(failing_then_edited("r2", "c()", "no such host"))["b"].departures,
        key=lambda each: each.kind,
    )
    assert (edited.kind, edited.by, edited.reason) == ("edited", "ada", "no such host")
    assert edited.source == "c()"
    assert "+c()" in edited.diff
    assert retried.kind == "retried"
    assert retried.source == ""


def test_what_is_inserted_belongs_to_the_step_that_the_run_stood_at() -> None:
    tale = run("r1").attempt("a").failure("b").decide("insert", source="look()")
    tale.begin("inserted-1", "look()", "operator").end()
    (departure,) = steps(tale)["b"].departures
    assert (departure.kind, departure.source) == ("inserted", "look()")
    assert steps(tale)["b"].attempts == 1


def test_a_step_is_counted_once_a_run_however_often_it_failed() -> None:
    tale = run("r1").attempt("a").failure("b").decide("retry")
    tale.failure("b", cause="operator").decide("retry").attempt("b", cause="operator")
    told = steps(tale)["b"]
    assert (told.failed, told.cured, told.errors) == (1, 1, {"ValueError": 2})


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
def test_what_two_runs_agree_in_becomes_advice(tales: list[Tale], said: str) -> None:
    (line,) = [line for each in steps(*tales).values() for line in advice(each) if said in line]
    assert line.startswith("2 runs")
    assert not [line for each in steps(tales[0]).values() for line in advice(each)]


def test_different_edits_are_no_habit() -> None:
    told = steps(failing_then_edited("r1", "c()"), failing_then_edited("r2", "d()"))["b"]
    assert not [line for line in advice(told) if "edit" in line]


def test_steps_stand_as_in_the_newest_run_and_then_those_it_lacks() -> None:
    newest = Tale(step("b", title="New title"), run="r2")
    told = review_runs([newest.records, run("r1").records])
    assert [(each.id, each.title) for each in told.steps] == [
        ("b", "New title"),
        ("a", "Title of a"),
    ]


def test_no_runs_are_no_review() -> None:
    assert review_runs([]).runs == 0
