"""Text and tables read from HTML."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbrun.views.render.html import HtmlTable, TableCell, text_and_tables, to_text

TAGS = st.sampled_from(
    ["<p>", "</p>", "<table>", "</table>", "<tr>", "<td>", "<th rowspan=3>", "<pre>", "x", "<!-- ",
     "-->", "<script>", "</script>", "<td colspan=9999>", "&lt;", "<![", "<b", "\x1b[2J", "<thead>"]
)  # fmt: skip


def only_table(html: str) -> HtmlTable:
    (table,) = text_and_tables(html)
    assert isinstance(table, HtmlTable)
    return table


def test_text_and_tables_come_in_order() -> None:
    before, table, after = text_and_tables("<h1>A</h1><table><tr><td>1</table><p>b\n c")
    assert (before, after) == ("A", "b c")
    assert isinstance(table, HtmlTable)


def test_table_spans_headers_and_alignment_parsed() -> None:
    table = only_table(
        "<table><caption>Disks</caption><thead><tr style='text-align: right'><th colspan=2>a</tr>"
        "</thead><tbody><tr><th rowspan=2>x<td>1</td></tr><tr><td>2</tbody></table>"
    )
    assert (table.caption, table.header_rows) == ("Disks", 1)
    assert table.rows[0] == [TableCell("a", header=True, align="right", colspan=2)]
    assert table.rows[1] == [TableCell("x", header=True, rowspan=2), TableCell("1")]


def test_leading_th_rows_are_the_head_without_thead() -> None:
    assert only_table("<table><tr><th>a<th>b<tr><td>1<td>2</table>").header_rows == 1
    assert only_table("<table><tr><th>a<td>b<tr><td>1<td>2</table>").header_rows == 0


def test_nested_table_becomes_its_cell_text() -> None:
    table = only_table("<table><tr><td><table><tr><td>in</td></tr></table></td><td>2</table>")
    assert [[cell.text for cell in row] for row in table.rows] == [["in", "2"]]


@pytest.mark.parametrize(
    "hidden",
    ["<script>alert(1)</script>", "<style>p{}</style>", "<p style='display:none'>no</p>",
     "<!-- no -->", "<template>no</template>"],
)  # fmt: skip
def test_hidden_elements_are_skipped(hidden: str) -> None:
    assert text_and_tables(f"{hidden}<p>yes</p>") == ["yes"]


def test_middle_rows_skipped_and_counted_in_long_table() -> None:
    table = only_table("<table>" + "<tr><td>1" * 3_000 + "</table>")
    assert (len(table.rows), table.skipped_rows) == (1_000, 2_000)


def test_text_read_at_1500_nested_elements() -> None:
    assert text_and_tables("<div>" * 1_500 + "deep") == ["deep"]


@pytest.mark.parametrize(
    "nested",
    ["<div>", "<DIV class='x'>", "<div></x>", "<b>", "<table><tr><td>", "<div><div></div>"],
)
def test_page_nested_too_deep_read_in_seconds(nested: str) -> None:
    """Without the limit, the parser takes an hour and ignores Ctrl-C."""
    page = f"<style>p {{}}</style>{nested * 150_000}<p>deep &amp; dark</p>{'</div>' * 9}"
    began = time.process_time()
    assert text_and_tables(page) == ["deep & dark"]
    assert time.process_time() - began < 10


def test_long_flat_page_keeps_its_tables() -> None:
    script = f"<script>{'if (a<b && c<d) {}' * 2_000}</script>"
    rows = "<tr><td>1<td>2" * 3_000
    (table,) = text_and_tables(f"{script}{'<p>' * 3_000}<table>{rows}</table>{'<br>' * 3_000}")
    assert isinstance(table, HtmlTable)
    assert len(table.rows) + table.skipped_rows == 3_000


def test_image_named_by_alt_text() -> None:
    assert to_text("<p>a<img alt='the plan' src='file:///etc/passwd'>b") == "a [image: the plan] b"


@given(st.lists(TAGS | st.text(max_size=4), max_size=40).map("".join))
def test_any_page_gives_text(html: str) -> None:
    assert isinstance(to_text(html), str)
