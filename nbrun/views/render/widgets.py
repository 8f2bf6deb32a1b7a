"""Progress bars of ipywidgets, and the words beside them, as lines of text."""

from typing import Any

from nbrun.core import events as ev
from nbrun.views.render import html

VIEW_MIME = "application/vnd.jupyter.widget-view+json"
_WIDTH = 24  # cells of a bar
_DEEPEST = 5  # boxes within boxes
_MODEL = "IPY_MODEL_"


class Widgets:
    """Folds the changes of models into what each shows."""

    def __init__(self) -> None:
        self._models: dict[str, dict[str, Any]] = {}

    def take(self, event: ev.WidgetsChanged) -> None:
        for model, state in event.models.items():
            self._models.setdefault(model, {}).update(state)

    def text(self, model: str, depth: int = _DEEPEST) -> str:
        """What a model shows, as one line or several; empty when it is none of these. In a box,
        the words beside a bar say its numbers."""
        state = self._models.get(model, {})
        match str(state.get("_model_name", "")).removesuffix("Model"):
            case "IntProgress" | "FloatProgress":
                return _bar(state, counted=depth == _DEEPEST)
            case "HTML" | "Label":
                words = f"{state.get('description') or ''} {state.get('value') or ''}"
                return html.to_text(words).replace("\u2007", " ").strip()
            case "HBox" | "VBox" as box if depth:
                parts = [self.text(child, depth - 1) for child in _children(state)]
                return (" " if box == "HBox" else "\n").join(part for part in parts if part)
        return ""


def model_id_of(output: dict[str, Any]) -> str | None:
    """The model that an output is the view of."""
    data = output.get("data")
    view = data.get(VIEW_MIME) if isinstance(data, dict) else None
    model = view.get("model_id") if isinstance(view, dict) else None
    return model if isinstance(model, str) else None


def _children(state: dict[str, Any]) -> list[str]:
    children = state.get("children")
    named = children if isinstance(children, list) else []
    return [each.removeprefix(_MODEL) for each in named if isinstance(each, str)]


def _bar(state: dict[str, Any], *, counted: bool) -> str:
    low, high, value = (_number(state.get(key)) for key in ("min", "max", "value"))
    share = min(1.0, max(0.0, (value - low) / (high - low))) if high > low else 0.0
    full = round(share * _WIDTH)
    words = str(state.get("description") or "")
    bar = f"|{'█' * full}{'░' * (_WIDTH - full)}|" + f" {value:g} of {high:g}" * counted
    return f"{words} {bar}".strip()


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
