"""The outputs of attempts as a notebook shows them: updated, cleared and joined in place."""

import json
import re
from collections.abc import Mapping
from typing import Any

from nbrun.core import events as ev
from nbrun.views.render.widgets import Widgets, model_id_of

_ANY_JSON = re.compile(r"application/(.*\+)?json")

_NO_OUTPUT: dict[str, Any] = {"output_type": ""}

MimeBundle = tuple[dict[str, Any], dict[str, Any]]  # the data and the metadata of a display


class AttemptOutputs:
    """Fold the output events of one attempt into `shown`, an nbformat list of outputs.

    `displays` and `views` hold positions in `shown`: of outputs with a display id, and of views of
    a widget model, each with its id. Later events, of any attempt, may still change these (see
    `finish`). `stream_characters`: how many characters of streams were added.
    """

    def __init__(
        self,
        shown: list[dict[str, Any]] | None = None,
        displays: list[tuple[int, str]] | None = None,
        views: list[tuple[int, str]] | None = None,
        *,
        clear_next: bool = False,
    ) -> None:
        self.shown = [] if shown is None else shown
        self.displays = displays or []
        self.views = views or []
        self.clear_next = clear_next
        self.stream_characters = 0

    def add(self, event: ev.Output) -> dict[str, Any]:
        """Add an output and return its entry in `shown`: a new one, or the stream it continues.

        A stream's text is a list of chunks, as nbformat allows: joining chunks one by one would
        take time that grows with the square of the text's length.
        """
        if self.clear_next:
            self.clear_next = False
            self._clear()
        output = event.output
        if output["output_type"] != "stream":
            return self._add_display(event.display_id, dict(output))
        self.stream_characters += len(output["text"])
        last = self.shown[-1] if self.shown else _NO_OUTPUT
        if last["output_type"] == "stream" and last["name"] == output["name"]:
            last["text"].append(output["text"])
            return last
        started = {**output, "text": [output["text"]]}
        self.shown.append(started)
        return started

    def _add_display(self, display_id: str | None, output: dict[str, Any]) -> dict[str, Any]:
        if "data" in output:
            output["data"] = valid_data(output["data"])
            model = model_id_of(output)
            if model is not None:
                self.views.append((len(self.shown), model))
        if display_id is not None:
            self.displays.append((len(self.shown), display_id))
        self.shown.append(output)
        return output

    def clear(self, *, wait: bool) -> None:
        """Clear the outputs: now, or when the next output comes if `wait` is True."""
        if wait:
            self.clear_next = True
        else:
            self._clear()

    def finish(self, bundles: Mapping[str, MimeBundle], texts: Mapping[str, str]) -> None:
        """Let each output show the newest bundle of its display id, or text of its widget."""
        for position, display_id in self.displays:
            shown = self.shown[position]
            shown["data"], shown["metadata"] = bundles[display_id]
        for position, model in self.views:
            self.shown[position] = with_widget_text(self.shown[position], texts.get(model, ""))

    def _clear(self) -> None:
        self.stream_characters = 0
        self.shown.clear()
        self.displays.clear()
        self.views.clear()


class Outputs:
    """Fold all output events of a run, late ones too, into one nbformat list an attempt."""

    def __init__(self) -> None:
        self._attempts: dict[tuple[str, int], AttemptOutputs] = {}
        self._displays: dict[str, list[dict[str, Any]]] = {}
        self._widgets = Widgets()
        self._views: dict[str, list[dict[str, Any]]] = {}

    def of(self, step: str, attempt: int) -> list[dict[str, Any]]:
        """Return the list of an attempt's outputs; later events change it in place."""
        return self._attempt(step, attempt).shown

    def _attempt(self, step: str, attempt: int) -> AttemptOutputs:
        return self._attempts.setdefault((step, attempt), AttemptOutputs())

    def take(
        self, event: ev.Output | ev.OutputUpdated | ev.OutputCleared | ev.WidgetsChanged
    ) -> None:
        """Apply an output event."""
        match event:
            case ev.Output():
                self._add(event)
            case ev.OutputUpdated():
                self._update_display(event.display_id, bundle_of(event))
            case ev.WidgetsChanged():
                self._widgets.take(event)
                self._update_views()
            case ev.OutputCleared(wait=wait):
                self._attempt(event.step, event.attempt).clear(wait=wait)

    def _add(self, event: ev.Output) -> None:
        output = self._attempt(event.step, event.attempt).add(event)
        model = model_id_of(output)
        if model is not None:
            self._views.setdefault(model, []).append(output)
            self._update_views()
        if event.display_id is not None:
            self._displays.setdefault(event.display_id, []).append(output)
            self._update_display(event.display_id, (output["data"], output["metadata"]))

    def _update_views(self) -> None:
        for model, outputs in self._views.items():
            text = self._widgets.text(model)
            for output in outputs:
                output["data"] = with_widget_text(output, text)["data"]

    def _update_display(self, display_id: str, bundle: MimeBundle) -> None:
        """As in Jupyter, every output with a display id shows its newest bundle."""
        for output in self._displays.get(display_id, []):
            output["data"], output["metadata"] = bundle


def bundle_of(event: ev.OutputUpdated) -> MimeBundle:
    """Return the bundle of an update, as nbformat allows it."""
    return valid_data(event.data), event.metadata


def with_widget_text(output: dict[str, Any], text: str) -> dict[str, Any]:
    """Return `output` with the text of its widget: a reader of the file has no kernel to ask."""
    return {**output, "data": {**output["data"], "text/plain": text}} if text else output


def valid_data(data: dict[str, Any]) -> dict[str, Any]:
    """Return mime data as nbformat allows it: text, and any value under a JSON mime type."""
    return {
        mime: value if _is_text(value) or _ANY_JSON.fullmatch(mime) else json.dumps(value)
        for mime, value in data.items()
    }


def _is_text(value: Any) -> bool:
    if isinstance(value, str):
        return True
    return isinstance(value, list) and all(isinstance(part, str) for part in value)
