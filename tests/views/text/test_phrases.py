"""Phrases for times, steps, attempts and decisions."""

from typing import get_args

import pytest

from nbrun.core import decisions, model
from nbrun.core import events as ev
from nbrun.core.state import RunState
from nbrun.views.text import phrases
from tests.support.build_events import approval_granted, decision_proposed
from tests.support.run_builder import OPERATOR, Run, step


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.0, "0.0 s"),
        (0.04, "0.0 s"),
        (1.25, "1.2 s"),
        (59.94, "59.9 s"),
        (60, "1 min 00 s"),
        (65.4, "1 min 05 s"),
        (119.6, "2 min 00 s"),
        (3599.6, "1 h 00 min"),
        (7380, "2 h 03 min"),
        (90000, "25 h 00 min"),
    ],
)
def test_duration_has_at_most_two_units(seconds, told):
    assert phrases.duration(seconds) == told


def test_times_are_in_utc_and_say_so():
    assert phrases.time_of_day("2026-11-23T09:31:04.123456Z") == "09:31:04Z"
    assert phrases.timestamp("2026-11-23T09:31:04.123456Z") == "2026-11-23 09:31:04 UTC"


def test_operator_has_name_uid_and_terminal():
    assert phrases.operator(OPERATOR) == "ada (uid 1000, /dev/pts/7)"


def test_owner_of_a_key_without_account_has_no_uid():
    bob = model.Operator(uid=-1, name="bob", via="signed with SHA256:V4Ka")
    assert phrases.operator(bob) == "bob (signed with SHA256:V4Ka)"


def test_every_recorded_kind_has_a_phrase():
    assert set(phrases.OUTCOMES) == {*get_args(ev.Outcome), "indeterminate"}
    assert set(phrases.DEVIATIONS) == set(get_args(model.DeviationKind))
    assert set(phrases._STOP_REASONS) == set(get_args(ev.StopReason))
    assert set(phrases.FINDINGS) == set(get_args(decisions.Settlement))


def test_step_has_number_and_title():
    state = Run(step("a", title="Stop it"), step("b")).state
    assert phrases.step(state, "a") == "step 1 of 2 · Stop it"
    assert phrases.step(state, "inserted-3") == "inserted cell 3"


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (approval_granted("a"), "step 1"),
        (approval_granted("a", decision="retry", reason="seen"), "retry step 1"),
        (approval_granted(None, decision="insert"), "insert"),
    ],
)
def test_approval_subject_names_decision_and_step(event, told):
    assert phrases.approval_subject(Run(step("a")).state, event) == told


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"kinds": ()}, "it needs the approval of another person: nbrun approve R"),
        (
            {"kinds": ("out_of_order",), "group": "dba"},
            "it needs the approval of another person, of the group dba (out of order): "
            "nbrun approve R",
        ),
    ],
)
def test_approval_needed_names_approving_command(fields, told):
    assert (
        phrases.approval_needed(Run(step("a"), run="R").state, decision_proposed(**fields)) == told
    )


@pytest.mark.parametrize(
    ("decision", "step_", "source", "change"),
    [
        ("skip", "a", None, ""),
        ("retry", "a", "a()", ""),
        ("edit", "a", "b()", "--- runbook\n+++ run\n@@ -1 +1 @@\n-a()\n+b()"),
        ("insert", None, "b()", "--- runbook\n+++ run\n@@ -0,0 +1 @@\n+b()"),
    ],
)
def test_source_diff_compares_with_runbook(decision, step_, source, change):
    event = decision_proposed(decision, step_, source)
    assert phrases.source_diff(Run(step("a", "a()")).state, event) == change


def finished(outcome, **fields):
    ended = ev.AttemptFinished(step="a", attempt=1, outcome=outcome, duration=1.25, **fields)
    return phrases.attempt_result(RunState(), ended)


def test_attempt_result_has_outcome_duration_and_error():
    assert finished("ok") == "ok · 1.2 s"
    assert finished("error", ename="E") == "failed · 1.2 s · E"
    assert finished("error", ename="E", evalue="why") == "failed · 1.2 s · E: why"
    assert finished("ok", shell_exit=0) == "ok · 1.2 s"
    assert finished("ok", ename="SystemExit", evalue="0", ended_run=True) == (
        "ok · 1.2 s · the cell ended the run"
    )


def test_attempt_result_has_first_line_of_long_error():
    told = finished("error", ename="E", evalue="first\nsecond\nthird")
    assert told == "failed · 1.2 s · E: first …"
    assert len(finished("error", ename="E", evalue="x" * 5000)) < 250


def test_decision_names_its_step():
    state = Run(step("a"), step("b")).failure("a").state

    def told(decision, **fields):
        return phrases.decision(state, ev.Decided(operator=OPERATOR, decision=decision, **fields))

    assert told("retry") == "retry step 1"
    assert told("skip", reason="not needed") == "skip step 1"
    assert told("jump", step="b") == "jump step 2"
    assert told("cancel") == "cancel"


def test_deviation_names_step_and_reason():
    state = Run(step("a")).state
    skipped = ev.Deviated(kind="skipped", step="a", reason="not needed")
    assert phrases.deviation(state, skipped) == "step 1 passed over"
    assert phrases.deviation_and_reason(state, skipped) == "step 1 passed over (not needed)"
    inserted = ev.Deviated(kind="inserted", step="inserted-1")
    assert phrases.deviation(state, inserted) == "code that is not in the runbook was run"


@pytest.mark.parametrize(
    ("outcome", "off_script", "told"),
    [
        ("completed", False, "completed, on script"),
        ("completed", True, "completed, off script"),
        ("failed", False, "failed"),
        ("failed", True, "failed, off script"),
        ("cancelled", False, "cancelled"),
    ],
)
def test_run_outcome_names_off_script(outcome, off_script, told):
    event = ev.RunFinished(outcome=outcome, off_script=off_script, counts={}, duration=1.0)
    assert phrases.run_outcome(event) == told


def reasons(tale):
    return [phrases.why_not_run(tale.state, each) for each in phrases.never_run(tale.state)]


def test_why_not_run_names_cause():
    assert reasons(Run(step("a"))) == ["not run yet"]
    assert reasons(Run(step("a"), step("b")).failure("a").finish("failed")) == [
        "not run: the run failed before it"
    ]
    assert reasons(Run(step("a"), step("b")).attempt("a").finish("cancelled")) == [
        "not run: the run was cancelled before it"
    ]
    assert reasons(Run(step("a", tags=("skip-execution",)), step("b")).attempt("b")) == [
        "not run: the runbook tags it skip-execution"
    ]
    assert reasons(Run(step("a")).stop("step_mode").decide("skip").finish()) == ["not run: skipped"]
    assert reasons(Run(step("a"), step("b")).attempt("a", ended_run=True).finish()) == [
        "not run: the runbook ended itself at step 1"
    ]


@pytest.mark.parametrize(
    ("evalue", "expected"),
    [
        ("invalid syntax (3176723552.py, line 1)", "SyntaxError: invalid syntax"),
        ("invalid syntax (<ipython-input-3-ab>, line 1)", "SyntaxError: invalid syntax"),
        ("invalid syntax (module.py, line 1)", "SyntaxError: invalid syntax (module.py, line 1)"),
    ],
)
def test_syntax_error_does_not_name_the_file_that_ipython_makes_of_a_cell(
    evalue: str, expected: str
) -> None:
    assert phrases.error_line("SyntaxError", evalue) == expected
