"""A run as data: its steps, their attempts, the waits, and the events between."""

from nbrun.journal.codec import digest, encode
from nbrun.views.export.account import account
from nbrun.views.text.event_summary import who_and_what
from tests.support import build_events
from tests.support.build_events import approval_rejected, decision_proposed
from tests.support.run_builder import Run, display, step, stream


def tale() -> Run:
    made = Run(step("a"), step("b"), step("c"))
    made.attempt("a").failure("b").note("called the dba")
    made.decide("retry", reason="again").attempt("b", stream("x\n"), cause="operator")
    return made


def test_steps_have_attempts_in_order() -> None:
    told = account(tale().finish("cancelled").records)
    assert [(section.id, len(section.attempts)) for section in told.sections] == [
        ("a", 1), ("b", 2), ("c", 0),
    ]  # fmt: skip
    assert [attempt.outcome for attempt in told.sections[1].attempts] == ["error", "ok"]
    assert told.sections[1].attempts[1].deviations[0].kind == "retried"
    assert told.sections[2].why_not_run == "not run: the run was cancelled before it"


def test_inserted_cell_is_step_of_its_own() -> None:
    made = Run(step("a")).stop("step_mode").decide("insert", source="peek()")
    told = account(made.attempt("inserted-1", source="peek()", cause="operator").records)
    assert [section.id for section in told.sections] == ["a", "inserted-1"]


def test_wait_lasts_from_stop_to_decision() -> None:
    told = account(tale().records)
    (wait,) = told.waits
    assert (wait.end - wait.start, told.waited) == (3.0, 3.0)
    assert wait.why == "this step failed"


def test_unended_stop_waits_until_last_record() -> None:
    told = account(Run(step("a")).failure("a").note("later").records)
    assert told.waited == 1.0


def test_events_have_person_and_reason() -> None:
    told = [(each.kind, who_and_what(each), each.why) for each in account(tale().records).events]
    assert ("note", "ada: called the dba", "") in told
    assert ("decision", "ada: retry step 2", "again") in told
    assert (
        "off script",
        "step 2 run again after it had not succeeded",
        "again",
    ) in told


def test_events_include_proposal_and_rejection() -> None:
    waits = Run(step("a")).failure("a").add(decision_proposed(step="a", reason="by hand"))
    waits.add(approval_rejected("a", "never", decision="skip"))
    told = [(each.kind, who_and_what(each), each.why) for each in account(waits.records).events]
    assert ("waits for approval", "ada: skip step 1", "by hand") in told
    said = "grace (uid 1001, socket): skip step 1"
    assert ("rejected", said, "never") in told


def test_head_is_hash_of_last_line() -> None:
    records = tale().records
    assert account(records).head == digest(encode(records[-1]))


def test_attempt_without_end_is_indeterminate() -> None:
    told = account(Run(step("a")).begin("a").output(display(text_plain="x")).records)
    attempt = told.sections[0].attempts[0]
    assert (attempt.outcome, attempt.end) == ("indeterminate", None)
    assert attempt.result == "no end is recorded"


def test_events_include_kernel_record_and_role() -> None:
    made = Run(step("a")).begin("a")
    made.add(
        build_events.kernel_suspended(),
        build_events.kernel_continued(),
        build_events.seal_failed(1, "the agent is gone"),
        build_events.forwarding_failed("syslog", 1, "no such socket"),
        build_events.forwarding_resumed("syslog", 2),
        build_events.role_refreshed(),
        build_events.role_not_refreshed(why="AccessDenied"),
    )
    told = [(each.kind, who_and_what(each), each.why) for each in account(made.records).events]
    assert [kind for kind, *_ in told] == ["kernel"] * 2 + ["record"] * 3 + ["role"] * 2
    assert ("record", "the record is not sealed up to line 2", "the agent is gone") in told
    assert (
        "record",
        "the record from line 2 on waits to be sent to syslog",
        "no such socket",
    ) in told


def test_attempt_has_newest_capped_output() -> None:
    made = Run(step("a")).begin("a")
    made.add(build_events.output_capped("a", outputs=1), build_events.output_capped("a", outputs=7))
    attempt = account(made.end().records).sections[0].attempts[0]
    assert attempt.not_kept.startswith("output past 1000 B is not kept: 7 outputs of 4.9 KiB")
