"""HTML tables with spans on a terminal."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from nbrun.views.render.html import HtmlTable, TableCell, text_and_tables
from nbrun.views.render.html_table import TableView


def lines(table: HtmlTable | str, width: int = 80, most: int = 40) -> list[str]:
    if isinstance(table, str):
        (found,) = text_and_tables(table)
        assert isinstance(found, HtmlTable)
        table = found
    file = io.StringIO()
    Console(file=file, width=width).print(TableView(table, max_rows=most))
    return file.getvalue().splitlines()


def rows(*rows: str) -> str:
    """Return an HTML table. Each row is given as words; the first row is the head."""
    head, *body = (row.split() for row in rows)
    body_html = "".join("<tr>" + "".join(f"<td>{word}" for word in row) for row in body)
    return f"<table><thead><tr>{''.join(f'<th>{word}' for word in head)}</thead>{body_html}</table>"


def test_numbers_aligned_at_decimal_point() -> None:
    assert lines(rows("host size", "db1 1.5", "web12 1000.25", "x -3")) == [
        "host      size",
        "─────  ───────",
        "db1       1.5",
        "web12  1000.25",
        "x        -3",
    ]


def test_column_with_words_not_aligned_as_numbers() -> None:
    assert lines(rows("a b", "1 x", "10 3"))[2:] == [" 1  x", "10  3"]
    assert lines(rows("a b", "1 x", "10 3", "y 4"))[2:] == ["1   x", "10  3", "y   4"]


def test_spanning_cell_written_once() -> None:
    html = (
        "<table><thead><tr><th><th colspan=2>disk</tr><tr><th>host<th>a<th>b</thead>"
        "<tr><th rowspan=2>db1<td>1<td>2<tr><td>3<td>4</table>"
    )
    assert lines(html) == [
        "      disk",
        "host  a  b",
        "────  ─  ─",
        "db1   1  2",
        "      3  4",
    ]


def test_middle_rows_left_out_and_counted() -> None:
    table = rows("n", *(f"{n}" for n in range(100)))
    assert lines(table, most=4) == [" n", "──", " 0", " 1", "… 96 more rows …", "98", "99"]
    assert len(lines(table, most=0)) == 102


def test_span_starting_in_hidden_rows_written_at_first_visible_row() -> None:
    body = "<tr><td>a" + "<tr><td>a" + "<tr><td rowspan=3>big<td>1" + "<tr><td>2" + "<tr><td>3"
    shown = lines(f"<table>{body}</table>", most=2)
    assert shown == ["a", "… 3 more rows …", "big  3"]


def test_wide_table_omits_columns_without_breaking_numbers() -> None:
    table = rows("a b c d e f", "123456 223456 323456 423456 523456 623456")
    shown = lines(table, width=30)
    assert shown[2].split() == ["123456", "223456", "…", "623456"]
    assert shown[-1] == "… 3 more columns"


def test_long_text_wrapped_not_lost() -> None:
    words = " ".join(f"word{n}" for n in range(20))
    shown = lines(f"<table><tr><td>{words}<td>1</table>", width=30)
    text = " ".join(" ".join(shown).split()).replace(" 1", "", 1)
    assert all(f"word{n}" in text for n in range(20))


def test_controls_in_cells_have_no_effect() -> None:
    assert "\x1b" not in "".join(lines("<table><tr><td>\x1b[2Jx<td>\u202ey</table>"))


def test_table_with_a_million_spanned_cells_laid_out_fast() -> None:
    head = "<td rowspan=9999 colspan=999>x</td>" * 50
    assert lines(f"<table><tr>{head}</tr>{'<tr><td>1</tr>' * 5_000}</table>")


CELLS = st.builds(
    TableCell,
    text=st.text(max_size=9),
    header=st.booleans(),
    rowspan=st.integers(1, 4),
    colspan=st.integers(1, 4),
    align=st.sampled_from(["", "left", "right", "center"]),
)
TABLES = st.builds(
    HtmlTable, rows=st.lists(st.lists(CELLS, max_size=5), max_size=8), header_rows=st.integers(0, 2)
).filter(lambda table: table.header_rows <= len(table.rows))


@given(TABLES, st.integers(12, 100), st.integers(0, 5))
def test_table_never_wider_than_screen(table: HtmlTable, width: int, most: int) -> None:
    assert all(cell_len(line) <= width for line in lines(table, width, most))


@pytest.mark.parametrize("width", [1, 2, 5, 11])
def test_table_rendered_at_any_width(width: int) -> None:
    assert lines(rows("a b", "1 x", "2 y"), width=width)
