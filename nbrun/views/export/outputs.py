"""The outputs of attempts as a notebook shows them: updated, cleared and joined in place."""

import json
import re
from collections.abc import Mapping
from typing import Any

from nbrun.core import events as ev
from nbrun.views.render.widgets import Widgets, model_id_of

_ANY_JSON = re.compile(r"application/(.*\+)?json")

_NOTHING: dict[str, Any] = {"output_type": ""}

Bundle = tuple[dict[str, Any], dict[str, Any]]  # the data and the metadata of a display


class AttemptOutputs:
    """Folds the outputs of one attempt into an nbformat output list, `shown`. `named` and `views`:
    where in it outputs with a display id stand, and views of a widget's model, with that id; what
    those show may still change, whatever has become of the attempt (see `settled`). `printed`: how
    many characters of streams were added."""

    def __init__(
        self,
        shown: list[dict[str, Any]] | None = None,
        named: list[tuple[int, str]] | None = None,
        views: list[tuple[int, str]] | None = None,
        *,
        clear_next: bool = False,
    ) -> None:
        self.shown = [] if shown is None else shown
        self.named = named or []
        self.views = views or []
        self.clear_next = clear_next
        self.printed = 0

    def add(self, event: ev.Output) -> dict[str, Any]:
        """The output that is in the list for `event` now, its own or the stream it went on with.

        A stream's text is a list of chunks, as nbformat allows: joining them one by one would take
        time that grows with the square of what a cell prints.
        """
        if self.clear_next:
            self.clear_next = False
            self._clear()
        output = event.output
        if output["output_type"] != "stream":
            return self._display(event.display_id, dict(output))
        self.printed += len(output["text"])
        last = self.shown[-1] if self.shown else _NOTHING
        if last["output_type"] == "stream" and last["name"] == output["name"]:
            last["text"].append(output["text"])
            return last
        started = {**output, "text": [output["text"]]}
        self.shown.append(started)
        return started

    def _display(self, display_id: str | None, output: dict[str, Any]) -> dict[str, Any]:
        if "data" in output:
            output["data"] = valid(output["data"])
            model = model_id_of(output)
            if model is not None:
                self.views.append((len(self.shown), model))
        if display_id is not None:
            self.named.append((len(self.shown), display_id))
        self.shown.append(output)
        return output

    def clear(self, *, wait: bool) -> None:
        if wait:
            self.clear_next = True
        else:
            self._clear()

    def settle(self, bundles: Mapping[str, Bundle], texts: Mapping[str, str]) -> None:
        """Let each output show the newest that its display id, or its widget, has shown."""
        for position, display_id in self.named:
            shown = self.shown[position]
            shown["data"], shown["metadata"] = bundles[display_id]
        for position, model in self.views:
            self.shown[position] = told_by(self.shown[position], texts.get(model, ""))

    def _clear(self) -> None:
        self.printed = 0
        self.shown.clear()
        self.named.clear()
        self.views.clear()


class Outputs:
    """Folds output events, late ones too, into nbformat output lists, one an attempt."""

    def __init__(self) -> None:
        self._attempts: dict[tuple[str, int], AttemptOutputs] = {}
        self._displays: dict[str, list[dict[str, Any]]] = {}
        self._widgets = Widgets()
        self._views: dict[str, list[dict[str, Any]]] = {}

    def of(self, step: str, attempt: int) -> list[dict[str, Any]]:
        """The list of that attempt's outputs, which goes on changing as events are taken."""
        return self._attempt(step, attempt).shown

    def _attempt(self, step: str, attempt: int) -> AttemptOutputs:
        return self._attempts.setdefault((step, attempt), AttemptOutputs())

    def take(
        self, event: ev.Output | ev.OutputUpdated | ev.OutputCleared | ev.WidgetsChanged
    ) -> None:
        match event:
            case ev.Output():
                self._add(event)
            case ev.OutputUpdated():
                self._show(event.display_id, bundle_of(event))
            case ev.WidgetsChanged():
                self._widgets.take(event)
                self._show_widgets()
            case ev.OutputCleared(wait=wait):
                self._attempt(event.step, event.attempt).clear(wait=wait)

    def _add(self, event: ev.Output) -> None:
        output = self._attempt(event.step, event.attempt).add(event)
        model = model_id_of(output)
        if model is not None:
            self._views.setdefault(model, []).append(output)
            self._show_widgets()
        if event.display_id is not None:
            self._displays.setdefault(event.display_id, []).append(output)
            self._show(event.display_id, (output["data"], output["metadata"]))

    def _show_widgets(self) -> None:
        for model, outputs in self._views.items():
            text = self._widgets.text(model)
            for output in outputs:
                output["data"] = told_by(output, text)["data"]

    def _show(self, display_id: str, bundle: Bundle) -> None:
        """As in Jupyter, every output of a display id shows its newest bundle."""
        for output in self._displays.get(display_id, []):
            output["data"], output["metadata"] = bundle


def bundle_of(event: ev.OutputUpdated) -> Bundle:
    """What an update shows, as nbformat allows it."""
    return valid(event.data), event.metadata


def told_by(output: dict[str, Any], text: str) -> dict[str, Any]:
    """A notebook that is read later has no kernel to ask: the text says what a bar shows."""
    return {**output, "data": {**output["data"], "text/plain": text}} if text else output


def valid(data: dict[str, Any]) -> dict[str, Any]:
    """A mime bundle as nbformat allows it: text, and anything at all under a JSON mime type."""
    return {
        mime: value if _is_text(value) or _ANY_JSON.fullmatch(mime) else json.dumps(value)
        for mime, value in data.items()
    }


def _is_text(value: Any) -> bool:
    if isinstance(value, str):
        return True
    return isinstance(value, list) and all(isinstance(part, str) for part in value)
