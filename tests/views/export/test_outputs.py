"""The outputs of attempts: joined, updated, cleared, late."""

import pytest

from nbrun.core import events as ev
from nbrun.views.export.outputs import Outputs
from nbrun.views.render.widgets import VIEW_MIME
from tests.support import build_events
from tests.support.run_builder import display, stream


def add(outputs, output, step="a", attempt=1, **fields):
    outputs.take(ev.Output(step=step, attempt=attempt, output=output, **fields))


def update(outputs, display_id, data, step="a", attempt=1):
    outputs.take(ev.OutputUpdated(step=step, attempt=attempt, display_id=display_id, data=data))


def clear(outputs, *, wait):
    outputs.take(ev.OutputCleared(step="a", attempt=1, wait=wait))


def texts(outputs, step="a", attempt=1):
    return ["".join(output["text"]) for output in outputs.of(step, attempt)]


@pytest.fixture
def outputs():
    return Outputs()


def test_chunks_of_one_stream_are_joined(outputs):
    for chunk in ("one\n", "tw", "o\n"):
        add(outputs, stream(chunk))
    assert texts(outputs) == ["one\ntwo\n"]


def test_chunks_stay_list_of_texts(outputs):
    """They are never joined into one string, which would take quadratic time."""
    for _ in range(1000):
        add(outputs, stream("x"))
    (only,) = outputs.of("a", 1)
    assert only["text"] == ["x"] * 1000


def test_other_output_between_divides_streams(outputs):
    add(outputs, stream("a"))
    add(outputs, stream("b", "stderr"))
    add(outputs, stream("c"))
    add(outputs, display(text_plain="shown"))
    add(outputs, stream("d"))
    kinds = [(output["output_type"], output.get("name")) for output in outputs.of("a", 1)]
    assert kinds == [
        ("stream", "stdout"),
        ("stream", "stderr"),
        ("stream", "stdout"),
        ("display_data", None),
        ("stream", "stdout"),
    ]


def test_events_are_never_changed(outputs):
    first = stream("a")
    shown = display(text_plain="1")
    add(outputs, first)
    add(outputs, stream("b"))
    add(outputs, shown, display_id="d")
    update(outputs, "d", {"text/plain": "2"})
    assert first == stream("a")
    assert shown == display(text_plain="1")


def test_attempts_have_separate_lists(outputs):
    add(outputs, stream("first"), attempt=1)
    add(outputs, stream("second"), attempt=2)
    add(outputs, stream("other"), step="b")
    assert texts(outputs, "a", 1) == ["first"]
    assert texts(outputs, "a", 2) == ["second"]
    assert texts(outputs, "b", 1) == ["other"]


def test_late_output_goes_to_its_attempt(outputs):
    add(outputs, stream("now\n"), attempt=1)
    add(outputs, stream("meanwhile\n"), attempt=2)
    add(outputs, stream("late\n"), attempt=1, late=True)
    assert texts(outputs, "a", 1) == ["now\nlate\n"]


def test_update_changes_display_in_all_attempts(outputs):
    add(outputs, display(text_plain="0 %"), attempt=1, display_id="bar")
    add(outputs, display(text_plain="0 %"), attempt=2, display_id="bar")
    add(outputs, display(text_plain="other"), attempt=2, display_id="else")
    update(outputs, "bar", {"text/plain": "100 %"}, attempt=2)
    assert [output["data"]["text/plain"] for output in outputs.of("a", 1)] == ["100 %"]
    assert [output["data"]["text/plain"] for output in outputs.of("a", 2)] == ["100 %", "other"]


def test_second_display_of_id_updates_first(outputs):
    add(outputs, display(text_plain="1"), display_id="d")
    add(outputs, display(text_plain="2"), display_id="d")
    assert [output["data"]["text/plain"] for output in outputs.of("a", 1)] == ["2", "2"]


def test_update_of_unknown_display_changes_nothing(outputs):
    update(outputs, "unknown", {"text/plain": "1"})
    assert outputs.of("a", 1) == []


def test_clear_takes_effect_at_once(outputs):
    add(outputs, stream("a"))
    clear(outputs, wait=False)
    assert outputs.of("a", 1) == []


def test_waiting_clear_takes_effect_with_next_output(outputs):
    add(outputs, stream("a"))
    clear(outputs, wait=True)
    assert texts(outputs) == ["a"]
    add(outputs, stream("b"))
    assert texts(outputs) == ["b"]
    add(outputs, stream("c"))
    assert texts(outputs) == ["bc"]


@pytest.mark.parametrize(
    ("mime", "value", "kept"),
    [
        ("text/plain", 5, "5"),
        ("text/html", {"a": [1]}, '{"a": [1]}'),
        ("image/png", None, "null"),
        ("text/plain", ["a", 1], '["a", 1]'),
        ("text/plain", ["a", "b"], ["a", "b"]),
        ("application/json", {"a": [1]}, {"a": [1]}),
        ("application/vnd.x+json", 5, 5),
    ],
)
def test_invalid_mime_values_become_json_text(outputs, mime, value, kept):
    add(outputs, {"output_type": "display_data", "data": {mime: value}, "metadata": {}})
    add(outputs, display(text_plain="1"), display_id="d")
    update(outputs, "d", {mime: value})
    assert [output["data"] for output in outputs.of("a", 1)] == [{mime: kept}, {mime: kept}]


# ── Output widgets ───────────────────────────────────────────────────────────────────────────

VIEW = display(**{"text/plain": "Output()", VIEW_MIME: {"model_id": "o"}})


@pytest.fixture
def with_widget(outputs):
    """Outputs of a run in which an `Output` widget `o` was made."""
    outputs.take(build_events.widgets_changed({"o": {"_model_name": "OutputModel"}}))
    return outputs


def test_captured_output_stands_where_the_widget_is_displayed(with_widget):
    add(with_widget, stream("before\n", "stderr"))
    add(with_widget, VIEW)
    add(with_widget, stream("of b\n"), step="b", widget="o")
    assert texts(with_widget) == ["before\n", "of b\n"]
    assert texts(with_widget, "b") == []


def test_captured_output_that_is_never_displayed_stands_where_it_was_captured(with_widget):
    add(with_widget, stream("a"))
    add(with_widget, stream("b"), widget="o")
    add(with_widget, stream("c"))
    assert texts(with_widget) == ["abc"]


def test_clear_of_a_widget_leaves_the_cell_alone(with_widget):
    add(with_widget, stream("of the cell"))
    add(with_widget, VIEW)
    add(with_widget, stream("old"), widget="o")
    with_widget.take(build_events.output_cleared(step="a", widget="o"))
    assert texts(with_widget) == ["of the cell"]


def test_capture_does_not_trigger_a_clear_of_the_cell_that_waits(with_widget):
    add(with_widget, stream("of the cell"))
    clear(with_widget, wait=True)
    add(with_widget, VIEW | {"data": {}}, widget="o")
    assert "".join(with_widget.of("a", 1)[0]["text"]) == "of the cell"


def test_closed_widget_takes_what_it_held_with_it(with_widget):
    add(with_widget, VIEW)
    add(with_widget, stream("a frame"), widget="o")
    with_widget.take(build_events.widgets_changed({}, closed=("o",)))
    assert texts(with_widget) == []
