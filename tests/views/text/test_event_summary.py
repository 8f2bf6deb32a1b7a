"""Events summarised: who did what and why, for every view."""

import msgspec
import pytest

from nbrun.core.events import Event
from nbrun.views.text import event_summary
from nbrun.views.text.event_summary import describe, sentence, what_and_why, who_and_what
from tests.support import build_events as build
from tests.support.run_builder import Run, step

STATE = Run(step("a"), step("b"), run="R").failure("a").state


def summary(event: Event) -> event_summary.EventSummary:
    found = describe(STATE, build.record(event))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("event", "kind", "text"),
    [
        (build.decided(reason="again"), "decision", "ada: retry step 1 (again)"),
        (build.decision_refused(), "refused", "ada: retry (it has not failed)"),
        (build.note_added("hm"), "note", "ada: hm"),
        (
            build.deviated(step="a", reason="again"),
            "off script",
            "step 1 run again after it had not succeeded (again)",
        ),
        (
            build.approval_granted("a", decision="skip", reason="fine"),
            "approved",
            "grace (uid 1001, socket): skip step 1 (fine)",
        ),
        (build.kernel_died(why="killed"), "kernel", "the kernel died: killed"),
        (
            build.kernel_died(why="HTTP 502", may_run=True),
            "kernel",
            "the kernel is out of reach: HTTP 502",
        ),
        (
            build.operator_detached(),
            "detached",
            "ada (uid 1000, /dev/pts/7): detached (the terminal was lost)",
        ),
        (
            build.seal_failed(1, "the agent is gone"),
            "record",
            "the record is not sealed up to line 2: the agent is gone",
        ),
    ],
)
def test_summary_names_person_phrase_and_reason(event: Event, kind: str, text: str) -> None:
    found = summary(event)
    assert (found.kind, sentence(found)) == (kind, text)


def test_summary_renders_without_person_or_reason() -> None:
    found = summary(build.decided(reason="again"))
    assert who_and_what(found) == "ada: retry step 1"
    assert what_and_why(found) == "retry step 1 (again)"


def test_summary_of_password_does_not_contain_it() -> None:
    assert summary(build.input_answered(None)).what == "(a password, not recorded)"


def test_proposal_hints_at_command_that_approves_it() -> None:
    (hint,) = summary(build.decision_proposed(step="a")).hints
    assert hint.endswith(": nbrun approve R")


def test_failed_refresh_of_role_names_end_of_credentials() -> None:
    event = build.role_not_refreshed(why="AccessDenied")
    assert sentence(summary(event)) == (
        "the role dba could not be refreshed; the kernel's credentials end at "
        "2026-11-23 10:31:04 UTC: AccessDenied"
    )
    event = msgspec.structs.replace(event, until="")
    assert sentence(summary(event)) == "the role dba could not be refreshed: AccessDenied"


def test_decision_has_step_where_it_was_made() -> None:
    assert summary(build.decided("jump", step="b")).step == "a"
    assert summary(build.run_interrupted()).step == ""


def test_outputs_and_attempts_have_no_summary() -> None:
    for event in (build.output(), build.attempt_started(), build.attempt_finished()):
        assert describe(STATE, build.record(event)) is None


def test_every_summary_has_kind_and_phrase() -> None:
    state = Run(step("s1"), step("s2"), step("s3")).state
    for builder in build.BUILDERS:
        found = describe(state, build.record(builder()))
        assert found is None or (found.kind and found.what and found.at), builder
