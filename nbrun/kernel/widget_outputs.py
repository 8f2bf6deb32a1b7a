"""Attribution of a kernel's output to the `Output` widgets of ipywidgets that capture it.

The protocol is that of ipywidgets 7 and 8 ("Jupyter widgets messages", and `output.ts` of its
JupyterLab manager): while the `msg_id` of an `Output` model names a request, whatever is printed,
displayed or cleared for that request belongs to the model and not to the cell. Of several such
models, the one whose `msg_id` was set last captures. A front end keeps what a model holds; the
kernel's own `outputs` has only what the kernel itself put there (`append_stdout`).
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgspec

from nbrun.kernel import protocol
from nbrun.kernel.messages import (
    Cleared,
    Displayed,
    LongTextPrinted,
    Message,
    TextPrinted,
    WidgetChanged,
)

OUTPUT_MODEL = "OutputModel"

_Capturable = TextPrinted | LongTextPrinted | Displayed | Cleared


class WidgetOutputs:
    """Converts iopub messages to data and names the widget that captures each of them."""

    def __init__(self) -> None:
        self._shown: set[str] = set()  # models that were reported and are not closed
        self._outputs: dict[str, list[Any]] = {}  # of each `Output` model: the kernel's `outputs`
        self._msg_ids: dict[str, str] = {}  # of each `Output` model that captures
        self._capturing: dict[str, list[str]] = {}  # by `msg_id`: its models, the newest last

    def messages(self, request: str, kind: str, content: dict[str, Any]) -> list[Message]:
        """Return what an iopub message says, in order; nothing if it shows nothing."""
        if kind in ("comm_open", "comm_msg", "comm_close"):
            return list(self._comm(request, kind, content))
        said = protocol.as_message(request, kind, content)
        if said is None:
            return []
        capturing = self._capturing.get(request)
        if capturing and isinstance(said, _Capturable):
            return [msgspec.structs.replace(said, widget=capturing[-1])]
        return [said]

    def _comm(self, request: str, kind: str, content: dict[str, Any]) -> Iterator[Message]:
        model = str(content.get("comm_id", ""))
        if kind == "comm_close":
            yield from self._close(request, model)
            return
        changed = protocol.as_message(request, kind, content)
        if isinstance(changed, WidgetChanged):
            if "_model_name" in changed.state:
                self._shown.add(model)
            yield changed
        state = protocol.widget_state(content)
        if state.get("_model_name") == OUTPUT_MODEL:
            self._outputs[model] = []
        if model in self._outputs:
            if "msg_id" in state:
                self._capture(model, str(state["msg_id"] or ""))
            if isinstance(state.get("outputs"), list):
                yield from self._set_outputs(request, model, state["outputs"])

    def _capture(self, model: str, msg_id: str) -> None:
        """Let `model` capture the output of the request `msg_id`, and of no other."""
        before = self._msg_ids.pop(model, "")
        if before:
            self._capturing[before].remove(model)
            if not self._capturing[before]:
                del self._capturing[before]
        if msg_id:
            self._msg_ids[model] = msg_id
            self._capturing.setdefault(msg_id, []).append(model)

    def _set_outputs(self, request: str, model: str, outputs: list[Any]) -> Iterator[Message]:
        """Report what the kernel itself put into the model: what is new, or all if it replaced."""
        before, self._outputs[model] = self._outputs[model], outputs
        kept = len(before) if outputs[: len(before)] == before else 0
        if kept < len(before):
            yield Cleared(request=request, wait=False, widget=model)
        for output in outputs[kept:]:
            with suppress(AttributeError, KeyError, TypeError):  # it is not an output
                said = protocol.as_message(request, output["output_type"], output)
                if isinstance(said, _Capturable):
                    yield msgspec.structs.replace(said, widget=model)

    def _close(self, request: str, model: str) -> Iterator[Message]:
        self._capture(model, "")
        self._outputs.pop(model, None)
        if model in self._shown:
            self._shown.discard(model)
            yield WidgetChanged(request=request, model=model, state={}, closed=True)
