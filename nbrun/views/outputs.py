"""The outputs of attempts as a notebook shows them: updated, cleared and joined in place."""

import json
import re
from typing import Any

from nbrun import events as ev
from nbrun.views.widgets import Widgets, model_of

_ANY_JSON = re.compile(r"application/(.*\+)?json")


class Outputs:
    """Folds output events, late ones too, into nbformat output lists, one an attempt."""

    def __init__(self) -> None:
        self._lists: dict[tuple[str, int], list[dict[str, Any]]] = {}
        self._displays: dict[str, list[dict[str, Any]]] = {}
        self._clear_next: set[tuple[str, int]] = set()
        self._widgets = Widgets()
        self._views: dict[str, list[dict[str, Any]]] = {}

    def of(self, step: str, attempt: int) -> list[dict[str, Any]]:
        """The list of that attempt's outputs, which goes on changing as events are taken."""
        return self._lists.setdefault((step, attempt), [])

    def take(
        self, event: ev.Output | ev.OutputUpdated | ev.OutputCleared | ev.WidgetsChanged
    ) -> None:
        match event:
            case ev.Output():
                self._add(event)
            case ev.OutputUpdated():
                self._update(event)
            case ev.WidgetsChanged():
                self._widgets.take(event)
                self._show_widgets()
            case ev.OutputCleared(wait=True):
                self._clear_next.add((event.step, event.attempt))
            case ev.OutputCleared():
                self.of(event.step, event.attempt).clear()

    def _add(self, event: ev.Output) -> None:
        key = event.step, event.attempt
        outputs = self.of(*key)
        if key in self._clear_next:
            self._clear_next.discard(key)
            outputs.clear()
        output = dict(event.output)
        if output["output_type"] == "stream":
            output["text"] = [output["text"]]
        if "data" in output:
            output["data"] = _valid(output["data"])
        if not _joined(outputs, output):
            outputs.append(output)
        model = model_of(output)
        if model is not None:
            self._views.setdefault(model, []).append(output)
            self._show_widgets()
        if event.display_id is not None:
            self._displays.setdefault(event.display_id, []).append(output)
            self._show(event.display_id, output["data"], output["metadata"])

    def _update(self, event: ev.OutputUpdated) -> None:
        self._show(event.display_id, _valid(event.data), event.metadata)

    def _show_widgets(self) -> None:
        """A notebook that is read later has no kernel to ask: the text says what a bar shows."""
        for model, outputs in self._views.items():
            text = self._widgets.text(model)
            for output in outputs if text else ():
                output["data"] = {**output["data"], "text/plain": text}

    def _show(self, display_id: str, data: dict[str, Any], metadata: dict[str, Any]) -> None:
        """As in Jupyter, every output of a display id shows its newest bundle."""
        for output in self._displays.get(display_id, []):
            output["data"], output["metadata"] = data, metadata


def _valid(data: dict[str, Any]) -> dict[str, Any]:
    """A mime bundle as nbformat allows it: text, and anything at all under a JSON mime type."""
    return {
        mime: value if _is_text(value) or _ANY_JSON.fullmatch(mime) else json.dumps(value)
        for mime, value in data.items()
    }


def _is_text(value: Any) -> bool:
    parts = value if isinstance(value, list) else [value]
    return all(isinstance(part, str) for part in parts)


def _joined(outputs: list[dict[str, Any]], output: dict[str, Any]) -> bool:
    """Whether `output` went on with the stream that the list ends in.

    A stream's text is a list of chunks, as nbformat allows: joining them one by one would take
    time that grows with the square of what a cell prints.
    """
    if output["output_type"] != "stream" or not outputs:
        return False
    last = outputs[-1]
    if last["output_type"] != "stream" or last["name"] != output["name"]:
        return False
    last["text"] += output["text"]
    return True
