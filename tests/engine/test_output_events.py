"""Tests of kernel messages as events of the attempts that caused them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbrun.core import events as ev
from nbrun.engine.output_events import MAX_DELAY, AttemptMessage, OutputCollector
from nbrun.kernel.messages import (
    Cleared,
    Displayed,
    DisplayUpdated,
    InputWanted,
    TextPrinted,
    WidgetChanged,
)
from tests.support.build_events import (
    attempt_started,
    display,
    input_requested,
    output,
    output_cleared,
    output_updated,
    stream,
    widgets_changed,
)

FIRST = attempt_started("s1")
SECOND = attempt_started("s2")


def printed(text: str, name: str = "stdout", request: str = "r1") -> TextPrinted:
    return TextPrinted(request=request, name=name, text=text)


@pytest.fixture
def collector() -> OutputCollector:
    """Return a collector whose request `r1` is the first attempt."""
    made = OutputCollector()
    made.add_request("r1", FIRST)
    return made


@pytest.mark.parametrize(
    ("message", "event"),
    [
        (
            Displayed(request="r1", output=display(text_plain="3"), display_id="d1"),
            output(display(text_plain="3"), display_id="d1"),
        ),
        (Displayed(request="r1", output=display()), output(display())),
        (
            DisplayUpdated(request="r1", display_id="d1", data={"a/b": 1}, metadata={"c": 2}),
            output_updated("d1", {"a/b": 1}, metadata={"c": 2}),
        ),
        (Cleared(request="r1", wait=True), output_cleared(wait=True)),
        (Cleared(request="r1", wait=False), output_cleared(wait=False)),
        (Cleared(request="r1", wait=False, widget="o"), output_cleared(widget="o")),
        (
            Displayed(request="r1", output=display(text_plain="3"), widget="o"),
            output(display(text_plain="3"), widget="o"),
        ),
        (
            InputWanted(request="r1", prompt="key: ", password=True),
            input_requested("key: ", password=True),
        ),
    ],
)
def test_other_output_becomes_event_at_once(
    collector: OutputCollector, message: AttemptMessage, event: ev.Event
) -> None:
    assert collector.collect(message, FIRST, 0.0) == [event]
    assert collector.deadline is None


def test_text_that_a_widget_captured_is_an_event_of_its_own(collector: OutputCollector) -> None:
    captured = TextPrinted(request="r1", name="stdout", text="b", widget="o")
    assert collector.collect(printed("a"), FIRST, 1.0) == []
    assert collector.collect(captured, FIRST, 1.0) == [output("a")]
    assert collector.flush() == [output("b", widget="o")]


def test_closed_widgets_are_recorded_with_the_last_changes(collector: OutputCollector) -> None:
    for message in (
        WidgetChanged(request="r1", model="m", state={"value": 3}),
        WidgetChanged(request="r1", model="m", state={}, closed=True),
    ):
        collector.collect(message, FIRST, 1.0)
    assert collector.flush() == [widgets_changed({"m": {"value": 3}}, closed=("m",))]


def test_stream_text_is_buffered(collector: OutputCollector) -> None:
    assert collector.collect(printed("a"), FIRST, 1.0) == []
    assert collector.deadline == 1.0 + MAX_DELAY
    assert collector.collect(printed("b"), FIRST, 1.0 + MAX_DELAY / 2) == []
    assert collector.deadline == 1.0 + MAX_DELAY, "more text must not put it off"
    assert collector.flush() == [output("ab")]
    assert collector.deadline is None
    assert collector.flush() == []


def test_text_after_deadline_joins_buffered_text(
    collector: OutputCollector,
) -> None:
    collector.collect(printed("a"), FIRST, 1.0)
    assert collector.collect(printed("b"), FIRST, 1.0 + MAX_DELAY) == [output("ab")]
    assert collector.deadline is None


def test_stdout_and_stderr_keep_order(collector: OutputCollector) -> None:
    assert collector.collect(printed("out"), FIRST, 0.0) == []
    assert collector.collect(printed("err", "stderr"), FIRST, 0.0) == [output("out")]
    assert collector.flush() == [output(stream("err", "stderr"))]


def test_display_does_not_overtake_printed_text(
    collector: OutputCollector,
) -> None:
    collector.collect(printed("before"), FIRST, 0.0)
    shown = Displayed(request="r1", output=display(text_plain="3"))
    assert collector.collect(shown, FIRST, 0.0) == [
        output("before"),
        output(display(text_plain="3")),
    ]


@pytest.mark.parametrize("running", [None, SECOND], ids=["nothing", "another step"])
def test_output_after_attempt_is_late_and_attributed_to_it(
    collector: OutputCollector, running: ev.AttemptStarted | None
) -> None:
    collector.add_request("r2", SECOND)
    collector.collect(printed("thread"), running, 0.0)
    assert collector.flush() == [output("thread", late=True)]
    message = Displayed(request="r1", output=display())
    assert collector.collect(message, running, 0.0) == [output(display(), late=True)]
    cleared = Cleared(request="r1", wait=False)
    assert collector.collect(cleared, running, 0.0) == [output_cleared(late=True)]
    updated = DisplayUpdated(request="r1", display_id="d1", data={}, metadata={})
    assert collector.collect(updated, running, 0.0) == [output_updated("d1", {}, late=True)]


def test_text_before_and_after_attempt_end_is_separate(
    collector: OutputCollector,
) -> None:
    collector.collect(printed("in time "), FIRST, 0.0)
    assert collector.collect(printed("too late"), None, 0.0) == [output("in time ")]
    assert collector.flush() == [output("too late", late=True)]


def test_second_attempt_has_own_outputs(collector: OutputCollector) -> None:
    again = attempt_started("s1", 2)
    collector.add_request("r2", again)
    collector.collect(printed("old"), again, 0.0)
    assert collector.collect(printed("new", request="r2"), again, 0.0) == [output("old", late=True)]
    assert collector.flush() == [output("new", attempt=2)]


def test_input_request_of_ended_attempt_is_dropped(
    collector: OutputCollector,
) -> None:
    asked = InputWanted(request="r1", prompt="? ", password=False)
    assert collector.collect(asked, None, 0.0) == []


def test_unknown_request_is_attributed_to_last_attempt(collector: OutputCollector) -> None:
    collector.add_request("r2", SECOND)
    message = Displayed(request="", output=display())
    assert collector.collect(message, SECOND, 0.0) == [output(display(), step="s2")]


def test_output_before_any_step_is_only_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert OutputCollector().collect(printed("hello from the kernel"), None, 0.0) == []
    assert "hello from the kernel" in caplog.text


def test_attempt_of_returns_attempt_of_request(collector: OutputCollector) -> None:
    assert collector.attempt_of("r1") is FIRST
    assert collector.attempt_of("r9") is None


CHUNKS = st.tuples(st.sampled_from(["stdout", "stderr"]), st.text(max_size=5), st.floats(0, 0.04))


@given(st.lists(CHUNKS))
def test_text_is_complete_and_in_order(chunks: list[tuple[str, str, float]]) -> None:
    collector, now, told = OutputCollector(), 0.0, list[ev.Event]()
    collector.add_request("r1", FIRST)
    for name, text, pause in chunks:
        now += pause
        told += collector.collect(printed(text, name), FIRST, now)
        assert collector.deadline is None or now < collector.deadline <= now + MAX_DELAY
    told += collector.flush()
    outputs: list[Any] = [event.output for event in told if isinstance(event, ev.Output)]
    assert joined((each["name"], each["text"]) for each in outputs) == joined(
        (name, text) for name, text, _ in chunks
    )


def joined(chunks: Any) -> list[tuple[str, str]]:
    """Return the outputs with neighbours of one stream joined."""
    whole: list[tuple[str, str]] = []
    for name, text in chunks:
        if whole and whole[-1][0] == name:
            whole[-1] = (name, whole[-1][1] + text)
        else:
            whole.append((name, text))
    return whole


def test_widget_changes_are_merged_to_newest_state() -> None:
    collector, running = OutputCollector(), FIRST
    collector.add_request("r1", running)
    for value in range(100):
        message = WidgetChanged(request="r1", model="m", state={"value": value})
        assert collector.collect(message, running, 0.0) == []
    collector.collect(WidgetChanged(request="r1", model="n", state={"max": 3}), running, 0.0)
    printed = TextPrinted(request="r1", name="stdout", text="x")
    assert collector.collect(printed, running, 0.01) == [
        widgets_changed({"m": {"value": 99}, "n": {"max": 3}})
    ]
    assert collector.flush() == [output("x")]
