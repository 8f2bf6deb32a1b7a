"""Which `Output` widget of ipywidgets captures a message, by the models' `msg_id`."""

from typing import Any

import pytest

from nbrun.kernel.messages import (
    Cleared,
    Displayed,
    LongTextPrinted,
    Message,
    TextPrinted,
    WidgetChanged,
)
from nbrun.kernel.widget_outputs import WidgetOutputs


class Kernel:
    """The messages of a kernel's iopub, and what they are converted to."""

    def __init__(self) -> None:
        self.outputs = WidgetOutputs()

    def comm(self, kind: str, model: str, request: str = "r1", **state: Any) -> list[Message]:
        data = {"state": state} if state else {}
        return self.outputs.messages(request, kind, {"comm_id": model, "data": data})

    def open(self, model: str, **state: Any) -> list[Message]:
        return self.comm("comm_open", model, _model_name="OutputModel", **state)

    def change(self, model: str, **state: Any) -> list[Message]:
        return self.comm("comm_msg", model, **state)

    def close(self, model: str) -> list[Message]:
        return self.comm("comm_close", model)

    def prints(self, text: str = "x", request: str = "r1") -> str:
        """Print, and return the widget that captured it."""
        (said,) = self.outputs.messages(request, "stream", {"name": "stdout", "text": text})
        assert isinstance(said, TextPrinted | LongTextPrinted)
        return said.widget


@pytest.fixture
def kernel() -> Kernel:
    return Kernel()


def test_output_belongs_to_the_model_whose_msg_id_names_its_request(kernel: Kernel) -> None:
    kernel.open("a", msg_id="", outputs=[])
    assert kernel.prints() == ""
    kernel.change("a", msg_id="r1")
    assert kernel.prints() == "a"
    assert kernel.prints(request="r2") == "", "another request is not captured"
    kernel.change("a", msg_id="")
    assert kernel.prints() == ""


def test_displays_errors_and_clearings_are_captured_too(kernel: Kernel) -> None:
    kernel.open("a", msg_id="r1")
    kinds: dict[str, dict[str, Any]] = {
        "display_data": {"data": {}, "metadata": {}},
        "error": {"ename": "E", "evalue": "", "traceback": []},
        "clear_output": {"wait": True},
    }
    for kind, content in kinds.items():
        (said,) = kernel.outputs.messages("r1", kind, content)
        assert isinstance(said, Displayed | Cleared)
        assert said.widget == "a"


def test_innermost_model_captures(kernel: Kernel) -> None:
    kernel.open("a", msg_id="r1")
    kernel.open("b", msg_id="r1")
    assert kernel.prints() == "b"
    kernel.change("b", msg_id="")
    assert kernel.prints() == "a"


def test_closed_model_captures_nothing_and_is_reported_once(kernel: Kernel) -> None:
    kernel.open("a", msg_id="r1")
    assert kernel.close("a") == [WidgetChanged(request="r1", model="a", state={}, closed=True)]
    assert kernel.close("a") == []
    assert kernel.prints() == ""


def test_closing_of_models_that_are_never_shown_is_not_reported(kernel: Kernel) -> None:
    kernel.comm("comm_open", "layout", _model_name="LayoutModel", display=None)
    assert kernel.close("layout") == []


def test_outputs_appended_in_the_kernel_are_reported_once(kernel: Kernel) -> None:
    kernel.open("a", msg_id="", outputs=[])
    one, two = ({"output_type": "stream", "name": "stdout", "text": each} for each in "12")
    first, second = kernel.change("a", outputs=[one]), kernel.change("a", outputs=[one, two])
    assert first == [TextPrinted(request="r1", name="stdout", text="1", widget="a")]
    assert second == [TextPrinted(request="r1", name="stdout", text="2", widget="a")]


def test_outputs_replaced_in_the_kernel_clear_the_model(kernel: Kernel) -> None:
    kernel.open("a", msg_id="", outputs=[])
    old, new = ({"output_type": "stream", "name": "stdout", "text": each} for each in "12")
    kernel.change("a", outputs=[old])
    assert kernel.change("a", outputs=[new]) == [
        Cleared(request="r1", wait=False, widget="a"),
        TextPrinted(request="r1", name="stdout", text="2", widget="a"),
    ]
    assert kernel.change("a", outputs=[]) == [Cleared(request="r1", wait=False, widget="a")]


@pytest.mark.parametrize("outputs", [None, 7, [None, 3, {}, {"output_type": "stream"}], {"a": 1}])
def test_malformed_outputs_of_a_model_never_fail(kernel: Kernel, outputs: Any) -> None:
    kernel.open("a", msg_id="", outputs=[])
    kernel.change("a", outputs=outputs)
    assert kernel.prints() == ""


@pytest.mark.parametrize("kind", ["VBoxModel", "TabModel", "GridBoxModel"])
def test_every_box_is_reported_with_its_children(kernel: Kernel, kind: str) -> None:
    state = {"_model_name": kind, "children": ["IPY_MODEL_a"]}
    said = kernel.comm("comm_open", "box", **state, layout="IPY_MODEL_l")
    assert said == [WidgetChanged(request="r1", model="box", state=state)]
