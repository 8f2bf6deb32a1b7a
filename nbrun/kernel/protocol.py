"""Jupyter's messages read as data, whatever liberties a kernel takes with them.

Source of the format: "Messaging in Jupyter", jupyter-client.readthedocs.io, protocol 5.4.
"""

import ast
import hmac
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from nbrun.kernel.lazy_text import LongText
from nbrun.kernel.messages import (
    Cleared,
    Displayed,
    DisplayUpdated,
    Idled,
    InputWanted,
    Message,
    Printed,
    PrintedMuch,
    Replied,
    WidgetChanged,
)

_DELIMITER = b"<IDS|MSG>"
LONG = 2**20  # bytes; printed text that is longer is not decoded here, but by who takes it


class _Stream(msgspec.Struct):
    """The content of a `stream` message, its text as it came."""

    name: str
    text: msgspec.Raw


_stream = msgspec.json.Decoder(_Stream)


def unpack(parts: Sequence[Any], sign: Callable[[list[Any]], bytes]) -> dict[str, Any]:
    """The header, parent header and content of one multipart message. Its parts are bytes, but for
    those that are LONG, which may be in any buffer: that is kept where printed text is in it, and
    the text is a LongText then.

    jupyter_client's own reading parses every date of a message and costs five times as much, which
    a cell with 50,000 outputs pays for. `sign` is the session's.

    Raises:
        ValueError: it is no message, or its signature is not this session's.
    """
    start = parts.index(_DELIMITER) + 1
    signature, frames = parts[start], list(parts[start + 1 : start + 5])
    if not hmac.compare_digest(sign(frames), signature):
        raise ValueError("a message with a wrong signature")
    header, parent_header, _, content = frames
    kind = _decode(header)["msg_type"]
    return {
        "msg_type": kind,
        "parent_header": _decode(parent_header),
        "content": _printed(content) if kind == "stream" else _decode(content),
    }


def _printed(frame: Any) -> Any:
    """The content of a `stream` message."""
    if len(frame) > LONG:
        with suppress(ValueError):  # as in `_decode`, which can read it whole
            found = _stream.decode(frame)
            return {"name": found.name, "text": LongText(memoryview(found.text))}
    return _decode(frame)


def _decode(frame: Any) -> Any:
    try:
        return msgspec.json.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError):
        # NaN, half a surrogate pair: what Python's own encoder lets out; or no UTF-8 at all
        return json.loads(bytes(frame).decode("utf-8", "replace"))


def parent(message: dict[str, Any]) -> str:
    """The request that a message answers; empty when it does not say."""
    return str((message.get("parent_header") or {}).get("msg_id", ""))


def as_message(request: str, kind: str, content: dict[str, Any]) -> Message | None:
    """An iopub message as data; None for kinds that show nothing."""
    match kind:
        case "stream":
            name, text = str(content["name"]), content.get("text", "")
            if isinstance(text, LongText):
                return PrintedMuch(request=request, name=name, text=text)
            return Printed(request=request, name=name, text=str(text))
        case "display_data" | "execute_result" | "error":
            return Displayed(
                request=request, output=_output(kind, content), display_id=_display_id(content)
            )
        case "update_display_data" if (display_id := _display_id(content)) is not None:
            return DisplayUpdated(
                request=request,
                display_id=display_id,
                data=_mapping(content.get("data")),
                metadata=_mapping(content.get("metadata")),
            )
        case "clear_output":
            return Cleared(request=request, wait=bool(content.get("wait", False)))
        case "comm_open" | "comm_msg":
            return _widget(request, content)
    return None


# Of the models of ipywidgets (github.com/jupyter-widgets/ipywidgets, "Jupyter widgets messages"):
# what bars and the words beside them show.
_SHOWN = frozenset({"_model_name", "value", "min", "max", "description", "children", "bar_style"})
_MODELS = frozenset(
    {"IntProgressModel", "FloatProgressModel", "HTMLModel", "LabelModel", "HBoxModel", "VBoxModel"}
)


def _widget(request: str, content: dict[str, Any]) -> WidgetChanged | None:
    """What a bar shows now; None for models, and changes, that show no progress."""
    state = _mapping(_mapping(content.get("data")).get("state"))
    model = state.get("_model_name")
    shown = {key: value for key, value in state.items() if key in _SHOWN}
    if not shown or (model is not None and model not in _MODELS):
        return None
    return WidgetChanged(request=request, model=str(content.get("comm_id", "")), state=shown)


def _output(kind: str, content: dict[str, Any]) -> dict[str, Any]:
    """An nbformat 4.5 output, whatever liberties the kernel took with the message."""
    if kind == "error":
        return {
            "output_type": "error",
            "ename": str(content.get("ename", "")),
            "evalue": str(content.get("evalue", "")),
            "traceback": [str(line) for line in content.get("traceback") or []],
        }
    output: dict[str, Any] = {
        "output_type": kind,
        "data": _mapping(content.get("data")),
        "metadata": _mapping(content.get("metadata")),
    }
    if kind == "execute_result":
        output["execution_count"] = content.get("execution_count")
    return output


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _display_id(content: dict[str, Any]) -> str | None:
    found = _mapping(content.get("transient")).get("display_id")
    return None if found is None else str(found)


def input_wanted(request: str, content: dict[str, Any]) -> InputWanted:
    """An input_request of the stdin channel."""
    return InputWanted(
        request=request,
        prompt=str(content.get("prompt", "")),
        password=bool(content.get("password", False)),
    )


def replied(request: str, content: dict[str, Any]) -> Replied:
    """An execute_reply of the shell channel."""
    payload = [entry for entry in content.get("payload") or [] if isinstance(entry, dict)]
    return Replied(
        request=request,
        status=str(content.get("status", "error")),
        execution_count=content.get("execution_count"),
        ename=_optional(content.get("ename")),
        evalue=_optional(content.get("evalue")),
        shell_exits=_shell_exits(request, payload),
        exit_asked=any(entry.get("source") == "ask_exit" for entry in payload),
    )


def idled(generation: int, content: dict[str, Any]) -> Idled:
    """What a kernel that was adopted answers to the first request (see `prelude.py`)."""
    found = _mapping(_mapping(content.get("user_expressions")).get("ended"))
    if found.get("status") != "ok":
        return Idled(generation=generation)
    try:
        ended, error = ast.literal_eval(found["data"]["text/plain"])
        return Idled(generation=generation, ended=int(ended), error=_optional(error))
    except (KeyError, TypeError, ValueError, SyntaxError):
        return Idled(generation=generation)


def _optional(value: Any) -> str | None:
    return None if value is None else str(value)


def _shell_exits(request: str, payload: list[dict[str, Any]]) -> tuple[int, ...]:
    """What `prelude.py` put beside the reply to this request; nothing where that can't be read."""
    for entry in payload:
        if entry.get("source") == "nbrun_shell_exits" and entry.get("request") == request:
            with suppress(TypeError, ValueError):
                return tuple(int(code) for code in entry.get("exits", ()))
    return ()
