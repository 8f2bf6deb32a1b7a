"""The lines of a terminal for decisions, the kernel and the record."""

import pytest

from nbrun.core import events as ev
from nbrun.core.reducer import fold
from nbrun.views.terminal import event_lines
from nbrun.views.text.event_summary import describe
from tests.support import build_events as build
from tests.support.build_events import begun, kernel_responded, kernel_unresponsive

STATE = fold(begun())
AT = "09:30:00Z"


def lines(event: ev.Event) -> list[str]:
    summary = describe(STATE, build.record(event))
    assert summary is not None
    return [line.plain for line in event_lines.lines(summary)]


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (build.decided("cancel", reason="late"), "ada: cancel (late)"),
        (build.decision_refused(), "refused: ada: retry (it has not failed)"),
        (build.note_added("hm"), "note by ada: hm"),
        (build.input_answered("db1"), "answer by ada: db1"),
        (
            build.approval_rejected("s1"),
            "rejected by grace (uid 1001, socket): step 1 (not tonight)",
        ),
        (build.kernel_interrupted(), "interrupting the step: the operator pressed Ctrl-C"),
        (
            build.deviated(),
            "off script: step 1 run again after it had not succeeded",
        ),
    ],
)
def test_line_has_time_person_and_reason(event: ev.Event, line: str) -> None:
    assert lines(event) == [f"{AT} {line}"]


def test_hint_is_indented_below_its_event() -> None:
    line, hint = lines(build.kernel_suspended(pid=4711))
    assert line.startswith(f"{AT} the kernel is not responding")
    assert hint.startswith("  ")
    assert "kill -CONT 4711" in hint


def test_resumption_has_date_because_days_may_have_passed() -> None:
    line, _ = lines(build.run_resumed(reason="power is back"))
    assert line == (
        "2026-11-23 09:30:00 UTC ada (uid 1000, /dev/pts/7): resumed on db1 (power is back)"
    )


def test_busy_kernel_is_notice_and_standstill_is_warning() -> None:
    def style(event: ev.Event) -> str:
        summary = describe(STATE, build.record(event))
        assert summary is not None
        return str(event_lines.lines(summary)[0].style)

    assert style(kernel_unresponsive(silent=30.0, cpu=29.0)) == "yellow"
    assert style(kernel_responded()) == "yellow"
    for alarm in (kernel_unresponsive(), build.kernel_suspended(), build.processes_left()):
        assert style(alarm) == "bold yellow"


def test_control_characters_in_line_are_made_visible() -> None:
    assert lines(build.note_added("\x1b]0;owned\x07\nx")) == [f"{AT} note by ada: ^[]0;owned^G\\nx"]
