"""The outputs of attempts as a notebook shows them: updated, cleared, captured, joined in place."""

from typing import Any

from nbrun.core import events as ev
from nbrun.views.export.display_state import DisplayState
from nbrun.views.render.captured_outputs import append_joined
from nbrun.views.render.nbformat_text import valid_data
from nbrun.views.render.widgets import model_id_of

_NO_OUTPUT: dict[str, Any] = {"output_type": ""}


class AttemptOutputs:
    """Fold the output events of one attempt into `shown`, an nbformat list of outputs.

    Some entries are not final until the run's last event (see `finished`): those at the positions
    in `displays`, each with its display id, views of widgets, if `has_views`, and the placeholders
    at the positions in `captures`, by the widget model that captured output there.
    `stream_characters`: how many characters of streams were added.
    """

    def __init__(
        self,
        shown: list[dict[str, Any]] | None = None,
        displays: list[tuple[int, str]] | None = None,
        captures: dict[str, int] | None = None,
        *,
        has_views: bool = False,
        clear_next: bool = False,
    ) -> None:
        self.shown = [] if shown is None else shown
        self.displays = displays or []
        self.captures = captures or {}
        self.has_views = has_views
        self.clear_next = clear_next
        self.stream_characters = 0

    @property
    def is_final(self) -> bool:
        """Return True if no later event of another attempt changes `shown`."""
        return not (self.displays or self.captures or self.has_views)

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
            self.has_views = self.has_views or model_id_of(output) is not None
        if display_id is not None:
            self.displays.append((len(self.shown), display_id))
        self.shown.append(output)
        return output

    def capture(self, model: str) -> None:
        """Note that the widget `model` captured output here. What no view shows is shown here."""
        if model not in self.captures:
            self.captures[model] = len(self.shown)
            self.shown.append(_NO_OUTPUT)

    def clear(self, *, wait: bool) -> None:
        """Clear the outputs: now, or when the next output comes if `wait` is True."""
        if wait:
            self.clear_next = True
        else:
            self._clear()

    def finished(self, displays: DisplayState) -> list[dict[str, Any]]:
        """Return the outputs after the run's last event, with the newest state of `displays`."""
        if self.is_final:
            return self.shown
        shown = list(self.shown)
        for position, display_id in self.displays:
            data, metadata = displays.bundles[display_id]
            shown[position] = {**shown[position], "data": data, "metadata": metadata}
        models = {position: model for model, position in self.captures.items()}
        found: list[dict[str, Any]] = []
        for position, output in enumerate(shown):
            model = models.get(position)
            for part in displays.shown(output) if model is None else displays.captured(model):
                append_joined(found, part)
        return found

    def _clear(self) -> None:
        self.stream_characters = 0
        self.shown.clear()
        self.displays.clear()
        self.captures.clear()
        self.has_views = False


class Outputs:
    """Fold all output events of a run, late ones too, into one nbformat list an attempt."""

    def __init__(self) -> None:
        self._attempts: dict[tuple[str, int], AttemptOutputs] = {}
        self._displays = DisplayState()

    def of(self, step: str, attempt: int) -> list[dict[str, Any]]:
        """Return the outputs of an attempt as they are now."""
        return self._attempt(step, attempt).finished(self._displays)

    def _attempt(self, step: str, attempt: int) -> AttemptOutputs:
        return self._attempts.setdefault((step, attempt), AttemptOutputs())

    def take(
        self, event: ev.Output | ev.OutputUpdated | ev.OutputCleared | ev.WidgetsChanged
    ) -> None:
        """Apply an output event."""
        match event:
            case ev.Output(widget=""):
                self._displays.add(event, self._attempt(event.step, event.attempt).add(event))
            case ev.Output():
                self._attempt(event.step, event.attempt).capture(event.widget)
                self._displays.add(event, valid_output(event.output))
            case ev.OutputCleared(widget="", wait=wait):
                self._attempt(event.step, event.attempt).clear(wait=wait)
            case _:
                self._displays.change(event)


def valid_output(output: dict[str, Any]) -> dict[str, Any]:
    """Return an output with its data as nbformat allows it."""
    return {**output, "data": valid_data(output["data"])} if "data" in output else output
