"""Parsing Jupyter messages, also malformed ones."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jupyter_client.session import Session

from nbrun.kernel import protocol
from nbrun.kernel.messages import (
    Cleared,
    Displayed,
    DisplayUpdated,
    InputWanted,
    LongTextPrinted,
    Replied,
    TextPrinted,
    WidgetChanged,
)

SESSION = Session(key=b"one key")


def parts(content: Any, **header: Any) -> list[bytes]:
    """Return a signed multipart message after the topic that iopub puts before it."""
    frames = [
        json.dumps({"msg_type": "stream", "msg_id": "m1"} | header).encode(),
        json.dumps({"msg_id": "r1"}).encode(),
        b"{}",
        content if isinstance(content, bytes) else json.dumps(content).encode(),
    ]
    return [b"kernel.stream", b"<IDS|MSG>", SESSION.sign(frames), *frames]


# ── Unpacking ────────────────────────────────────────────────────────────────────────────────


def test_unpack_returns_type_parent_and_content() -> None:
    assert protocol.unpack(parts({"name": "stdout", "text": "é"}), SESSION.sign) == {
        "msg_type": "stream",
        "parent_header": {"msg_id": "r1"},
        "content": {"name": "stdout", "text": "é"},
    }


def test_unpack_reads_messages_of_jupyter_client() -> None:
    message = SESSION.msg("execute_reply", {"status": "ok"}, parent=SESSION.msg("execute_request"))
    found = protocol.unpack(SESSION.serialize(message), SESSION.sign)
    assert found["msg_type"] == "execute_reply"
    assert found["content"] == {"status": "ok"}
    assert protocol.parent(found) == message["parent_header"]["msg_id"]


def test_buffers_are_not_part_of_the_signature() -> None:
    assert protocol.unpack([*parts({"a": 1}), b"buffer"], SESSION.sign)["content"] == {"a": 1}


@pytest.mark.parametrize("buffer", [bytes, bytearray, memoryview])
def test_long_printed_text_becomes_a_lazy_text(buffer: Any) -> None:
    text = "é\n" * protocol.LONG
    long = parts({"name": "stderr", "text": text})
    long[-1] = buffer(long[-1])
    found = protocol.unpack(long, SESSION.sign)
    assert protocol.parent(found) == "r1"
    said = protocol.as_message("r1", found["msg_type"], found["content"])
    assert isinstance(said, LongTextPrinted)
    assert {(each.request, each.name) for each in said.pieces()} == {("r1", "stderr")}
    assert "".join(each.text for each in said.pieces()) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\ud800" + "x" * protocol.LONG, "\ud800" + "x" * protocol.LONG),
        (7, "7"),
    ],
    ids=["half a pair", "no text"],
)
def test_long_message_without_lazy_text_is_read_whole(text: Any, expected: str) -> None:
    content = {"name": "stdout", "text": text, "more": "x" * protocol.LONG}
    found = protocol.unpack(parts(content), SESSION.sign)
    said = protocol.as_message("r1", found["msg_type"], found["content"])
    assert said == TextPrinted(request="r1", name="stdout", text=expected)


def test_long_message_with_invalid_utf_8_is_read() -> None:
    content = b'{"name": "stdout", "text": "' + b"\xff" * (protocol.LONG + 1) + b'"}'
    found = protocol.unpack(parts(content), SESSION.sign)
    assert found["content"]["text"] == "\ufffd" * (protocol.LONG + 1)


@pytest.mark.parametrize("frame", [3, 4, 5, 6], ids=["header", "parent", "metadata", "content"])
def test_changed_message_is_refused(frame: int) -> None:
    changed = parts({"text": "rm -r /srv/old"})
    changed[frame] = changed[frame].replace(b"}", b" }")
    with pytest.raises(ValueError, match="wrong signature"):
        protocol.unpack(changed, SESSION.sign)


@pytest.mark.parametrize("signature", [b"", b"0" * 64, b"\xff"])
def test_message_with_another_signature_is_refused(signature: bytes) -> None:
    forged = parts({})
    forged[2] = signature
    with pytest.raises(ValueError, match="wrong signature"):
        protocol.unpack(forged, SESSION.sign)
    with pytest.raises(ValueError, match="wrong signature"):
        protocol.unpack(parts({}), Session(key=b"another key").sign)


@pytest.mark.parametrize("cut", range(7))
def test_truncated_message_is_refused(cut: int) -> None:
    with pytest.raises((ValueError, IndexError)):
        protocol.unpack(parts({})[:cut], SESSION.sign)


def test_nan_and_half_a_surrogate_pair_are_accepted() -> None:
    found = protocol.unpack(parts(b'{"a": NaN, "b": "\\ud83d"}'), SESSION.sign)["content"]
    assert found["a"] != found["a"]
    assert found["b"] == "\ud83d"


def test_invalid_utf_8_is_replaced() -> None:
    found = protocol.unpack(parts(b'{"a": "\xff"}'), SESSION.sign)["content"]
    assert found == {"a": "\ufffd"}


@pytest.mark.parametrize("content", [b"", b"{", b"not json"])
def test_content_that_is_not_json_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError):
        protocol.unpack(parts(content), SESSION.sign)


@pytest.mark.parametrize("header", [{}, {"parent_header": None}, {"parent_header": {}}])
def test_message_without_a_parent_has_no_request(header: dict[str, Any]) -> None:
    assert protocol.parent(header) == ""


# ── iopub ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("kind", "content", "expected"),
    [
        (
            "stream",
            {"name": "stderr", "text": "careful"},
            TextPrinted(request="r1", name="stderr", text="careful"),
        ),
        ("stream", {"name": "stdout"}, TextPrinted(request="r1", name="stdout", text="")),
        (
            "display_data",
            {"data": {"text/plain": "3"}, "metadata": {"a": 1}, "transient": {"display_id": "d1"}},
            Displayed(
                request="r1",
                output={
                    "output_type": "display_data",
                    "data": {"text/plain": "3"},
                    "metadata": {"a": 1},
                },
                display_id="d1",
            ),
        ),
        (
            "display_data",
            {"data": None, "transient": None},
            Displayed(
                request="r1", output={"output_type": "display_data", "data": {}, "metadata": {}}
            ),
        ),
        (
            "execute_result",
            {"data": {"text/plain": "3"}, "metadata": {}, "execution_count": 4},
            Displayed(
                request="r1",
                output={
                    "output_type": "execute_result",
                    "data": {"text/plain": "3"},
                    "metadata": {},
                    "execution_count": 4,
                },
            ),
        ),
        (
            "error",
            {"ename": "ValueError", "evalue": 3, "traceback": ["one", 2]},
            Displayed(
                request="r1",
                output={
                    "output_type": "error",
                    "ename": "ValueError",
                    "evalue": "3",
                    "traceback": ["one", "2"],
                },
            ),
        ),
        (
            "error",
            {},
            Displayed(
                request="r1",
                output={"output_type": "error", "ename": "", "evalue": "", "traceback": []},
            ),
        ),
        (
            "update_display_data",
            {"data": {"text/plain": "4"}, "transient": {"display_id": 7}},
            DisplayUpdated(request="r1", display_id="7", data={"text/plain": "4"}, metadata={}),
        ),
        ("update_display_data", {"data": {}, "transient": {}}, None),
        ("clear_output", {"wait": True}, Cleared(request="r1", wait=True)),
        ("clear_output", {}, Cleared(request="r1", wait=False)),
        ("execute_input", {"code": "1"}, None),
        ("comm_open", {"data": {}}, None),
        ("a kind of tomorrow", {}, None),
    ],
)
def test_iopub_message_becomes_data(kind: str, content: dict[str, Any], expected: Any) -> None:
    assert protocol.as_message("r1", kind, content) == expected


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
FIELDS = ("data", "metadata", "transient", "ename", "evalue", "wait", "execution_count")


@given(
    st.sampled_from(["display_data", "execute_result", "update_display_data", "clear_output"]),
    st.dictionaries(st.sampled_from(FIELDS), ANYTHING),
)
def test_content_of_wrong_types_raises_no_error(kind: str, content: dict[str, Any]) -> None:
    said = protocol.as_message("r1", kind, content)
    if isinstance(said, Displayed):
        assert isinstance(said.output["data"], dict)
        assert isinstance(said.output["metadata"], dict)


# ── Replies and input requests ────────────────────────────────────────────────────────────────────


def exits(told: object, request: str = "r1") -> dict[str, Any]:
    entry = {"source": "nbrun_shell_exits", "request": request, "exits": told}
    return {"status": "ok", "payload": [{"source": "page"}, entry]}


def nested(request: str) -> dict[str, Any]:
    entry = {"source": "nbrun_nested_error", "request": request, "ename": "KeyError"}
    return {"status": "ok", "payload": [entry | {"evalue": "'a'"}]}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            {"status": "ok", "execution_count": 3},
            Replied(request="r1", status="ok", execution_count=3),
        ),
        (
            {"status": "error", "ename": "ValueError", "evalue": "x"},
            Replied(request="r1", status="error", ename="ValueError", evalue="x"),
        ),
        ({}, Replied(request="r1", status="error")),
        ({"status": "aborted"}, Replied(request="r1", status="aborted")),
        (
            {"status": "ok", "payload": [{"source": "ask_exit", "keepkernel": False}]},
            Replied(request="r1", status="ok", exit_asked=True),
        ),
        (
            {"status": "ok", "payload": [None, {"source": "page"}]},
            Replied(request="r1", status="ok"),
        ),
        ({"status": "ok", "payload": None}, Replied(request="r1", status="ok")),
        (exits([0, 7]), Replied(request="r1", status="ok", shell_exits=(0, 7))),
        (nested("r1"), Replied(request="r1", status="ok", nested_error=("KeyError", "'a'"))),
        (nested("r0"), Replied(request="r1", status="ok")),
        (exits([]), Replied(request="r1", status="ok")),
        (exits([1], request="r0"), Replied(request="r1", status="ok")),
        (exits("not a list"), Replied(request="r1", status="ok")),
        (exits([None]), Replied(request="r1", status="ok")),
        (exits(None), Replied(request="r1", status="ok")),
    ],
)
def test_execute_reply_becomes_data(content: dict[str, Any], expected: Replied) -> None:
    assert protocol.replied("r1", content) == expected


def test_input_request_becomes_data() -> None:
    assert protocol.input_wanted("r1", {"prompt": "key: ", "password": True}) == InputWanted(
        request="r1", prompt="key: ", password=True
    )
    assert protocol.input_wanted("r1", {}) == InputWanted(request="r1", prompt="", password=False)


@pytest.mark.parametrize("kind", ["comm_open", "comm_msg"])
def test_progress_of_a_widget_message_becomes_data(kind: str) -> None:
    state = {"_model_name": "IntProgressModel", "value": 1, "layout": "IPY_MODEL_x", "max": 3}
    content = {"comm_id": "m", "data": {"state": state}}
    assert protocol.as_message("r1", kind, content) == WidgetChanged(
        request="r1",
        model="m",
        state={"_model_name": "IntProgressModel", "value": 1, "max": 3},
    )


@pytest.mark.parametrize(
    "data",
    [
        {"state": {"_model_name": "LayoutModel", "max": None}},
        {"state": {"width": "9px"}},
        {"state": 7},
        {},
        None,
    ],
)
def test_other_widget_messages_are_dropped(data: object) -> None:
    assert protocol.as_message("r1", "comm_msg", {"comm_id": "m", "data": data}) is None


# ── Frames of a gateway's websocket ──────────────────────────────────────────────────────────


def frame(content: str, kind: str = "display_data") -> bytes:
    header = f'{{"msg_type": "{kind}", "session": "of the kernel"}}'
    return (
        f'{{"channel": "iopub", "header": {header}, "parent_header": {{"msg_id": "r"}}, '
        f'"metadata": {{}}, "content": {content}, "buffers": []}}'
    ).encode()


def test_frame_is_a_message_with_its_channel_and_session() -> None:
    assert protocol.unpack_frame(frame('{"data": {"text/plain": "1"}}')) == {
        "channel": "iopub",
        "session": "of the kernel",
        "msg_type": "display_data",
        "parent_header": {"msg_id": "r"},
        "content": {"data": {"text/plain": "1"}},
    }


def test_frame_with_binary_buffers_is_read_without_them() -> None:
    body = frame('{"status": "ok"}')
    offsets = (2, 12, 12 + len(body))
    parts = b"".join(number.to_bytes(4, "big") for number in offsets) + body + b"buffer"
    assert protocol.unpack_frame(parts)["content"] == {"status": "ok"}


def test_frame_that_only_python_writes_is_read() -> None:
    content = protocol.unpack_frame(frame('{"data": {"x": NaN, "y": "\\ud800"}}'))["content"]
    assert repr(content["data"]["x"]) == "nan"
    assert content["data"]["y"] == "\ud800"


@pytest.mark.parametrize("levels", [300, 5000, 100_000])
def test_frame_that_is_nested_too_deeply_says_so(levels: int) -> None:
    deep = "[" * levels + "]" * levels
    message = protocol.unpack_frame(frame(f'{{"data": {{"text/plain": "]}}", "x": {deep}}}}}'))
    assert message["parent_header"] == {"msg_id": "r"}
    assert protocol.TOO_DEEP in str(message["content"])
