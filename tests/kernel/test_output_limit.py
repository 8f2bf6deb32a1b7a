"""The output limit: the beginning is kept; the rest is counted, hashed and reported."""

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


def progress(value: int) -> WidgetChanged:
    return WidgetChanged(request="r1", model="m1", state={"value": value})


def replied(request: str = "r1") -> Replied:
    return Replied(request=request, status="ok")


class LimitedSink:
    def __init__(self, limit: int) -> None:
        self.messages: list[Message] = []
        self.limiter = OutputLimiter(self.messages.append)
        self.limiter.limit = limit

    def send(self, *messages: Message) -> "LimitedSink":
        for message in messages:
            self.limiter(message)
        return self

    @property
    def text(self) -> str:
        return "".join(each.text for each in self.messages if isinstance(each, TextPrinted))

    @property
    def reports(self) -> list[Capped]:
        return [each for each in self.messages if isinstance(each, Capped)]


@given(st.lists(st.text(max_size=300), max_size=12), st.integers(PER_OUTPUT + 1, 3000))
def test_kept_and_dropped_output_add_up(texts: list[str], limit: int) -> None:
    sink = LimitedSink(limit).send(*map(printed, texts), replied())
    whole = "".join(texts)
    assert whole.startswith(sink.text)
    rest = whole[len(sink.text) :].encode()
    assert len(sink.text.encode()) <= limit
    assert isinstance(sink.messages[-1], Replied)
    if not sink.reports:
        assert rest == b""
        return
    last = sink.reports[-1]
    assert (last.bytes, last.sha256) == (len(rest), hashlib.sha256(rest).hexdigest())
    assert last.limit == limit


def test_output_within_the_limit_passes_unchanged() -> None:
    messages = [printed("a"), shown("b"), Cleared(request="r1", wait=True), replied()]
    assert LimitedSink(10_000).send(*messages).messages == messages
    assert LimitedSink(0).send(printed("x" * 100_000), replied()).text == "x" * 100_000


def test_drop_is_reported_at_first_and_at_the_end() -> None:
    sink = LimitedSink(1000)
    sink.send(printed("x" * 2000))
    assert [each.outputs for each in sink.reports] == [1]
    sink.send(printed("y"), printed("z"))
    assert len(sink.reports) == 1
    sink.send(replied())
    assert [(each.outputs, each.bytes) for each in sink.reports] == [(1, 1256), (3, 1258)]
    assert sink.messages[-2:] == [sink.reports[-1], replied()]


def test_drop_is_reported_for_late_output_and_dead_kernels() -> None:
    sink = LimitedSink(1000).send(printed("x" * 2000), replied(), printed("late"))
    sink.limiter.report_all_dropped()
    assert [each.outputs for each in sink.reports] == [1, 2]
    sink.limiter.report_all_dropped()
    assert len(sink.reports) == 2
    dead = LimitedSink(1000).send(printed("x" * 2000), printed("more"), Died(generation=1, why=""))
    assert [each.outputs for each in dead.reports] == [1, 2]
    assert isinstance(dead.messages[-1], Died)


def test_nothing_is_kept_after_the_first_drop() -> None:
    sink = LimitedSink(1000).send(shown("x" * 2000), printed("small"), shown("small"))
    assert [type(each) for each in sink.messages] == [Capped]


def test_every_type_of_output_counts() -> None:
    update = DisplayUpdated(request="r1", display_id="d", data={"text/plain": "9"}, metadata={})
    for message in (printed("x"), shown("x"), update, Cleared(request="r1", wait=False)):
        sink = LimitedSink(PER_OUTPUT * 5).send(*[message] * 50)
        assert 2 <= len(sink.messages) - len(sink.reports) <= 5, message
        assert sink.reports


def test_each_attempt_has_its_own_limit_and_input_requests_pass() -> None:
    asked = InputWanted(request="r1", prompt="?", password=False)
    sink = LimitedSink(1000).send(printed("x" * 2000), asked)
    sink.limiter.start_request(continues=False)
    sink.send(printed("other", "r2"), printed("late", "r1"))
    assert sink.messages[-2:] == [asked, printed("other", "r2")]


def test_automatic_retry_shares_the_budget() -> None:
    sink = LimitedSink(1000).send(printed("x" * 500))
    for number in range(2, 50):
        sink.limiter.start_request(continues=True)
        sink.send(printed("y" * 500, f"r{number}"), replied(f"r{number}"))
    assert len(sink.text) <= 1000
    assert sum(each.bytes for each in sink.reports if each.request != "r2") == 47 * 500
    sink.limiter.start_request(continues=False)
    sink.send(printed("z" * 500, "r50"))
    assert sink.messages[-1] == printed("z" * 500, "r50")


def test_errors_are_kept_past_the_limit_within_bounds() -> None:
    def failed(size: int) -> Displayed:
        output = {"output_type": "error", "ename": "E", "evalue": "", "traceback": ["x" * size]}
        return Displayed(request="r1", output=output)

    sink = LimitedSink(1000).send(printed("x" * 2000), failed(5000), *[failed(400_000)] * 5)
    assert [each for each in sink.messages if isinstance(each, Displayed)] == [
        failed(5000),
        failed(400_000),
        failed(400_000),
    ]


@pytest.mark.parametrize("text", ["é" * 3000, "\U0001f4d3" * 3000, "\ud83d" * 3000])
@pytest.mark.parametrize("limit", range(1000, 1004))
def test_cut_is_never_within_a_character(text: str, limit: int) -> None:
    sink = LimitedSink(limit).send(printed(text))
    assert text.startswith(sink.text)
    kept = len(sink.text.encode("utf-8", "surrogatepass"))
    assert limit - PER_OUTPUT - 4 < kept <= limit - PER_OUTPUT
    assert sink.reports[0].bytes == len(text.encode("utf-8", "surrogatepass")) - kept


def test_bundle_that_only_pythons_json_accepts_counts() -> None:
    odd: dict[str, Any] = {"text/plain": "\ud800" * 2000}
    sink = LimitedSink(1000).send(Displayed(request="r1", output={"data": odd}))
    assert sink.reports


def test_long_text_is_split_into_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_limit, "PIECE", 100)
    text = "".join(map(chr, range(200, 1200)))
    sink = LimitedSink(10_000).send(printed(text))
    assert sink.text == text
    assert max(len(each.text) for each in sink.messages if isinstance(each, TextPrinted)) == 100


def lazily_printed(text: str) -> LongTextPrinted:
    literal = memoryview(msgspec.json.encode(text))
    return LongTextPrinted(request="r1", name="stdout", text=LazyText(literal))


@given(st.text(min_size=30, max_size=300), st.integers(PER_OUTPUT + 1, 3000))
def test_beginning_of_a_lazy_text_is_kept(text: str, limit: int) -> None:
    with patch.object(lazy_text, "PIECE", 20):
        sink = LimitedSink(limit).send(lazily_printed(text), replied())
        rest = text[len(sink.text) :].encode()
        assert text.startswith(sink.text)
        assert bool(sink.reports) == bool(rest)
        for told in sink.reports:
            assert (told.outputs, told.bytes) == (1, len(rest))
            assert told.sha256 == hashlib.sha256(rest).hexdigest()


def test_lazy_text_passes_undecoded_without_a_limit() -> None:
    message = lazily_printed("x" * 100)
    assert LimitedSink(0).send(message).messages == [message]


def test_progress_bar_is_limited_separately_from_output() -> None:
    limit = 2 * PER_OUTPUT
    sink = LimitedSink(limit).send(*map(progress, range(1000)), printed("done"), replied())
    kept = [each for each in sink.messages if isinstance(each, WidgetChanged)]
    assert 0 < sum(len(msgspec.json.encode(each.state)) for each in kept) <= limit
    assert kept == list(map(progress, range(len(kept))))
    assert sink.text == "done"
    first, last = sink.reports
    assert (first.outputs, last.outputs) == (1, 1000 - len(kept))


def test_progress_bar_passes_after_output_reached_the_limit() -> None:
    sink = LimitedSink(PER_OUTPUT + 10).send(printed("x" * 100), progress(1))
    assert progress(1) in sink.messages
