"""The outputs that `Output` widgets of ipywidgets captured in place of a cell."""

import json
from array import array
from typing import Any

from nbrun.core import events as ev
from nbrun.system.spool import Spool
from nbrun.views.render.nbformat_text import valid_data


class CapturedOutputs:
    """Fold captured outputs into one nbformat list for each model. A temporary file holds them."""

    def __init__(self) -> None:
        self._spool = Spool()
        self._numbers: dict[str, array[int]] = {}
        self._displays: dict[str, list[int]] = {}
        self._clear_next: set[str] = set()

    def add(self, event: ev.Output) -> None:
        """Take an output that `event.widget` captured."""
        model, output = event.widget, event.output
        if model in self._clear_next:
            self.clear(model, wait=False)
        if isinstance(output.get("data"), dict):
            output = {**output, "data": valid_data(output["data"])}
            self.update(event.display_id, output["data"], output.get("metadata") or {})
        number = self._spool.add(_encode(output))
        self._numbers.setdefault(model, array("q")).append(number)
        if event.display_id is not None:
            self._displays.setdefault(event.display_id, []).append(number)

    def clear(self, model: str, *, wait: bool) -> None:
        """Clear what a model holds: now, or when its next output comes if `wait` is True."""
        if wait:
            self._clear_next.add(model)
        else:
            self._clear_next.discard(model)
            self._numbers.pop(model, None)

    def update(self, display_id: str | None, data: Any, metadata: Any) -> bool:
        """Let the captured outputs with this display id show a new bundle; False if none has it."""
        numbers = self._displays.get(display_id, []) if display_id is not None else []
        for number in numbers:
            shown = json.loads(self._spool[number])
            shown |= {"data": valid_data(data), "metadata": metadata}
            self._spool.replace(number, _encode(shown))
        return bool(numbers)

    def of(self, model: str) -> list[dict[str, Any]]:
        """Return what a model holds. The text of a stream is a list of its chunks."""
        found: list[dict[str, Any]] = []
        for number in self._numbers.get(model, ()):
            append_joined(found, json.loads(self._spool[number]))
        return found


def append_joined(outputs: list[dict[str, Any]], output: dict[str, Any]) -> None:
    """Append `output`, or join it to the last of `outputs` if both are the same stream."""
    if output.get("output_type") != "stream":
        outputs.append(output)
        return
    text = output.get("text", "")
    chunks = text if isinstance(text, list) else [text]
    last = outputs[-1] if outputs else {}
    if last.get("output_type") == "stream" and last.get("name") == output.get("name"):
        last["text"].extend(chunks)
    else:
        outputs.append({**output, "text": list(chunks)})


def _encode(output: dict[str, Any]) -> bytes:
    return json.dumps(
        output
    ).encode()  # not msgspec: a kernel's text may hold half a surrogate pair
