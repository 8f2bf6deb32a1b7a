"""The spans of a run's trace, made of its records alone."""

import msgspec
import pytest

from nbrun.audit.tracing.spans import Span, TraceFold
from nbrun.core import trace_context
from nbrun.core.model import Check, Contract
from nbrun.core.reducer import changes_state
from tests.support import build_events
from tests.support.run_builder import Run, step, stream

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def spans_of(run: Run) -> list[Span]:
    fold = TraceFold()
    return [span for record in run.records for span in fold.take(record)]


def named(spans: list[Span], name: str) -> Span:
    (found,) = [span for span in spans if span.name == name]
    return found


def stopped_and_retried() -> Run:
    """Return a run whose first step fails, waits for a person, and succeeds then."""
    run = Run(step("a", title="Drain"), step("b", title="Upgrade"), git_commit="abc")
    run.failure("a").decide("retry", reason="again")
    return run.attempt("a", cause="operator").attempt("b").finish()


def test_run_steps_attempts_and_waits_are_nested_spans() -> None:
    spans = spans_of(stopped_and_retried())
    root, drain, wait = (
        named(spans, name) for name in ("RUN restore", "Drain", "wait: step_failed")
    )
    assert root.is_root
    assert root.parent == ""
    assert {span.trace_id for span in spans} == {root.trace_id}
    assert len({span.span_id for span in spans}) == len(spans) == 7
    assert drain.parent == named(spans, "Upgrade").parent == root.span_id
    assert wait.parent == drain.span_id
    assert named(spans, "attempt 2").parent == drain.span_id
    assert all(root.begin <= span.begin <= span.end <= root.end for span in spans)


def test_attributes_follow_the_conventions_for_ci_cd() -> None:
    spans = spans_of(stopped_and_retried())
    root = named(spans, "RUN restore").attributes
    assert root["cicd.pipeline.name"] == "restore"
    assert root["cicd.pipeline.run.id"] == "20261123-093000-restore-ab12"
    assert root["cicd.pipeline.result"] == "success"
    assert root["vcs.ref.head.revision"] == "abc"
    assert root["nbrun.off_script"] is True
    drain = named(spans, "Drain").attributes
    assert drain["cicd.pipeline.task.name"] == "Drain"
    assert drain["cicd.pipeline.task.run.id"] == "a/1"
    assert drain["cicd.pipeline.task.run.result"] == "success"


def test_failed_attempt_has_the_error_and_the_wait_who_ended_it() -> None:
    spans = spans_of(stopped_and_retried())
    failed = next(span for span in spans if span.name == "attempt 1" and span.fault)
    assert failed.fault is not None
    assert (failed.fault.type, failed.fault.message) == ("ValueError", "no such host")
    assert failed.attributes["error.type"] == "ValueError"
    wait = named(spans, "wait: step_failed").attributes
    assert (wait["nbrun.wait.decision"], wait["user.name"]) == ("retry", "ada")


@pytest.mark.parametrize(
    ("outcome", "result"),
    [
        ("error", "failure"),
        ("timed_out", "timeout"),
        ("interrupted", "cancellation"),
        ("kernel_died", "error"),
    ],
)
def test_result_of_a_step_is_that_of_its_last_attempt(outcome: str, result: str) -> None:
    run = Run(step("a", title="Drain")).attempt("a", outcome=outcome, ename="E")
    spans = spans_of(run.stop("step_failed").finish("failed", why="step 1 did not succeed"))
    assert named(spans, "Drain").attributes["cicd.pipeline.task.run.result"] == result
    root = named(spans, "RUN restore")
    assert root.attributes["cicd.pipeline.result"] == "failure"
    assert root.fault is not None
    assert (root.fault.type, root.fault.message) == ("E", "step 1 did not succeed")


def test_skipped_step_and_cancelled_run() -> None:
    run = Run(step("a", title="Drain"), step("b", title="Upgrade"), step("c", title="Test"))
    run.failure("a").decide("skip").failure("b")
    run.add(build_events.decided("cancel")).finish("cancelled")
    spans = spans_of(run)
    results = "cicd.pipeline.task.run.result"
    assert named(spans, "Drain").attributes[results] == "skip"
    assert named(spans, "Upgrade").attributes[results] == "failure"
    assert named(spans, "RUN restore").attributes["cicd.pipeline.result"] == "cancellation"
    assert named(spans, "RUN restore").fault is None


def test_check_is_a_span_within_its_step() -> None:
    checked = step("a", title="Drain", check=Check(id="c", source="there()"))
    run = Run(checked).attempt("a")
    run.add(build_events.attempt_started("c", 1, "there()", cause="check"))
    run.add(build_events.attempt_finished("c", 1, holds=True)).finish()
    spans = spans_of(run)
    assert named(spans, "check").parent == named(spans, "Drain").span_id
    assert named(spans, "check").attributes["nbrun.check.holds"] is True


def test_question_of_a_cell_is_a_wait_within_the_attempt() -> None:
    run = Run(step("a", title="Drain")).begin("a")
    run.add(build_events.input_requested("a", 1), build_events.input_answered("a", 1))
    spans = spans_of(run.end().finish())
    waiting = named(spans, "wait: input")
    assert waiting.parent == named(spans, "attempt 1").span_id
    assert waiting.attributes["user.name"] == "ada"


def test_attempt_that_nobody_saw_end_is_an_error() -> None:
    run = Run(step("a", title="Drain")).begin("a")
    run.add(
        build_events.attempt_indeterminate("a", 1),
        build_events.run_interrupted(),
        build_events.run_resumed(),
    )
    attempt = named(spans_of(run), "attempt 1")
    assert attempt.attributes["nbrun.attempt.outcome"] == "indeterminate"
    assert attempt.fault is not None


def test_trace_continues_that_of_the_caller() -> None:
    run = Run(step("a"), traceparent=PARENT).attempt("a").finish()
    root = spans_of(run)[-1]
    assert (root.trace_id, root.parent) == (PARENT[3:35], PARENT[36:52])


def test_no_source_and_no_output_is_in_a_span() -> None:
    run = Run(step("a", "connect('db1')", title="Connect", contract=Contract(confirm="Now?")))
    run.attempt("a", stream("row 1\n")).finish()
    encoded = msgspec.json.encode([span.attributes for span in spans_of(run)])
    assert b"db1')" not in encoded
    assert b"row 1" not in encoded


def test_events_that_change_no_state_are_not_needed() -> None:
    run = stopped_and_retried()
    fold = TraceFold()
    relevant = [record for record in run.records if changes_state(record.event)]
    assert [span for record in relevant for span in fold.take(record)] == spans_of(run)
    assert fold.open_spans == 0


def test_long_text_is_cut() -> None:
    run = Run(step("a", title="T")).attempt("a", outcome="error", ename="E", evalue="x" * 5000)
    fault = named(spans_of(run.stop("step_failed")), "attempt 1").fault
    assert fault is not None
    assert len(fault.message) == 1000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        f"{PARENT}-more",
    ],
)
def test_invalid_traceparent_is_ignored(text: str) -> None:
    assert trace_context.parse(text) is None
    assert trace_context.incoming({"TRACEPARENT": text}) == ""


def test_traceparent_is_read_and_written() -> None:
    found = trace_context.parse(PARENT)
    assert found is not None
    assert found.traceparent() == PARENT
    assert trace_context.parse(PARENT.replace("00-", "01-", 1) + "-later") == found
