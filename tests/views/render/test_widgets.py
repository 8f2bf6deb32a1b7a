"""Progress bars of ipywidgets as text, live and in the notebook."""

from nbrun.core import events as ev
from nbrun.views.export.outputs import Outputs
from nbrun.views.render.widgets import VIEW_MIME, Widgets
from tests.support import build_events

BAR = {"_model_name": "IntProgressModel", "min": 0, "max": 3, "value": 0, "description": "copy"}


def view(model: str) -> dict[str, object]:
    data = {"text/plain": "IntProgress(value=0)", VIEW_MIME: {"model_id": model}}
    return {"output_type": "display_data", "data": data, "metadata": {}}


def test_progress_bar_shows_its_share() -> None:
    widgets = Widgets()
    widgets.take(build_events.widgets_changed({"m": BAR}))
    widgets.take(build_events.widgets_changed({"m": {"value": 2}}))
    assert widgets.text("m") == f"copy |{'█' * 16}{'░' * 8}| 2 of 3"


def test_box_shows_tqdm_children() -> None:
    widgets = Widgets()
    widgets.take(
        build_events.widgets_changed(
            {
                "l": {"_model_name": "HTMLModel", "value": "copy:\u200766%"},
                "m": BAR | {"description": "", "value": 3},
                "r": {"_model_name": "HTMLModel", "value": " 3/3 [00:01&lt;00:00]"},
                "b": {"_model_name": "HBoxModel", "children": [f"IPY_MODEL_{c}" for c in "lmr"]},
            }
        )
    )
    assert widgets.text("b") == f"copy: 66% |{'█' * 24}| 3/3 [00:01<00:00]"


def test_malformed_or_circular_models_never_fail() -> None:
    widgets = Widgets()
    broken = {"_model_name": "IntProgressModel", "value": "x", "max": None}
    circle = {"_model_name": "VBoxModel", "children": ["IPY_MODEL_c", "IPY_MODEL_m", 7]}
    widgets.take(build_events.widgets_changed({"m": broken, "c": circle}))
    assert widgets.text("m").endswith("| 0 of 0")
    assert "░" in widgets.text("c")
    assert widgets.text("unknown") == ""


def test_notebook_keeps_last_state_of_bar() -> None:
    outputs = Outputs()
    events: list[ev.Output | ev.WidgetsChanged] = [
        build_events.widgets_changed({"m": BAR}),
        build_events.output(view("m")),
        build_events.widgets_changed({"m": {"value": 3}}, late=True),
    ]
    for event in events:
        outputs.take(event)
    (output,) = outputs.of("s1", 1)
    assert output["data"]["text/plain"].endswith("| 3 of 3")


def test_box_with_unknown_child_keeps_its_own_text() -> None:
    widgets = Widgets()
    label = {"_model_name": "LabelModel", "value": "name"}
    box = {"_model_name": "HBoxModel", "children": ["IPY_MODEL_l", "IPY_MODEL_slider"]}
    widgets.take(build_events.widgets_changed({"l": label, "b": box}))
    assert widgets.outputs_of_view(view("b")) == [view("b")]


def test_closed_widget_shows_nothing() -> None:
    widgets = Widgets()
    widgets.take(build_events.widgets_changed({"m": BAR}))
    widgets.take(build_events.widgets_changed({}, closed=("m",)))
    assert widgets.outputs_of_view(view("m")) == []


def test_output_widget_shows_what_it_holds_in_place_of_its_view() -> None:
    widgets = Widgets()
    widgets.take(build_events.widgets_changed({"o": {"_model_name": "OutputModel"}}))
    assert widgets.outputs_of_view(view("o")) == []
    widgets.take(build_events.output("a\n", widget="o"))
    widgets.take(build_events.output("b\n", widget="o"))
    assert widgets.outputs_of_view(view("o")) == [
        build_events.stream("") | {"text": ["a\n", "b\n"]}
    ]


def test_captured_output_is_cleared_when_the_next_one_comes() -> None:
    widgets = Widgets()
    widgets.take(build_events.output("old", widget="o"))
    widgets.take(build_events.output_cleared(wait=True, widget="o"))
    assert widgets.outputs_of_model("o")[0]["text"] == ["old"]
    widgets.take(build_events.output("new", widget="o"))
    assert widgets.outputs_of_model("o")[0]["text"] == ["new"]


def test_captured_display_shows_its_newest_bundle() -> None:
    widgets = Widgets()
    shown = build_events.display(text_plain="0 %")
    widgets.take(build_events.output(shown, display_id="d1", widget="o"))
    assert widgets.take(build_events.output_updated("d1", {"text/plain": "99 %"}))
    assert widgets.outputs_of_model("o")[0]["data"] == {"text/plain": "99 %"}


def test_output_widget_that_holds_its_own_view_is_shown_once() -> None:
    widgets = Widgets()
    widgets.take(build_events.widgets_changed({"o": {"_model_name": "OutputModel"}}))
    for each in (build_events.stream("a"), view("o"), view("o")):
        widgets.take(build_events.output(each, widget="o"))
    assert [each["text"] for each in widgets.outputs_of_view(view("o"))] == [["a"]]


def test_captured_text_that_is_no_utf8_never_fails() -> None:
    widgets = Widgets()
    widgets.take(build_events.output("half \ud800", widget="o"))
    assert widgets.outputs_of_model("o")[0]["text"] == ["half \ud800"]
