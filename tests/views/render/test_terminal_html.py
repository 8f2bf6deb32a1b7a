"""Terminal text as HTML: classes for colours, and nothing of it is markup."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbrun.views.render.terminal_html import to_html
from nbrun.views.render.terminal_text import screen_text


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("plain\nlines", "plain\nlines"),
        ('a < b & "c"', 'a &lt; b &amp; "c"'),
        ("\x1b[31mred\x1b[0m x", '<span class="ansi31">red</span> x'),
        ("\x1b[1;31mbold red\x1b[0m", '<span class="ansi1 ansi31">bold red</span>'),
        ("\x1b[2;3;4;9mall\x1b[0m", '<span class="ansi2 ansi3 ansi4 ansi9">all</span>'),
        ("\x1b[7mreverse\x1b[0m", '<span class="ansi7">reverse</span>'),
        ("\x1b[92;104mbright\x1b[0m", '<span class="ansi92 ansi104">bright</span>'),
        ("\x1b[38;5;196mof 256\x1b[0m", '<span class="ansi31">of 256</span>'),
        ("\x1b[48;2;0;128;0mof all\x1b[0m", '<span class="ansi42">of all</span>'),
        ("\x1b[31mone\ntwo\n", '<span class="ansi31">one</span>\n<span class="ansi31">two</span>'),
        ("\x1b[31;39;49mdefault\x1b[0m", "default"),
        ("\x1b[31mno\rre\x1b[0m", '<span class="ansi31">re</span>'),
    ],
)
def test_styles_become_classes(text: str, made: str) -> None:
    assert to_html(screen_text(text)) == made


PIECES = st.sampled_from(
    [
        "\x1b[1m",
        "\x1b[31m",
        "\x1b[44m",
        "\x1b[0m",
        "\x1b[38;5;200m",
        "<b>",
        "&",
        '"',
        "\n",
        "\r",
        "é",
    ]
)


@given(st.lists(PIECES | st.text(st.characters(exclude_categories=["Cs"]), max_size=3)))
def test_text_stays_the_same_and_no_markup_gets_through(pieces: list[str]) -> None:
    shown = screen_text("".join(pieces))
    made = to_html(shown)
    left = re.sub(r'<span class="ansi[0-9]+(?: ansi[0-9]+)*">|</span>', "", made)
    assert "<" not in left
    for entity, character in (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        left = left.replace(entity, character)
    assert left == shown.plain
