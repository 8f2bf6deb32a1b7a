"""Completing a reply: questions to the kernel, and output that it has queued."""

from collections.abc import Callable
from typing import Any

import pytest

from nbrun.kernel.kinds import completion
from nbrun.kernel.kinds.completion import ReplyCompletion
from nbrun.kernel.kinds.kind import Content, Interview, KernelKind, ShellLostError


class Rig:
    """A completion whose questions are answered by the test."""

    def __init__(self, kind: KernelKind) -> None:
        self.asked: list[str] = []
        self.replies: list[Callable[[Content], None]] = []
        self.delivered: list[tuple[str, Content]] = []
        self.lost: list[str] = []
        self.shown: list[tuple[str, Content]] = []
        self.completion = ReplyCompletion(
            lambda: kind, self.ask, lambda *done: self.delivered.append(done), self.lost.append
        )

    def ask(self, source: str, *, on_reply: Callable[[Content], None]) -> str:
        self.asked.append(source)
        self.replies.append(on_reply)
        return f"asked-{len(self.asked)}"

    def printed(self, text: str) -> None:
        assert self.completion.is_queued("asked-1", "stream")
        self.completion.receive_queued(
            "stream",
            {"name": "stdout", "text": text},
            lambda request, content: self.shown.append((request, content["text"])),
        )


def twice(content: Content) -> Interview:
    first = yield "one"
    second = yield "two"
    return {**content, "answers": [first["n"], second["n"]]}


def test_reply_is_delivered_after_the_answers() -> None:
    rig = Rig(KernelKind(complete=twice))
    rig.completion.begin("r1", {"status": "ok"})
    assert (rig.asked, rig.completion.request) == (["one"], "r1")
    rig.replies[0]({"n": 1})
    assert rig.delivered == []
    rig.replies[1]({"n": 2})
    assert rig.delivered == [("r1", {"status": "ok", "answers": [1, 2]})]
    assert rig.completion.request is None


def test_lost_shell_is_reported_in_place_of_a_reply() -> None:
    def gone(_content: Content) -> Interview:
        yield "there?"
        raise ShellLostError("it is gone")

    rig = Rig(KernelKind(complete=gone))
    rig.completion.begin("r1", {"status": "ok"})
    rig.replies[0]({})
    assert (rig.lost, rig.delivered) == (["it is gone"], [])


@pytest.fixture
def marked(monkeypatch: pytest.MonkeyPatch) -> Rig:
    monkeypatch.setattr(completion.secrets, "token_hex", lambda _size: "token")
    rig = Rig(KernelKind(mark=lambda token: f"print {token}"))
    rig.completion.begin("r1", {"status": "ok"})
    return rig


def test_output_up_to_the_token_is_the_cells_own(marked: Rig) -> None:
    assert marked.asked == ["print nbrun-token"]
    marked.printed("late 1\n")
    marked.replies[0]({"status": "ok"})  # which the kernel sends before what it has queued
    assert marked.delivered == []
    marked.printed("late 2\nnbrun-token\n")
    assert marked.shown == [("r1", "late 1\n"), ("r1", "late 2\n")]
    assert marked.delivered == [("r1", {"status": "ok"})]
    assert not marked.completion.is_queued("asked-1", "stream")


def test_token_that_never_comes_does_not_hold_the_reply(
    marked: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    marked.completion.give_up_mark()
    assert marked.delivered == []
    monkeypatch.setattr(completion, "_MARK_TIMEOUT", -1.0)
    marked.completion.give_up_mark()
    assert marked.delivered == [("r1", {"status": "ok"})]


def test_echo_of_the_mark_itself_is_not_shown(marked: Rig) -> None:
    assert not marked.completion.is_queued("asked-1", "execute_input")
    assert not marked.completion.is_queued("r1", "stream")


def test_display_queued_behind_a_cell_is_the_cells_own(marked: Rig) -> None:
    shown: list[Any] = []
    marked.completion.receive_queued("display_data", {"data": {}}, lambda *what: shown.append(what))
    assert shown == [("r1", {"data": {}})]
