"""Replies of a terminal are dropped, keys and pastes pass, however the bytes are cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.input.ansi_escape_sequences import ANSI_SEQUENCES

from nbrun.views.terminal.typed_lines.terminal_replies import (
    PASTE_BEGIN,
    PASTE_END,
    ReplyFilter,
)

REPLIES = [
    "\x1b[?62;1;6;22c",
    "\x1b[>41;379;0c",
    "\x1b[12;40R",
    "\x1b[?2026;2$y",
    "\x1b[8;24;80t",
    "\x1b[I",
    "\x1bP>|xterm(379)\x1b\\",
    "\x1bP1$r0m\x1b\\",
    "\x1b]11;rgb:0000/0000/0000\x07",
    "\x1b]4;1;rgb:ff/00/00\x1b\\",
    "\x1b_Gi=31;OK\x1b\\",
]
KEYS = ["r", "é", "字", " ", "\x7f", "\x1b[A", "\x1bOA", "\x1b[3~", "\x1bb", "\x1b\x1b[A"]
PASTES = [
    PASTE_BEGIN + text + PASTE_END for text in ("", "a\r\nb", "\x1b[?62c", "\x1b[201", "\x1b")
]


def filtered(*pieces):
    replies = ReplyFilter(ANSI_SEQUENCES.__contains__)
    return "".join(map(replies.feed, pieces)) + replies.flush()


@given(
    st.lists(st.sampled_from(REPLIES + KEYS + PASTES)), st.lists(st.integers(0, 200), max_size=8)
)
def test_only_keys_and_pastes_pass_however_the_text_is_cut(parts, cuts):
    text = "".join(parts)
    edges = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [text[a:b] for a, b in pairwise(edges)]
    assert filtered(*pieces) == "".join(part for part in parts if part not in REPLIES)


def test_escape_alone_is_a_key_once_nothing_follows():
    replies = ReplyFilter(ANSI_SEQUENCES.__contains__)
    assert replies.feed("\x1b") == ""
    assert replies.flush() == "\x1b"


def test_reply_without_an_end_is_forgotten():
    replies = ReplyFilter(ANSI_SEQUENCES.__contains__)
    assert replies.feed("\x1b]11;rgb:00") == ""
    assert replies.flush() == ""
    assert replies.feed("r\r") == "r\r"


@pytest.mark.parametrize("text", ["skip\ryes", "skip\ryes\r", "a\n\nb\n"])
def test_several_lines_at_once_are_a_paste(text):
    assert filtered(text) == PASTE_BEGIN + text + PASTE_END


@pytest.mark.parametrize("text", ["skip\r", "\r", "\r\r", "r\r\r", "y\n"])
def test_keys_and_enter_are_no_paste(text):
    assert filtered(text) == text


def test_long_line_is_a_paste_and_enter_a_key():
    assert filtered("x" * 100 + "\r") == PASTE_BEGIN + "x" * 100 + PASTE_END + "\r"


def test_pastes_are_dropped_where_they_are_no_keys():
    replies = ReplyFilter(lambda _: False)
    assert replies.feed("q" + PASTES[1] + "n\x1b[A") == "qn"
    assert replies.feed("a\nb") == ""
