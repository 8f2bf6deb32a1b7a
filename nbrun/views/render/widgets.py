"""Views of ipywidgets: bars and labels as lines of text, `Output` widgets as what they hold."""

from dataclasses import dataclass
from typing import Any

from nbrun.core import events as ev
from nbrun.views.render import html
from nbrun.views.render.captured_outputs import CapturedOutputs
from nbrun.views.render.guard import guarded
from nbrun.views.text.sanitize import visible

VIEW_MIME = "application/vnd.jupyter.widget-view+json"
_BAR_WIDTH = 24  # characters
_MAX_BOXES = 5  # nested boxes
_MAX_NESTED = 5  # `Output` widgets that hold views of each other
_MODEL_PREFIX = "IPY_MODEL_"
_SEPARATORS = {"HBox": " ", "VBox": "\n"}

_OutputEvent = ev.Output | ev.OutputUpdated | ev.OutputCleared | ev.WidgetsChanged


@dataclass(frozen=True)
class WidgetView:
    """The visible part of a model.

    `text`: its lines; None if nbrun can't draw all of it, so that the text in the view's own mime
    bundle stands. `outputs`: the `Output` models within it, in order.
    """

    text: str | None
    outputs: tuple[str, ...] = ()


_NOTHING = WidgetView("")
_UNKNOWN = WidgetView(None)


class Widgets:
    """The current state of each widget model, and what `Output` models hold, folded from events."""

    def __init__(self) -> None:
        self._models: dict[str, dict[str, Any]] = {}
        self._closed: set[str] = set()
        self._captured = CapturedOutputs()

    def take(self, event: _OutputEvent) -> bool:
        """Apply an output event; return True if it changed what a widget shows."""
        match event:
            case ev.WidgetsChanged():
                for model, state in event.models.items():
                    self._models.setdefault(model, {}).update(state)
                for model in event.closed:
                    self._models.pop(model, None)
                    self._closed.add(model)
                return True
            case ev.Output(widget=""):
                data = event.output.get("data")
                metadata = event.output.get("metadata") or {}
                return data is not None and self._captured.update(event.display_id, data, metadata)
            case ev.Output():
                self._captured.add(event)
                return True
            case ev.OutputCleared():
                if event.widget:
                    self._captured.clear(event.widget, wait=event.wait)
                return bool(event.widget)
        return self._captured.update(event.display_id, event.data, event.metadata)

    def view(self, model: str) -> WidgetView:
        """Return what a view of `model` shows now. A closed model shows nothing."""
        view = self._view(model, _MAX_BOXES)
        empty = view == _NOTHING and model not in self._closed
        return _UNKNOWN if empty else view

    def text(self, model: str) -> str:
        """Return the lines that a view of `model` shows; empty if nbrun can't draw all of it."""
        return self.view(model).text or ""

    def outputs_of_model(self, model: str, within: tuple[str, ...] = ()) -> list[dict[str, Any]]:
        """Return what an `Output` model holds, each view in it as what it shows.

        `within`: the models around it. None of them is shown again.
        """
        within = (*within, model)
        if model in within[:-1] or len(within) > _MAX_NESTED:
            return []
        held = self._captured.of(model)
        return [part for output in held for part in self.outputs_of_view(output, within)]

    def outputs_of_view(
        self, output: dict[str, Any], within: tuple[str, ...] = ()
    ) -> list[dict[str, Any]]:
        """Return an output as what it shows: itself, if it is not the view of a known widget.

        A view becomes its text, followed by what the `Output` models in it hold.
        """
        model = model_id_of(output)
        if model is None:
            return [output]
        view = self.view(model)
        shown = [] if view.text == "" else [_with_text(output, view.text)]
        return shown + [
            part for each in view.outputs for part in self.outputs_of_model(each, within)
        ]

    def _view(self, model: str, depth: int) -> WidgetView:
        """Of a box: a bar within it has no numbers, since the labels beside it have them."""
        if model in self._closed:
            return _NOTHING
        state = self._models.get(model, {})
        match str(state.get("_model_name", "")).removesuffix("Model"):
            case "IntProgress" | "FloatProgress":
                return WidgetView(_bar(state, with_numbers=depth == _MAX_BOXES))
            case "HTML" | "Label":
                return WidgetView(_label(state).replace("\u2007", " ").strip())
            case "Output":
                return WidgetView("", (model,))
            case kind if "children" in state:
                return self._box(kind, state, depth)
        return _UNKNOWN

    def _box(self, kind: str, state: dict[str, Any], depth: int) -> WidgetView:
        if not depth:
            return _NOTHING
        parts = [self._view(child, depth - 1) for child in _children(state)]
        texts = [part.text for part in parts]
        outputs = tuple(dict.fromkeys(each for part in parts for each in part.outputs))
        if kind not in _SEPARATORS or None in texts:
            return WidgetView(None, outputs)
        return WidgetView(_SEPARATORS[kind].join(filter(None, texts)), outputs)


class ViewedModels:
    """The models that the views taken so far have shown, also those that were closed since."""

    def __init__(self, widgets: Widgets) -> None:
        self._widgets = widgets
        self._views: set[str] = set()
        self._closed: set[str] = set()

    def add(self, output: dict[str, Any]) -> None:
        """Take an output that may be a view."""
        model = model_id_of(output)
        if model is not None:
            self._views.add(model)

    def note_closing(self, event: ev.WidgetsChanged) -> None:
        """Take a change before `widgets` does: what a closed model showed is unknown afterwards."""
        if event.closed:
            self._closed |= self._shown()
            self._views.difference_update(event.closed)

    def __contains__(self, model: str) -> bool:
        return model in self._closed or model in self._shown()

    def _shown(self) -> set[str]:
        return {each for view in self._views for each in self._widgets.view(view).outputs}


def model_id_of(output: dict[str, Any]) -> str | None:
    """Return the id of the widget model that an output shows, if it shows one."""
    data = output.get("data")
    view = data.get(VIEW_MIME) if isinstance(data, dict) else None
    model = view.get("model_id") if isinstance(view, dict) else None
    return model if isinstance(model, str) else None


def _with_text(output: dict[str, Any], text: str | None) -> dict[str, Any]:
    """Return a view with its widget's text: a reader of the notebook has no kernel to ask."""
    return output if text is None else {**output, "data": {**output["data"], "text/plain": text}}


def _children(state: dict[str, Any]) -> list[str]:
    children = state.get("children")
    ids = children if isinstance(children, list) else []
    return [each.removeprefix(_MODEL_PREFIX) for each in ids if isinstance(each, str)]


def _label(state: dict[str, Any]) -> str:
    page = f"{state.get('description') or ''} {state.get('value') or ''}"
    return guarded(lambda: html.to_text(page), lambda _why: visible(page))


def _bar(state: dict[str, Any], *, with_numbers: bool) -> str:
    low, high, value = (_number(state.get(key)) for key in ("min", "max", "value"))
    share = min(1.0, max(0.0, (value - low) / (high - low))) if high > low else 0.0
    full = round(share * _BAR_WIDTH)
    description = str(state.get("description") or "")
    bar = f"|{'█' * full}{'░' * (_BAR_WIDTH - full)}|" + f" {value:g} of {high:g}" * with_numbers
    return f"{description} {bar}".strip()


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
