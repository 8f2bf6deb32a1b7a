"""Secrets that programs colour, overstrike or wrap in tags, as a screen would show them whole."""

import io
import re
import subprocess
import time
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pygments import highlight
from pygments.formatters import HtmlFormatter, Terminal256Formatter
from pygments.lexers import PythonLexer
from rich.console import Console

from nbrun.core import events as ev
from nbrun.core.redaction.redactor import Redaction
from tests.core.test_redaction import secrets
from tests.support.build_events import stream

SECRET = "s3cr3t-(hunter2)=='x'"
# Markup that each view strips, or that a screen does not show.
STRIPPED = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*\x07|.\x08|<[^<>]*>|\x1b\(B")
MARKUP = st.sampled_from(
    [
        *("\x1b[31m", "\x1b[0m", "\x1b[m\x1b[K", "\x1b[01;31m\x1b[K", "\x1b(B\x1b[m"),
        *("<b>", "</span>", '<span class="k">', "\x1b]8;;http://x\x07"),
    ]
)


def tells(text: str, secret: str) -> bool:
    return secret in STRIPPED.sub("", text) or secret in text


def streamed(redaction: Redaction, whole: str, cuts: Sequence[int]) -> str:
    """Return what is recorded of a stream `whole`, cut at the given places."""
    ends = sorted({min(cut, len(whole)) for cut in cuts} | {0, len(whole)})
    chunks = (ev.Output(step="a", attempt=1, output=stream(whole[a:b])) for a, b in pairwise(ends))
    events = [each for chunk in chunks for each in redaction.redact_event(chunk)]
    events += redaction.flush()
    return "".join(each.output["text"] for each in events if isinstance(each, ev.Output))


def by_rich() -> str:
    console = Console(file=io.StringIO(), force_terminal=True, width=200)
    console.print({"token": SECRET, "n": 1})
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def by_grep() -> str:
    command = ["grep", "--color=always", "-E", "hunter|x"]
    return subprocess.run(command, input=SECRET, text=True, capture_output=True, check=True).stdout


def by_pygments() -> str:
    return str(highlight(SECRET, PythonLexer(), Terminal256Formatter()))


def by_pygments_as_html() -> str:
    return str(highlight(SECRET, PythonLexer(), HtmlFormatter()))


def by_man() -> str:
    return "".join(f"{character}\b{character}" for character in SECRET)


@pytest.mark.parametrize("coloured", [by_rich, by_grep, by_pygments, by_pygments_as_html, by_man])
def test_coloured_secret_redacted_whole_and_cut_anywhere(coloured: object) -> None:
    assert callable(coloured)
    text = coloured()
    assert SECRET not in text or coloured is by_rich
    assert "[secret:token" in Redaction({"token": SECRET}).redact_text(text)
    for cut in range(len(text)):
        seen = streamed(Redaction({"token": SECRET}), text, [cut])
        assert not tells(seen, SECRET), cut
        assert "[secret:token" in seen, cut


@settings(deadline=None)
@given(
    secrets.filter(lambda text: not set("\x1b\b<>") & set(text)),
    st.lists(MARKUP, min_size=1),
    st.lists(st.integers(0, 300)),
    st.data(),
)
def test_any_secret_with_markup_in_it_is_redacted_in_stream_cut_anywhere(
    secret: str, markup: list[str], cuts: list[int], data: st.DataObject
) -> None:
    places = data.draw(st.lists(st.integers(0, len(secret)), min_size=len(markup)))
    marked = list(secret)
    for piece, place in sorted(zip(markup, places, strict=False), key=lambda each: -each[1]):
        marked.insert(place, piece)
    seen = streamed(Redaction({"token": secret}), f"«{''.join(marked)}»", cuts)
    if STRIPPED.sub("", "".join(marked)) == secret:  # else a part of it became markup
        assert not tells(seen, secret)
        assert seen.startswith("«")
        assert seen.endswith("»")


def test_markup_inside_a_redacted_secret_stays_in_effect() -> None:
    redaction = Redaction({"token": "hunter2-hunter2"})
    text = "\x1b[31mhunter2\x1b[0m-hunter2 rest"
    assert redaction.redact_text(text) == "\x1b[31m[secret:token]\x1b[0m rest"


def test_text_that_only_looks_marked_is_unchanged() -> None:
    redaction = Redaction({"token": "hunter2-hunter2"})
    for text in (
        "a < b and c > d",
        "\x1b[31mred\x1b[0m",
        "x\b\b",
        "<<<>>>",
        "hunter2<b>-hunte",
        "<",
    ):
        assert redaction.redact_text(text) == text
        assert streamed(redaction, text, [len(text) // 2]) == text


@pytest.mark.parametrize(
    "piece", ["<", "<b>", "\x1b[", "\x1b[31m", "\b", "h\b", "<b", "\x1b]", "h<"]
)
def test_matching_takes_linear_time(piece: str) -> None:
    """Ten times the text may take twenty times as long; if quadratic, it would take a hundred."""
    redaction = Redaction({"token": "hunter2-hunter2"})
    times = []
    for size in (20_000, 200_000):
        began = time.process_time()
        streamed(redaction, "hunter2" + piece * (size // len(piece)), range(0, size, 2_000))
        times.append(time.process_time() - began)
    assert times[1] < 20 * max(times[0], 0.02)


@pytest.mark.parametrize("value", ["secret", "password", "token1", "base64", "reversed"])
def test_redacting_twice_changes_nothing(value: str) -> None:
    redaction = Redaction({value: value, "other": value[::-1] + "x"})
    text = f"print('{value}', {value.upper()}) # {value}\x1b[1m"
    once = redaction.redact_text(text)
    assert redaction.redact_text(once) == once
    assert redaction.restore(once) == text


def test_placeholder_that_a_cell_makes_up_hides_nothing() -> None:
    redaction = Redaction({"token": "hunter2-hunter2"})
    assert "hunter2" not in redaction.redact_text("[secret:hunter2-hunter2]")
