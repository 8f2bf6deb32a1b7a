"""The conversation with a kernel: replies and `idle` that a kernel drops."""

from collections.abc import Callable
from typing import Any

import pytest
from jupyter_client.session import Session

from nbrun.kernel import conversation
from nbrun.kernel.conversation import Conversation
from nbrun.kernel.messages import Message, Replied


class Scripted(Conversation):
    """A conversation whose kernel is the test."""

    def __init__(self) -> None:
        self.received: list[Message] = []
        self.sent: list[dict[str, Any]] = []
        super().__init__(Session(), self.received.append)

    def _encoded(self, channel: str, message: dict[str, Any]) -> Callable[[], None]:
        return lambda: self.sent.append({"channel": channel, **message})

    def says(self, request: str, kind: str, **content: Any) -> None:
        message = {"parent_header": {"msg_id": request}, "msg_type": kind, "content": content}
        (self._on_shell if kind.endswith("_reply") else self._on_iopub)(message)

    def idle(self, request: str) -> None:
        self.says(request, "status", execution_state="idle")

    def looks_again(self) -> None:
        self._notice_missing_reply()
        self._notice_missing_idle()

    @property
    def replies(self) -> list[tuple[str, str | None]]:
        return [(each.status, each.ename) for each in self.received if isinstance(each, Replied)]


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for nothing."""
    monkeypatch.setattr(conversation, "_IDLE_TIMEOUT", -1.0)
    monkeypatch.setattr(conversation, "_REPLY_TIMEOUT", -1.0)


@pytest.mark.usefixtures("hasty")
def test_kernel_that_is_idle_without_a_reply_is_asked_and_the_cell_fails() -> None:
    kernel = Scripted()
    request = kernel.execute("if true", allow_stdin=False)
    kernel.looks_again()
    assert len(kernel.sent) == 1  # the cell runs
    kernel.idle(request)
    kernel.looks_again()
    asked = kernel.sent[-1]["header"]["msg_id"]
    assert (len(kernel.sent), kernel.replies) == (2, [])
    kernel.says(asked, "execute_reply", status="ok")
    kernel.idle(asked)
    assert kernel.replies == [("error", "NoReply")]


@pytest.mark.usefixtures("hasty")
def test_reply_that_comes_after_idle_is_not_lost() -> None:
    kernel = Scripted()
    request = kernel.execute("1", allow_stdin=False)
    kernel.idle(request)
    kernel.looks_again()
    kernel.says(request, "execute_reply", status="ok")
    asked = kernel.sent[-1]["header"]["msg_id"]
    kernel.says(asked, "execute_reply", status="ok")
    kernel.idle(asked)
    assert kernel.replies == [("ok", None)]


@pytest.mark.usefixtures("hasty")
def test_reply_is_delivered_though_its_idle_was_dropped() -> None:
    kernel = Scripted()
    request = kernel.execute("1", allow_stdin=False)
    kernel.says(request, "execute_reply", status="ok")
    assert kernel.replies == []
    kernel.looks_again()
    kernel.looks_again()
    assert kernel.replies == [("ok", None)]


def test_reply_waits_for_idle_while_the_kernel_still_sends() -> None:
    kernel = Scripted()
    request = kernel.execute("1", allow_stdin=False)
    kernel.says(request, "execute_reply", status="ok")
    kernel.looks_again()
    assert kernel.replies == []
    kernel.idle(request)
    assert kernel.replies == [("ok", None)]
