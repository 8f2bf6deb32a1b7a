"""Progress bars and labels of ipywidgets as lines of text."""

from typing import Any

from nbrun.core import events as ev
from nbrun.views.render import html

VIEW_MIME = "application/vnd.jupyter.widget-view+json"
_BAR_WIDTH = 24  # characters
_MAX_BOXES = 5  # nested boxes
_MODEL_PREFIX = "IPY_MODEL_"


class Widgets:
    """The current state of each widget model, folded from changes."""

    def __init__(self) -> None:
        self._models: dict[str, dict[str, Any]] = {}

    def take(self, event: ev.WidgetsChanged) -> None:
        for model, state in event.models.items():
            self._models.setdefault(model, {}).update(state)

    def text(self, model: str, depth: int = _MAX_BOXES) -> str:
        """Return what a model shows, in one or more lines; empty for any other kind of widget.

        A bar within a box has no numbers: the labels beside it have them.
        """
        state = self._models.get(model, {})
        match str(state.get("_model_name", "")).removesuffix("Model"):
            case "IntProgress" | "FloatProgress":
                return _bar(state, with_numbers=depth == _MAX_BOXES)
            case "HTML" | "Label":
                label = f"{state.get('description') or ''} {state.get('value') or ''}"
                return html.to_text(label).replace("\u2007", " ").strip()
            case "HBox" | "VBox" as box if depth:
                parts = [self.text(child, depth - 1) for child in _children(state)]
                return (" " if box == "HBox" else "\n").join(part for part in parts if part)
        return ""


def model_id_of(output: dict[str, Any]) -> str | None:
    """Return the id of the widget model that an output shows, if it shows one."""
    data = output.get("data")
    view = data.get(VIEW_MIME) if isinstance(data, dict) else None
    model = view.get("model_id") if isinstance(view, dict) else None
    return model if isinstance(model, str) else None


def _children(state: dict[str, Any]) -> list[str]:
    children = state.get("children")
    ids = children if isinstance(children, list) else []
    return [each.removeprefix(_MODEL_PREFIX) for each in ids if isinstance(each, str)]


def _bar(state: dict[str, Any], *, with_numbers: bool) -> str:
    low, high, value = (_number(state.get(key)) for key in ("min", "max", "value"))
    share = min(1.0, max(0.0, (value - low) / (high - low))) if high > low else 0.0
    full = round(share * _BAR_WIDTH)
    description = str(state.get("description") or "")
    bar = f"|{'█' * full}{'░' * (_BAR_WIDTH - full)}|" + f" {value:g} of {high:g}" * with_numbers
    return f"{description} {bar}".strip()


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
