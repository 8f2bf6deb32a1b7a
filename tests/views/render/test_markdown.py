"""Markdown cells on a terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbrun.views.render.mime import render_markdown
from tests.support.rendered_text import MARKDOWN, SGR, is_safe, printed, rows, screen


def test_headings_left_aligned_in_bold() -> None:
    shown = screen(render_markdown("# Restore *db1*\n\n## Check"))
    assert shown.display[0].startswith("Restore db1")
    assert shown.display[2].startswith("Check")
    assert all(shown.buffer[row][0].bold for row in (0, 2))


def test_link_shows_address_and_is_inactive() -> None:
    text = render_markdown("[the wiki](https://wiki/restore) and <https://wiki/>")
    assert rows(text) == ["the wiki (https://wiki/restore) and https://wiki/"]
    assert "\x1b]8" not in printed(text)


def test_image_named_in_place() -> None:
    assert rows(render_markdown("before ![the plan](attachment:plan.png) after")) == [
        "before [image: the plan (attachment:plan.png)] after"
    ]


def test_controls_in_entities_and_addresses_have_no_effect() -> None:
    text = render_markdown("&#x202e;x <http://a/%1b]0;owned%07> ![&#x202e;](b)")
    assert is_safe(text)
    assert screen(text).title == ""
    assert "<U+202E>x" in rows(text)[0]


def test_colour_sequences_shown_as_text() -> None:
    assert rows(render_markdown("a \x1b[8mb")) == ["a ^[[8mb"]


def test_placeholders_in_angle_brackets_shown_but_not_tags() -> None:
    assert rows(render_markdown("ssh <host> as <b>root</b><!-- x --><br/>then</kbd> wait")) == [
        *("ssh <host> as root", "then wait")
    ]


def test_html_block_shown_as_text() -> None:
    assert rows(render_markdown('<div class="alert">\n<b>Do not</b> reboot\n</div>\n\nnow')) == [
        *("Do not reboot", "now")
    ]


def test_code_indented_without_background() -> None:
    text = render_markdown("```bash\necho $HOME\n```")
    assert rows(text) == ["    echo $HOME"]
    assert {cell.bg for cell in screen(text).buffer[0].values()} == {"default"}


@pytest.mark.parametrize("depth", [1, 5, 15, 25, 60])
@pytest.mark.parametrize("width", [20, 40, 80, 200])
@pytest.mark.parametrize("mark", ["> ", "- "])
def test_deeply_nested_text_never_lost(depth: int, width: int, mark: str) -> None:
    out = SGR.sub("", printed(render_markdown(mark * depth + "stop"), width))
    assert "stop" in out


@given(MARKDOWN, st.sampled_from([20, 80]))
def test_any_markdown_renders_safely(text: str, width: int) -> None:
    assert is_safe(render_markdown(text), width)
