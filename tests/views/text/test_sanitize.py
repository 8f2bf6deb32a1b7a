"""Control characters in kernel text, made visible."""

import re
import unicodedata

from hypothesis import given

from nbrun.views.text.sanitize import has_controls, neutralise, plain, visible
from tests.support.rendered_text import TERMINAL_TEXTS


def test_controls_become_caret_notation_or_code_points() -> None:
    assert neutralise("\x1b]0;t\x07\x7f\0") == "^[]0;t^G^?^@"
    assert neutralise("\x9b\u202e\u2066\u061c\u2028\ud800\U000e0041") == (
        "<U+009B><U+202E><U+2066><U+061C><U+2028><U+D800><U+E0041>"
    )


def test_colours_tabs_newlines_and_returns_are_kept() -> None:
    text = "\x1b[1;31mred\x1b[m\ta\r\nb\b"
    assert neutralise(text) == text


def test_joiners_of_emoji_and_scripts_are_kept() -> None:
    text = "👩\u200d🚀 می\u200cخواهم"
    assert neutralise(text) == plain(text) == text


def test_overlong_colour_sequence_is_made_visible() -> None:
    longest = "\x1b[" + "1;" * 32 + "m"
    too_long = "\x1b[" + "1;" * 33 + "m"
    assert neutralise(longest) == longest
    assert neutralise(too_long) == "^[" + too_long[1:]


def test_plain_text_is_one_line_without_colours() -> None:
    assert plain("a\nb\tc\rd\be\x1b[31mf\x85") == r"a\nb\tc\rd^He^[[31mf<U+0085>"


def test_visible_source_keeps_lines_and_escapes_colours() -> None:
    assert visible("a\r\n\tb\x1b[31m\rc") == "a\n\tb^[[31m^Mc"


@given(TERMINAL_TEXTS)
def test_neutralised_text_has_only_colours_and_returns(text: str) -> None:
    left = re.sub(r"\x1b\[[0-9;:]{0,64}m", "", neutralise(text))
    assert not {c for c in left if unicodedata.category(c) in {"Cc", "Cs"}} - set("\n\t\r\b")


def test_plain_leaves_harmless_line_unchanged():
    for character in map(chr, range(256)):
        takes_effect = has_controls(character) or character in "\t\n\xad"
        assert (plain(f"a{character}b") == f"a{character}b") is not takes_effect


@given(TERMINAL_TEXTS)
def test_visible_and_plain_text_have_no_controls(text: str) -> None:
    shown = visible(text)
    assert not {c for c in shown if unicodedata.category(c) in {"Cc", "Cs"}} - {"\n", "\t"}
    assert not {c for c in plain(text) if unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"}}
