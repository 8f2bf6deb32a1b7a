"""Parse Jupyter messages into data, also from kernels that do not follow the protocol closely.

Source of the format: "Messaging in Jupyter", jupyter-client.readthedocs.io, protocol 5.4.
"""

import ast
import hmac
import json
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from nbrun.kernel.lazy_text import LazyText
from nbrun.kernel.messages import (
    Cleared,
    Displayed,
    DisplayUpdated,
    Idled,
    InputWanted,
    KernelInfo,
    LongTextPrinted,
    Message,
    Replied,
    TextPrinted,
    WidgetChanged,
)

_DELIMITER = b"<IDS|MSG>"
LONG = 2**20  # bytes; longer printed text is decoded by its receiver, piece by piece
# Levels of lists and objects in a message. Python's stack has a thousand frames, and what follows a
# message through redaction, record and views needs some for each level.
DEEPEST = 200
TOO_DEEP = f"(not kept: it is nested more than {DEEPEST} levels deep)"


class _Stream(msgspec.Struct):
    """The content of a `stream` message, with the text not decoded."""

    name: str
    text: msgspec.Raw


_stream = msgspec.json.Decoder(_Stream)


def unpack(parts: Sequence[Any], sign: Callable[[list[Any]], bytes]) -> dict[str, Any]:
    """Return the type, parent header and content of one multipart message.

    Each part is bytes; parts longer than LONG may be any buffer. The text of a long `stream`
    message becomes a LazyText, which keeps that buffer. `sign` is the session's method.

    jupyter_client's own parser takes five times as long, since it parses every date of a message:
    too long for a cell with 50,000 outputs.

    Raises:
        ValueError: the parts are not a message, or the signature is not this session's.
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
        "content": _printed(content) if kind == "stream" else _content(content),
    }


class _Envelope(msgspec.Struct):
    """A message on a gateway's websocket, with the content not decoded."""

    channel: str
    header: dict[str, Any]
    content: msgspec.Raw
    parent_header: dict[str, Any] | None = None


_envelope = msgspec.json.Decoder(_Envelope)


def unpack_frame(frame: bytes) -> dict[str, Any]:
    """Return channel, session, type, parent header and content of one frame of a websocket.

    Source of the format: "Default WebSocket protocol", jupyter-server.readthedocs.io. A frame with
    binary buffers, which nbrun does not need, begins with their number and offsets.

    Raises:
        ValueError: the frame is not a message.
    """
    text = memoryview(frame)
    if frame[:1] != b"{":
        start, end = (int.from_bytes(frame[at : at + 4], "big") for at in (4, 8))
        text = text[start:end]
    try:
        envelope = _envelope.decode(text)
        header, parent_header = envelope.header, envelope.parent_header
        content = envelope.content
    except (msgspec.DecodeError, RecursionError):  # what only Python's JSON encoder writes
        loose = _loose(bytes(text).decode("utf-8", "replace"))
        header, parent_header = loose["header"], loose.get("parent_header")
        envelope = _Envelope(channel=loose["channel"], header=header, content=msgspec.Raw())
        content = msgspec.Raw(json.dumps(loose["content"]).encode())
    kind = str(header.get("msg_type", ""))
    raw = memoryview(content)
    return {
        "channel": envelope.channel,
        "session": str(header.get("session", "")),
        "msg_type": kind,
        "parent_header": parent_header,
        "content": _printed(raw) if kind == "stream" else _content(raw),
    }


def _loose(text: str) -> dict[str, Any]:
    """Return a message that only Python's JSON decoder takes, or that is nested too deeply."""
    try:
        message: dict[str, Any] = json.loads(text)
    except RecursionError:
        message = json.loads(_without_content(text))
        message["content"] = {"data": {"text/plain": TOO_DEEP}, "evalue": TOO_DEEP}
    return message


_CONTENT = re.compile(r'"content":\s*(?=\{)')
_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]')


def _without_content(text: str) -> str:
    """Return a message as JSON, with null for its content."""
    begin = _CONTENT.search(text)
    depth = 0
    for token in _BRACKET.finditer(text, begin.end() if begin else 0):
        depth += (token[0] in "[{") - (token[0] in "]}")
        if begin and depth == 0:
            return f"{text[: begin.end()]}null{text[token.end() :]}"
    raise ValueError("a message without an end")


def _printed(frame: Any) -> Any:
    """Return the content of a `stream` message."""
    if len(frame) > LONG:
        with suppress(ValueError, RecursionError):  # not valid UTF-8 or JSON: `_content` takes more
            content = _stream.decode(frame)
            return {"name": content.name, "text": LazyText(memoryview(content.text))}
    return _content(frame)


def _content(frame: Any) -> Any:
    """Return the content of any other message. What is nested too deeply becomes a text."""
    try:
        content = _decode(frame)
    except RecursionError:
        return {"data": {"text/plain": TOO_DEEP}, "evalue": TOO_DEEP}  # of an output, or a reply
    text = bytes(frame)
    may_be = text.count(b"[") + text.count(b"{") > DEEPEST
    return _cut(content, DEEPEST) if may_be and _is_too_deep(content) else content


def _is_too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        below = (each.values() if isinstance(each, dict) else each for each in level)
        level = [item for items in below for item in items if isinstance(item, dict | list)]
        if not level:
            return False
    return True


def _cut(value: Any, levels: int) -> Any:
    match value:
        case dict() | list() if levels == 0:
            return TOO_DEEP
        case dict():
            return {key: _cut(item, levels - 1) for key, item in value.items()}
        case list():
            return [_cut(item, levels - 1) for item in value]
    return value


def _decode(frame: Any) -> Any:
    try:
        return msgspec.json.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError):
        # Not UTF-8, or what only Python's JSON encoder writes: NaN, half a surrogate pair.
        return json.loads(bytes(frame).decode("utf-8", "replace"))


def parent(message: dict[str, Any]) -> str:
    """Return the id of the request that a message answers, or an empty text."""
    return str((message.get("parent_header") or {}).get("msg_id", ""))


def as_message(request: str, kind: str, content: dict[str, Any]) -> Message | None:
    """Return an iopub message as data, or None for types that show nothing."""
    match kind:
        case "stream":
            name, text = str(content["name"]), content.get("text", "")
            if isinstance(text, LazyText):
                return LongTextPrinted(request=request, name=name, text=text)
            return TextPrinted(request=request, name=name, text=str(text))
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


# The models and keys of ipywidgets that progress bars, their labels and boxes show
# (github.com/jupyter-widgets/ipywidgets, "Jupyter widgets messages").
_SHOWN = frozenset({"_model_name", "value", "min", "max", "description", "children", "bar_style"})
_MODELS = frozenset(
    {"IntProgressModel", "FloatProgressModel", "HTMLModel", "LabelModel", "OutputModel"}
)


def _widget(request: str, content: dict[str, Any]) -> WidgetChanged | None:
    """Return the change of a bar, a label, a box or an `Output`; None for other models."""
    state = widget_state(content)
    model = state.get("_model_name")
    shown = {key: value for key, value in state.items() if key in _SHOWN}
    if not shown or not (model is None or model in _MODELS or "children" in state):
        return None
    return WidgetChanged(request=request, model=str(content.get("comm_id", "")), state=shown)


def widget_state(content: dict[str, Any]) -> dict[str, Any]:
    """Return the state in a comm message: all of it when a model opens, else what changed."""
    return _mapping(_mapping(content.get("data")).get("state"))


def _output(kind: str, content: dict[str, Any]) -> dict[str, Any]:
    """Return an nbformat 4.5 output. Missing keys of the message become empty values."""
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
        output["execution_count"] = _count(content)
    return output


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _display_id(content: dict[str, Any]) -> str | None:
    found = _mapping(content.get("transient")).get("display_id")
    return None if found is None else str(found)


def input_wanted(request: str, content: dict[str, Any]) -> InputWanted:
    """Return an input_request of the stdin channel as data."""
    return InputWanted(
        request=request,
        prompt=str(content.get("prompt", "")),
        password=bool(content.get("password", False)),
    )


def replied(request: str, content: dict[str, Any]) -> Replied:
    """Return an execute_reply of the shell channel as data."""
    payload = [entry for entry in content.get("payload") or [] if isinstance(entry, dict)]
    return Replied(
        request=request,
        status=str(content.get("status", "error")),
        execution_count=_count(content),
        ename=_optional(content.get("ename")),
        evalue=_optional(content.get("evalue")),
        shell_exits=_shell_exits(request, payload),
        shell_failure=_shell_failure(payload),
        nested_error=_nested_error(request, payload),
        exit_asked=any(entry.get("source") == "ask_exit" for entry in payload),
    )


def idled(generation: int, content: dict[str, Any]) -> Idled:
    """Return the reply of an adopted kernel to the first request (see `ipython_prelude`)."""
    found = _mapping(_mapping(content.get("user_expressions")).get("ended"))
    if found.get("status") != "ok":
        return Idled(generation=generation)
    try:
        ended, error = ast.literal_eval(found["data"]["text/plain"])
        return Idled(generation=generation, ended=int(ended), error=_optional(error))
    except (KeyError, TypeError, ValueError, SyntaxError):
        return Idled(generation=generation)


def kernel_info(content: dict[str, Any], name: str, generation: int) -> KernelInfo:
    """Return a kernel_info_reply as data. `name` is the kernelspec's."""
    language = _mapping(content.get("language_info"))
    return KernelInfo(
        generation=generation,
        kernelspec=name,
        language=str(language.get("name", "")),
        language_info=language,
        implementation=str(content.get("implementation", "")),
    )


def left_in_background(content: dict[str, Any]) -> list[tuple[str, str]]:
    """Return kind and name of each thread and task that did not end (see `ipython_background`)."""
    found = _mapping(_mapping(content.get("user_expressions")).get("left"))
    try:
        left = ast.literal_eval(found["data"]["text/plain"])
        return [(str(kind), str(name)) for kind, name in left]
    except (KeyError, TypeError, ValueError, SyntaxError):
        return []


def _count(content: dict[str, Any]) -> int | None:
    """Return the number of the execution; None if it is none, which no record could hold."""
    count = content.get("execution_count")
    return count if type(count) is int and 0 <= count < 2**63 else None


def _optional(value: Any) -> str | None:
    return None if value is None else str(value)


def _shell_exits(request: str, payload: list[dict[str, Any]]) -> tuple[int, ...]:
    """Return the exit codes that a prelude or an interview added; none if malformed."""
    for entry in payload:
        if _is_report(entry, "nbrun_shell_exits", request):
            with suppress(TypeError, ValueError):
                return tuple(int(code) for code in entry.get("exits", ()))
    return ()


def _shell_failure(payload: list[dict[str, Any]]) -> str:
    found = (entry.get("described") for entry in payload if "described" in entry)
    return str(next(found, ""))


def _is_report(entry: dict[str, Any], source: str, request: str) -> bool:
    """Return True for a report of nbrun's. One that names its request must name this one."""
    return entry.get("source") == source and entry.get("request", request) == request


def _nested_error(request: str, payload: list[dict[str, Any]]) -> tuple[str, str] | None:
    """Return name and text of the error that `ipython_failures.py` reported, if any."""
    for entry in payload:
        if _is_report(entry, "nbrun_nested_error", request):
            return str(entry.get("ename", "")), str(entry.get("evalue", ""))
    return None
