"""The cap on output: the beginning is kept, the rest counted and hashed, and it is said."""

import hashlib
from typing import Any
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbrun.kernel import lazy_text, output_limit
from nbrun.kernel.lazy_text import LazyText
from nbrun.kernel.messages import (
    Capped,
    Cleared,
    Died,
    Displayed,
    DisplayUpdated,
    InputWanted,
    LongTextPrinted,
    Message,
    Replied,
    TextPrinted,
    WidgetChanged,
)
from nbrun.kernel.output_limit import PER_OUTPUT, OutputLimiter
from tests.support.build_events import display


def printed(text: str, request: str = "r1") -> TextPrinted:
    return TextPrinted(request=request, name="stdout", text=text)


def shown(text: str, request: str = "r1") -> Displayed:
    return Displayed(request=request, output=display(text_plain=text))


def moved(value: int) -> WidgetChanged:
    return WidgetChanged(request="r1", model="m1", state={"value": value})


def replied(request: str = "r1") -> Replied:
    return Replied(request=request, status="ok")


class Sunk:
    def __init__(self, limit: int) -> None:
        self.messages: list[Message] = []
        self.limiter = OutputLimiter(self.messages.append)
        self.limiter.limit = limit

    def hear(self, *messages: Message) -> "Sunk":
        for message in messages:
            self.limiter(message)
        return self

    @property
    def text(self) -> str:
        return "".join(each.text for each in self.messages if isinstance(each, TextPrinted))

    @property
    def told(self) -> list[Capped]:
        return [each for each in self.messages if isinstance(each, Capped)]


@given(st.lists(st.text(max_size=300), max_size=12), st.integers(PER_OUTPUT + 1, 3000))
def test_what_is_kept_and_what_is_let_go_are_together_all_that_came(
    texts: list[str], limit: int
) -> None:
    sunk = Sunk(limit).hear(*map(printed, texts), replied())
    whole = "".join(texts)
    assert whole.startswith(sunk.text)
    rest = whole[len(sunk.text) :].encode()
    assert len(sunk.text.encode()) <= limit
    assert isinstance(sunk.messages[-1], Replied)
    if not sunk.told:
        assert rest == b""
        return
    last = sunk.told[-1]
    assert (last.bytes, last.sha256) == (len(rest), hashlib.sha256(rest).hexdigest())
    assert last.limit == limit


def test_within_the_limit_everything_passes_as_it_is() -> None:
    messages = [printed("a"), shown("b"), Cleared(request="r1", wait=True), replied()]
    assert Sunk(10_000).hear(*messages).messages == messages
    assert Sunk(0).hear(printed("x" * 100_000), replied()).text == "x" * 100_000


def test_it_is_said_when_it_begins_and_when_the_attempt_has_ended() -> None:
    sunk = Sunk(1000)
    sunk.hear(printed("x" * 2000))
    assert [each.outputs for each in sunk.told] == [1]
    sunk.hear(printed("y"), printed("z"))
    assert len(sunk.told) == 1
    sunk.hear(replied())
    assert [(each.outputs, each.bytes) for each in sunk.told] == [(1, 1256), (3, 1258)]
    assert sunk.messages[-2:] == [sunk.told[-1], replied()]


def test_what_comes_late_or_from_a_kernel_that_dies_is_said_too() -> None:
    sunk = Sunk(1000).hear(printed("x" * 2000), replied(), printed("late"))
    sunk.limiter.report_all_dropped()
    assert [each.outputs for each in sunk.told] == [1, 2]
    sunk.limiter.report_all_dropped()
    assert len(sunk.told) == 2
    dead = Sunk(1000).hear(printed("x" * 2000), printed("more"), Died(generation=1, why=""))
    assert [each.outputs for each in dead.told] == [1, 2]
    assert isinstance(dead.messages[-1], Died)


def test_once_something_was_let_go_nothing_after_it_is_kept() -> None:
    sunk = Sunk(1000).hear(shown("x" * 2000), printed("small"), shown("small"))
    assert [type(each) for each in sunk.messages] == [Capped]


def test_every_kind_of_output_counts() -> None:
    update = DisplayUpdated(request="r1", display_id="d", data={"text/plain": "9"}, metadata={})
    for message in (printed("x"), shown("x"), update, Cleared(request="r1", wait=False)):
        sunk = Sunk(PER_OUTPUT * 5).hear(*[message] * 50)
        assert 2 <= len(sunk.messages) - len(sunk.told) <= 5, message
        assert sunk.told


def test_another_attempt_has_a_limit_of_its_own_and_questions_always_pass() -> None:
    asked = InputWanted(request="r1", prompt="?", password=False)
    sunk = Sunk(1000).hear(printed("x" * 2000), asked)
    sunk.limiter.start_request(continues=False)
    sunk.hear(printed("other", "r2"), printed("late", "r1"))
    assert sunk.messages[-2:] == [asked, printed("other", "r2")]


def test_what_a_step_that_is_run_again_by_itself_prints_shares_the_room_of_the_first() -> None:
    sunk = Sunk(1000).hear(printed("x" * 500))
    for number in range(2, 50):
        sunk.limiter.start_request(continues=True)
        sunk.hear(printed("y" * 500, f"r{number}"), replied(f"r{number}"))
    assert len(sunk.text) <= 1000
    assert sum(each.bytes for each in sunk.told if each.request != "r2") == 47 * 500
    sunk.limiter.start_request(continues=False)
    sunk.hear(printed("z" * 500, "r50"))
    assert sunk.messages[-1] == printed("z" * 500, "r50")


def test_why_a_step_failed_is_kept_past_the_limit_within_bounds() -> None:
    def failed(size: int) -> Displayed:
        output = {"output_type": "error", "ename": "E", "evalue": "", "traceback": ["x" * size]}
        return Displayed(request="r1", output=output)

    sunk = Sunk(1000).hear(printed("x" * 2000), failed(5000), *[failed(400_000)] * 5)
    assert [each for each in sunk.messages if isinstance(each, Displayed)] == [
        failed(5000),
        failed(400_000),
        failed(400_000),
    ]


@pytest.mark.parametrize("text", ["é" * 3000, "\U0001f4d3" * 3000, "\ud83d" * 3000])
@pytest.mark.parametrize("limit", range(1000, 1004))
def test_no_character_is_cut(text: str, limit: int) -> None:
    sunk = Sunk(limit).hear(printed(text))
    assert text.startswith(sunk.text)
    kept = len(sunk.text.encode("utf-8", "surrogatepass"))
    assert limit - PER_OUTPUT - 4 < kept <= limit - PER_OUTPUT
    assert sunk.told[0].bytes == len(text.encode("utf-8", "surrogatepass")) - kept


def test_a_bundle_that_only_pythons_json_holds_counts_as_well() -> None:
    odd: dict[str, Any] = {"text/plain": "\ud800" * 2000}
    sunk = Sunk(1000).hear(Displayed(request="r1", output={"data": odd}))
    assert sunk.told


def test_a_text_of_a_hundred_megabytes_comes_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_limit, "PIECE", 100)
    text = "".join(map(chr, range(200, 1200)))
    sunk = Sunk(10_000).hear(printed(text))
    assert sunk.text == text
    assert max(len(each.text) for each in sunk.messages if isinstance(each, TextPrinted)) == 100


def much(text: str) -> LongTextPrinted:
    literal = memoryview(msgspec.json.encode(text))
    return LongTextPrinted(request="r1", name="stdout", text=LazyText(literal))


@given(st.text(min_size=30, max_size=300), st.integers(PER_OUTPUT + 1, 3000))
def test_of_a_text_that_is_decoded_piece_by_piece_the_beginning_is_kept_too(
    text: str, limit: int
) -> None:
    with patch.object(lazy_text, "PIECE", 20):
        sunk = Sunk(limit).hear(much(text), replied())
        rest = text[len(sunk.text) :].encode()
        assert text.startswith(sunk.text)
        assert bool(sunk.told) == bool(rest)
        for told in sunk.told:
            assert (told.outputs, told.bytes) == (1, len(rest))
            assert told.sha256 == hashlib.sha256(rest).hexdigest()


def test_without_a_limit_a_very_long_text_is_decoded_by_who_takes_it() -> None:
    message = much("x" * 100)
    assert Sunk(0).hear(message).messages == [message]


def test_a_bar_that_moves_for_ever_is_bounded_and_takes_no_room_from_what_is_printed() -> None:
    limit = 2 * PER_OUTPUT
    sunk = Sunk(limit).hear(*map(moved, range(1000)), printed("done"), replied())
    kept = [each for each in sunk.messages if isinstance(each, WidgetChanged)]
    assert 0 < sum(len(msgspec.json.encode(each.state)) for each in kept) <= limit
    assert kept == list(map(moved, range(len(kept))))
    assert sunk.text == "done"
    first, last = sunk.told
    assert (first.outputs, last.outputs) == (1, 1000 - len(kept))


def test_a_bar_still_moves_when_what_was_printed_is_past_the_limit() -> None:
    sunk = Sunk(PER_OUTPUT + 10).hear(printed("x" * 100), moved(1))
    assert moved(1) in sunk.messages
