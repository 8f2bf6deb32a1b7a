"""What kernel text may and may not do to an operator's terminal."""

import io
import re
import time
import unicodedata
from itertools import pairwise

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import get_character_cell_size
from rich.console import Console, Group, RenderableType
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
from nbrun.views.text.sanitize import has_controls, neutralise, plain, visible

SGR = re.compile(r"\x1b\[[0-9;]*m")
PIECES = st.sampled_from(
    [
        *("a", "bc", " ", "é", "日", "e\u0301", "👩\u200d🚀", "\t", "\n", "\r", "\b", "\r\n"),
        *(
            "\x1b",
            "[",
            "\x1b[31m",
            "\x1b[0m",
            "\x1b[8m",
            "\x1b[38;5;196m",
            "\x1b[1;4;44m",
            "m",
            "3",
        ),
        *("\x1b]0;t\x07", "\x1b]8;;http://x\x1b\\", "\x1b[2J", "\x1bP1$q\x1b\\", "\x9b", "\x9d"),
        *("\u202e", "\u2028", "\ud800", "\x7f", "\U000e0041", "\x1b[" + "1;" * 40 + "m", "\x85"),
    ]
)
TEXTS = st.lists(PIECES | st.text(max_size=4), max_size=40).map("".join)


def printed(text: RenderableType) -> str:
    file = io.StringIO()
    Console(force_terminal=True, color_system="truecolor", width=80, file=file).print(
        text, crop=False
    )
    return file.getvalue()


def screen(text: Text) -> pyte.Screen:
    shown = pyte.Screen(80, 24)
    pyte.Stream(shown).feed(printed(text).replace("\n", "\r\n"))
    return shown


def rows(text: Text) -> list[str]:
    return [row.rstrip() for row in screen(text).display if row.strip()]


def lines_of(chunks: list[str]) -> list[Text]:
    stream = TerminalBuffer()
    shown = [*(stream.feed(chunk) for chunk in chunks), stream.finish()]
    return [line for part in shown if part is not None for line in styled_lines(part)]


def styled_lines(text: Text) -> list[Text]:
    return list(text.split("\n", allow_blank=True))


def styles(line: Text) -> list[tuple[str, str]]:
    """Each character with its style. One without width shares its cell, and so its style."""
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
def test_a_hostile_sequence_is_shown_and_has_no_effect(hostile: str) -> None:
    shown = screen(screen_text(f"before\n{hostile}\nafter"))
    assert [shown.display[0].rstrip(), shown.display[2].rstrip()] == ["before", "after"]
    assert re.search(r"\^\S|<U\+009", shown.display[1])
    assert (shown.title, shown.icon_name) == ("", "")
    assert pyte.modes.DECTCEM in shown.mode


def test_controls_are_shown_in_caret_notation_and_by_code_point() -> None:
    assert neutralise("\x1b]0;t\x07\x7f\0") == "^[]0;t^G^?^@"
    assert neutralise("\x9b\u202e\u2066\u061c\u2028\ud800\U000e0041") == (
        "<U+009B><U+202E><U+2066><U+061C><U+2028><U+D800><U+E0041>"
    )


def test_bidi_controls_do_not_reorder_what_an_operator_reads() -> None:
    assert rows(screen_text("rm \u202etxt.elif\u202c")) == ["rm <U+202E>txt.elif<U+202C>"]


def test_colours_tabs_newlines_and_cursor_returns_are_kept_as_they_are() -> None:
    text = "\x1b[1;31mred\x1b[m\ta\r\nb\b"
    assert neutralise(text) == text


def test_emoji_and_scripts_that_need_joiners_are_left_alone() -> None:
    text = "👩\u200d🚀 می\u200cخواهم"
    assert neutralise(text) == plain(text) == text


def test_an_overlong_colour_sequence_is_shown_instead_of_obeyed() -> None:
    longest = "\x1b[" + "1;" * 32 + "m"
    too_long = "\x1b[" + "1;" * 33 + "m"
    assert neutralise(longest) == longest
    assert neutralise(too_long) == "^[" + too_long[1:]


def test_colours_reach_the_screen_and_end_where_they_end() -> None:
    row = screen(screen_text("\x1b[31mred\x1b[0m plain \x1b[1;38;2;1;2;3mbold")).buffer[0]
    assert [(row[at].data, row[at].fg) for at in (0, 4)] == [("r", "red"), ("p", "default")]
    assert (row[10].data, row[10].bold, row[10].fg) == ("b", True, "010203")


def test_a_colour_carries_over_to_the_next_line() -> None:
    shown = screen(screen_text("\x1b[32mone\ntwo\x1b[0m\nthree"))
    assert [shown.buffer[row][0].fg for row in range(3)] == ["green", "green", "default"]


@pytest.mark.parametrize("hide", ["\x1b[8m", "\x1b[0;8m", "\x1b[008m", "\x1b[5m", "\x1b[38;7;8m"])
def test_text_is_neither_concealed_nor_made_to_blink(hide: str) -> None:
    out = printed(screen_text(f"{hide}rm -rf /"))
    assert "rm -rf /" in out
    codes = {int(code or 0) for sgr in SGR.findall(out) for code in sgr[2:-1].split(";")}
    assert not codes & {5, 6, 8}
    assert neutralise(hide) == hide + "\x1b[25;26;28m"


def test_a_256_colour_whose_number_is_that_of_conceal_is_still_a_colour() -> None:
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


def test_a_tab_or_wide_character_that_is_written_over_leaves_blanks() -> None:
    assert screen_text("a\tb\r123").plain == "123     b"
    assert screen_text("日本\ra").plain == "a 本"
    assert screen_text("日本\b\b\bab").plain == " ab "


def test_overwritten_characters_leave_the_colours_of_the_others() -> None:
    row = screen(screen_text("\x1b[31mabcd\r\x1b[32mX\x1b[0m")).buffer[0]
    assert [(row[at].data, row[at].fg) for at in (0, 1)] == [("X", "green"), ("b", "red")]


def test_windows_line_ends_are_newlines() -> None:
    assert screen_text("one\r\ntwo\r\r\nthree\r\n").plain == "one\ntwo\nthree"


def test_the_last_newline_is_not_shown_and_an_empty_line_is() -> None:
    assert [screen_text(text).plain for text in ("", "a\n", "a\n\n", "\x1b[31ma\n\x1b[0m")] == [
        *("", "a", "a\n", "a")
    ]


def test_square_brackets_are_not_read_as_markup() -> None:
    assert rows(screen_text("[red]x[/red] [/] [link=http://x]y :smile:")) == [
        "[red]x[/red] [/] [link=http://x]y :smile:"
    ]


def test_a_name_stays_on_one_line_and_has_no_colours() -> None:
    assert plain("a\nb\tc\rd\be\x1b[31mf\x85") == r"a\nb\tc\rd^He^[[31mf<U+0085>"


def test_a_source_keeps_its_lines_and_shows_its_colours_as_text() -> None:
    assert visible("a\r\n\tb\x1b[31m\rc") == "a\n\tb^[[31m^Mc"


def test_a_chunk_gives_the_lines_it_completes() -> None:
    stream = TerminalBuffer()
    assert stream.feed("on") is None
    assert stream.pending.plain == "on"
    assert str(stream.feed("e\ntwo\nthr")) == "one\ntwo"
    assert stream.pending.plain == "thr"
    assert str(stream.finish()) == "thr"
    assert stream.finish() is None


def test_an_escape_sequence_may_be_cut_between_chunks() -> None:
    stream = TerminalBuffer()
    assert stream.feed("a\x1b") is None
    assert stream.feed("[3") is None
    assert stream.pending.plain == "a"
    line = stream.feed("1mred\n")
    assert line is not None
    assert line.plain == "ared"
    assert screen(line).buffer[0][1].fg == "red"


def test_a_sequence_that_never_ends_is_held_back_only_so_long() -> None:
    stream = TerminalBuffer()
    stream.feed("\x1b[" + "1" * 64)
    assert stream.pending.plain == ""
    stream.feed("1")
    assert stream.pending.plain == "^[[" + "1" * 65


def test_a_cut_sequence_is_shown_when_the_stream_ends() -> None:
    stream = TerminalBuffer()
    stream.feed("a\x1b[3")
    assert str(stream.finish()) == "a^[[3"


def test_a_newline_may_come_in_the_chunk_after_its_return() -> None:
    stream = TerminalBuffer()
    assert stream.feed("abc\r") is None
    assert str(stream.feed("\nd")) == "abc"


def test_a_progress_bar_shows_its_last_state() -> None:
    stream = TerminalBuffer()
    for done in range(101):
        assert stream.feed(f"\r{done:3d}%|{'█' * (done // 10):10}| {done}/100") is None
    assert stream.pending.plain == "100%|██████████| 100/100"


def test_a_line_without_end_is_given_out_when_it_is_too_long() -> None:
    stream = TerminalBuffer()
    given = [stream.feed("x" * 1000) for _ in range(20)]
    longest = max(len(part) for part in given if part is not None)
    assert MAX_UNFINISHED_COLUMNS < longest <= MAX_UNFINISHED_COLUMNS + 1000
    assert len(stream.pending) <= MAX_UNFINISHED_COLUMNS


@given(TEXTS)
def test_no_control_is_left_in_what_is_shown(text: str) -> None:
    for shown in (screen_text(text).plain, visible(text)):
        assert not {c for c in shown if unicodedata.category(c) in {"Cc", "Cs"}} - {"\n", "\t"}
    assert not {c for c in plain(text) if unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"}}


@given(TEXTS)
def test_only_colours_reach_the_terminal(text: str) -> None:
    out = SGR.sub("", printed(screen_text(text)))
    assert not {c for c in out if unicodedata.category(c) in {"Cc", "Cs"}} - {"\n"}


@given(TEXTS)
def test_what_is_neutralised_has_only_colours_and_cursor_returns(text: str) -> None:
    left = re.sub(r"\x1b\[[0-9;:]{0,64}m", "", neutralise(text))
    assert not {c for c in left if unicodedata.category(c) in {"Cc", "Cs"}} - set("\n\t\r\b")


@given(TEXTS, st.lists(st.integers(0, 200), max_size=12))
def test_chunks_cut_anywhere_give_the_lines_of_the_whole(text: str, cuts: list[int]) -> None:
    places = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    chunks = [text[start:end] for start, end in pairwise(places)]
    shown = lines_of(chunks)
    whole = lines_of([text])
    assert "\n".join(line.plain for line in shown) == screen_text(text).plain
    assert [styles(line) for line in shown] == [styles(line) for line in whole]


@given(st.text(alphabet="abc\t\r\b", max_size=60))
def test_a_line_looks_as_it_does_on_a_terminal(text: str) -> None:
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
def test_time_grows_with_the_text_and_no_faster(name: str) -> None:
    begin = time.process_time()
    screen_text(SLOW[name])
    assert time.process_time() - begin < 3  # some 0.3 s; minutes where it grows as the square


def test_ten_thousand_updates_of_a_bar_take_no_time_to_speak_of() -> None:
    stream = TerminalBuffer()
    begin = time.process_time()
    for number in range(10_000):
        stream.feed(f"\r{number:5d} {'█' * (number // 200):50}")
    assert time.process_time() - begin < 3
    assert stream.pending.plain.startswith(" 9999 ")


@given(st.text("ab \t\n", max_size=40))
def test_text_without_controls_is_shown_as_it_would_be_character_by_character(text):
    stream = TerminalBuffer(REWRITABLE_LINES)
    fed = [stream.feed(text), stream.finish()]
    assert screen_text(text).plain == "\n".join(part.plain for part in fed if part is not None)


@st.composite
def texts(draw):
    """A line or a few of nbrun's own, or text of a kernel, as views give them to rich."""
    if draw(st.booleans()):
        return screen_text(draw(st.lists(PIECES, max_size=8).map("".join)))
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
    """Each character and its style, however they are put together."""
    console = Console(force_terminal=True, color_system="truecolor", width=30)
    segments = console.render(Group(*shown), console.options)
    return [
        (character, style if style and character != "\n" else Style.null())
        for text, style, _ in segments
        for character in text
    ]


@given(st.lists(texts() | st.just(Rule("x")), max_size=5))
def test_what_is_not_laid_out_looks_as_if_rich_had_laid_it_out(shown):
    assert looks(skip_layout(shown, 30)) == looks(shown)


def test_texts_that_need_no_layout_go_to_rich_together():
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
def test_what_has_tabs_or_is_to_be_wrapped_is_laid_out_by_rich(shown):
    assert list(skip_layout([shown], 30)) == [shown]


def test_one_line_is_left_as_it_is_when_nothing_in_it_takes_effect():
    for character in map(chr, range(256)):
        takes_effect = has_controls(character) or character in "\t\n"
        assert (plain(f"a{character}b") == f"a{character}b") is not takes_effect


@given(st.text("a \t\n\r\x00\x0b\x1f\x7f\x80é", max_size=5))
def test_text_is_plain_when_it_is_ascii_and_nothing_in_it_takes_effect(text):
    assert is_plain(text) is (text.isascii() and not has_controls(text))
