"""Outputs cut in their middle to a number of rows of the terminal."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, Group, RenderableType
from rich.text import Text

from nbrun.views.render import mime
from nbrun.views.render.terminal_text import screen_text
from nbrun.views.terminal.row_limit import RowLimit, count_rows, first_rows, last_rows

WIDTH = 20


def rows(shown: RenderableType) -> list[str]:
    """Return the rows of a terminal that wraps its lines."""
    console = Console(file=io.StringIO(), width=WIDTH)
    with console.capture() as captured:
        console.print(shown, crop=False)
    lines = captured.get().splitlines()
    return [line[at : at + WIDTH] for line in lines for at in range(0, max(1, len(line)), WIDTH)]


def limited(shown: RenderableType, most: int) -> list[str]:
    return rows(RowLimit(most, lambda: WIDTH).limit(shown))


def test_one_long_line_is_cut_in_rows() -> None:
    shown = limited(screen_text("a" * 1_000_000 + "z" * 100), 4)
    assert shown[:2] == ["a" * WIDTH] * 2
    assert shown[-2:] == ["z" * WIDTH] * 2
    assert "".join(shown[2:-2]) == "… 50,001 of 50,005 lines left out here"


@pytest.mark.parametrize("shown", [Text("a\nb\nc"), Group(Text("a"), Text("b"), Text("c"))])
def test_output_that_fits_is_unchanged(shown: RenderableType) -> None:
    assert limited(shown, 3) == ["a", "b", "c"]
    assert limited(shown, 0) == ["a", "b", "c"]


def test_single_row_is_not_replaced_by_a_row_about_it() -> None:
    assert limited(Text("a\nb\nc\nd"), 3) == ["a", "b", "c", "d"]


def test_markdown_is_cut_in_rows() -> None:
    shown = limited(mime.render_markdown("\n\n".join(f"line {n}" for n in range(100))), 4)
    assert shown[0].rstrip() == "line 0"
    assert shown[-1].rstrip() == "line 99"
    assert len(shown) < 8


@given(st.text("ab\n語é", max_size=200), st.integers(1, 9))
def test_both_ends_take_the_rows_asked_for(text: str, many: int) -> None:
    shown = Text(text)
    total = count_rows(text, WIDTH)
    for part, whole in ((first_rows, text.startswith), (last_rows, text.endswith)):
        cut = part(shown, many, WIDTH).plain
        assert whole(cut)
        assert count_rows(cut, WIDTH) <= max(1, min(many, total))
