"""Kernel text as a terminal displays it: hostile sequences, overwriting, chunks, layout."""

import re
import time
import unicodedata
from itertools import pairwise

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import get_character_cell_size
from rich.console import Console, Group
from rich.rule import Rule
from rich.style import Style
from rich.text import Text

from nbrun.views.render.terminal_text import (
    MAX_UNFINISHED_COLUMNS,
    REWRITABLE_LINES,
    TerminalBuffer,
    is_plain,
    screen_text,
    skip_layout,
)
from nbrun.views.text.sanitize import has_controls, neutralise
from tests.support.rendered_text import SGR, TERMINAL_PIECES, TERMINAL_TEXTS, printed, rows, screen


def lines_of(chunks: list[str]) -> list[Text]:
    buffer = TerminalBuffer()
    shown = [*(buffer.feed(chunk) for chunk in chunks), buffer.finish()]
    return [line for part in shown if part is not None for line in styled_lines(part)]


def styled_lines(text: Text) -> list[Text]:
    return list(text.split("\n", allow_blank=True))


def styles(line: Text) -> list[tuple[str, str]]:
    """Return each character with its style, except zero-width characters."""
    console = Console()
    characters = enumerate(line.plain)
    wide = [at for at, character in characters if get_character_cell_size(character)]
    return [(line.plain[at], str(line.get_style_at_offset(console, at))) for at in wide]


@pytest.mark.parametrize(
    "hostile",
    [
        "\x1b]0;owned\x07",  # window title
        "\x1b]2;owned\x1b\\",
        "\x1b]52;c;b3duZWQ=\x07",  # clipboard
        "\x1b]8;;https://evil.example\x1b\\here\x1b]8;;\x1b\\",  # link
        "\x1b[2J\x1b[H",  # clear, home
        "\x9b2J",  # the same by C1
        "\x9d0;owned\x9c",
        "\x1bP1$qm\x1b\\",
        "\x1b[3C",
        "\x1b[?1049h",
        "\x1b[?1000h",
        "\x1bc",
        "\x1b(0",
        "\x0e\x07\x0b\x0c\x7f",
    ],
)
def test_hostile_sequence_is_shown_without_effect(hostile: str) -> None:
    shown = screen(screen_text(f"before\n{hostile}\nafter"))
    assert [shown.display[0].rstrip(), shown.display[2].rstrip()] == ["before", "after"]
    assert re.search(r"\^\S|<U\+009", shown.display[1])
    assert (shown.title, shown.icon_name) == ("", "")
    assert pyte.modes.DECTCEM in shown.mode


def test_bidi_controls_do_not_reorder_text() -> None:
    assert rows(screen_text("rm \u202etxt.elif\u202c")) == ["rm <U+202E>txt.elif<U+202C>"]


def test_colours_apply_up_to_their_reset() -> None:
    row = screen(screen_text("\x1b[31mred\x1b[0m plain \x1b[1;38;2;1;2;3mbold")).buffer[0]
    assert [(row[at].data, row[at].fg) for at in (0, 4)] == [("r", "red"), ("p", "default")]
    assert (row[10].data, row[10].bold, row[10].fg) == ("b", True, "010203")


def test_colour_carries_over_to_next_line() -> None:
    shown = screen(screen_text("\x1b[32mone\ntwo\x1b[0m\nthree"))
    assert [shown.buffer[row][0].fg for row in range(3)] == ["green", "green", "default"]


@pytest.mark.parametrize("hide", ["\x1b[8m", "\x1b[0;8m", "\x1b[008m", "\x1b[5m", "\x1b[38;7;8m"])
def test_text_never_concealed_or_blinking(hide: str) -> None:
    out = printed(screen_text(f"{hide}rm -rf /"), crop=False)
    assert "rm -rf /" in out
    codes = {int(code or 0) for sgr in SGR.findall(out) for code in sgr[2:-1].split(";")}
    assert not codes & {5, 6, 8}
    assert neutralise(hide) == hide + "\x1b[25;26;28m"


def test_256_colour_number_8_stays_a_colour() -> None:
    assert screen(screen_text("\x1b[38;5;8mgrey")).buffer[0][0].fg != "default"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (" 10%\r 20%\r100%", "100%"),
        ("abcdef\rX", "Xbcdef"),
        ("abc\r", "abc"),
        ("abc\b\bX", "aXc"),
        ("\b\bab", "ab"),
        ("_\bu", "u"),
        ("ab\r日", "日"),
        ("e\u0301\rx", "x"),
        ("abcdefghij\r\tX", "abcdefghXj"),
    ],
)
def test_returns_and_backspaces_overwrite_as_on_a_terminal(text: str, line: str) -> None:
    assert screen_text(text).plain == line
    terminal = pyte.Screen(80, 2)
    pyte.Stream(terminal).feed(text)
    assert terminal.display[0].rstrip() == line


def test_overwritten_tab_or_wide_character_leaves_blanks() -> None:
    assert screen_text("a\tb\r123").plain == "123     b"
    assert screen_text("日本\ra").plain == "a 本"
    assert screen_text("日本\b\b\bab").plain == " ab "


def test_overwriting_keeps_colours_of_other_characters() -> None:
    row = screen(screen_text("\x1b[31mabcd\r\x1b[32mX\x1b[0m")).buffer[0]
    assert [(row[at].data, row[at].fg) for at in (0, 1)] == [("X", "green"), ("b", "red")]


def test_windows_line_ends_become_newlines() -> None:
    assert screen_text("one\r\ntwo\r\r\nthree\r\n").plain == "one\ntwo\nthree"


def test_last_newline_dropped_but_empty_line_kept() -> None:
    assert [screen_text(text).plain for text in ("", "a\n", "a\n\n", "\x1b[31ma\n\x1b[0m")] == [
        *("", "a", "a\n", "a")
    ]


def test_square_brackets_are_not_rich_markup() -> None:
    assert rows(screen_text("[red]x[/red] [/] [link=http://x]y :smile:")) == [
        "[red]x[/red] [/] [link=http://x]y :smile:"
    ]


def test_feed_returns_completed_lines() -> None:
    buffer = TerminalBuffer()
    assert buffer.feed("on") is None
    assert buffer.pending.plain == "on"
    assert str(buffer.feed("e\ntwo\nthr")) == "one\ntwo"
    assert buffer.pending.plain == "thr"
    assert str(buffer.finish()) == "thr"
    assert buffer.finish() is None


def test_escape_sequence_cut_between_chunks_takes_effect() -> None:
    buffer = TerminalBuffer()
    assert buffer.feed("a\x1b") is None
    assert buffer.feed("[3") is None
    assert buffer.pending.plain == "a"
    line = buffer.feed("1mred\n")
    assert line is not None
    assert line.plain == "ared"
    assert screen(line).buffer[0][1].fg == "red"


def test_unterminated_sequence_is_eventually_shown() -> None:
    buffer = TerminalBuffer()
    buffer.feed("\x1b[" + "1" * 64)
    assert buffer.pending.plain == ""
    buffer.feed("1")
    assert buffer.pending.plain == "^[[" + "1" * 65


def test_partial_sequence_is_shown_at_finish() -> None:
    buffer = TerminalBuffer()
    buffer.feed("a\x1b[3")
    assert str(buffer.finish()) == "a^[[3"


def test_return_and_newline_in_separate_chunks_end_a_line() -> None:
    buffer = TerminalBuffer()
    assert buffer.feed("abc\r") is None
    assert str(buffer.feed("\nd")) == "abc"


def test_progress_bar_shows_its_last_state() -> None:
    buffer = TerminalBuffer()
    for done in range(101):
        assert buffer.feed(f"\r{done:3d}%|{'█' * (done // 10):10}| {done}/100") is None
    assert buffer.pending.plain == "100%|██████████| 100/100"


def test_unfinished_line_is_returned_when_too_long() -> None:
    buffer = TerminalBuffer()
    given = [buffer.feed("x" * 1000) for _ in range(20)]
    longest = max(len(part) for part in given if part is not None)
    assert MAX_UNFINISHED_COLUMNS < longest <= MAX_UNFINISHED_COLUMNS + 1000
    assert len(buffer.pending) <= MAX_UNFINISHED_COLUMNS


@given(TERMINAL_TEXTS)
def test_no_control_is_left_in_screen_text(text: str) -> None:
    shown = screen_text(text).plain
    assert not {c for c in shown if unicodedata.category(c) in {"Cc", "Cs"}} - {"\n", "\t"}


@given(TERMINAL_TEXTS)
def test_only_colours_reach_the_terminal(text: str) -> None:
    out = SGR.sub("", printed(screen_text(text), crop=False))
    assert not {c for c in out if unicodedata.category(c) in {"Cc", "Cs"}} - {"\n"}


@given(TERMINAL_TEXTS, st.lists(st.integers(0, 200), max_size=12))
def test_chunks_cut_anywhere_give_same_lines_as_whole_text(text: str, cuts: list[int]) -> None:
    places = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    chunks = [text[start:end] for start, end in pairwise(places)]
    shown = lines_of(chunks)
    whole = lines_of([text])
    assert "\n".join(line.plain for line in shown) == screen_text(text).plain
    assert [styles(line) for line in shown] == [styles(line) for line in whole]


@given(st.text(alphabet="abc\t\r\b", max_size=60))
def test_line_looks_as_on_a_terminal(text: str) -> None:
    terminal, ours = pyte.Screen(500, 1), pyte.Screen(500, 1)
    pyte.Stream(terminal).feed(text)
    pyte.Stream(ours).feed(screen_text(text).plain)
    assert ours.display == terminal.display


SLOW = {
    "a megabyte of plain lines": "plain text, one line of many\n" * 35_000,
    "a line of a megabyte": "x" * 1_000_000,
    "many coloured lines": "\x1b[31mred\x1b[0m and not\n" * 20_000,
    "many returns": "\r" * 300_000,
    "many escapes": "\x1b" * 200_000,
    "many accents": "a" + "\u0301" * 600_000,
    "a progress bar": "".join(f"\r{n:5d} {'█' * (n // 200):50}" for n in range(10_000)),
}


@pytest.mark.parametrize("name", SLOW)
def test_time_grows_linearly_with_text(name: str) -> None:
    begin = time.process_time()
    screen_text(SLOW[name])
    assert time.process_time() - begin < 3  # some 0.3 s; minutes where it grows as the square


def test_ten_thousand_bar_updates_take_under_3_seconds() -> None:
    buffer = TerminalBuffer()
    begin = time.process_time()
    for number in range(10_000):
        buffer.feed(f"\r{number:5d} {'█' * (number // 200):50}")
    assert time.process_time() - begin < 3
    assert buffer.pending.plain.startswith(" 9999 ")


@given(st.text("ab \t\n", max_size=40))
def test_plain_text_shortcut_equals_full_emulation(text):
    buffer = TerminalBuffer(REWRITABLE_LINES)
    fed = [buffer.feed(text), buffer.finish()]
    assert screen_text(text).plain == "\n".join(part.plain for part in fed if part is not None)


@st.composite
def texts(draw):
    """Generate texts as views print them: a few lines of nbrun's own, or kernel text."""
    if draw(st.booleans()):
        return screen_text(draw(st.lists(TERMINAL_PIECES, max_size=8).map("".join)))
    text = draw(st.text("ab -éé·─日\t\n", max_size=12)) * draw(st.integers(1, 9))
    shown = Text(
        text,
        style=draw(st.sampled_from(["", "", "bold", "dim red"])),
        end=draw(st.sampled_from(["\n", ""])),
        overflow=draw(st.sampled_from([None, "ignore", "fold", "ellipsis"])),
        no_wrap=draw(st.sampled_from([None, True])),
        justify=draw(st.sampled_from([None, None, "left", "center"])),
    )
    if draw(st.booleans()):
        shown.stylize("underline", draw(st.integers(0, 5)), draw(st.integers(5, 20)))
    return shown


def looks(shown):
    """Return each printed character and its style, however rich splits them into segments."""
    console = Console(force_terminal=True, color_system="truecolor", width=30)
    segments = console.render(Group(*shown), console.options)
    return [
        (character, style if style and character != "\n" else Style.null())
        for text, style, _ in segments
        for character in text
    ]


@given(st.lists(texts() | st.just(Rule("x")), max_size=5))
def test_skipped_layout_looks_like_rich_layout(shown):
    assert looks(skip_layout(shown, 30)) == looks(shown)


def test_texts_without_layout_are_merged():
    shown = [
        screen_text("a\nb"),
        Text("c · ─", "bold"),
        Rule(),
        screen_text("d"),
        Text(),
        screen_text("e\tf"),
    ]
    kinds = [type(each).__name__ for each in skip_layout(shown, 30)]
    assert kinds == ["Preformatted", "Rule", "Preformatted", "Text"]


@pytest.mark.parametrize(
    "shown",
    [screen_text("a\tb"), Text("a\nb"), Text("a" * 31), Text("日"), Text("a", justify="center")],
)
def test_tabs_and_wrapped_lines_are_laid_out_by_rich(shown):
    assert list(skip_layout([shown], 30)) == [shown]


@given(st.text("a \t\n\r\x00\x0b\x1f\x7f\x80é", max_size=5))
def test_is_plain_for_ascii_without_controls(text):
    assert is_plain(text) is (text.isascii() and not has_controls(text))
