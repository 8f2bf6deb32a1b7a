"""Outputs as plain text, from the mime bundles that IPython itself makes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.formatters import DisplayFormatter
from IPython.display import HTML, JSON, IFrame, Image, Javascript, Latex, Markdown, Math

from nbrun.views.export.output_text import output_text
from tests.support.build_events import display, stream

WHERE = "nbrun export last --html"


class Plain:
    """An object without a text of its own."""

    def _repr_html_(self) -> str:
        return "<table><tr><td>host</td><td>db1</td></tr></table>"


def shown(value: Any) -> str:
    data, metadata = DisplayFormatter().format(value)
    return output_text({"output_type": "display_data", "data": data, "metadata": metadata}, WHERE)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Markdown("**done**: 3 of 3"), "**done**: 3 of 3"),
        (HTML("<p>done: <b>3</b> of 3</p><script>x()</script>"), "done: 3 of 3"),
        (Latex(r"$\frac{a}{b}^2$"), "a/b²"),
        (Math(r"\alpha"), "α"),
        (JSON({"free": 3}), '{\n "free": 3\n}'),
        (Plain(), "host  db1"),
        (Image(url="https://a.example/p.png"), "[image not carried: (https://a.example/p.png)]"),
        (IFrame("https://a.example/x", 1, 1), "[frame not carried: (https://a.example/x)]"),
        (Javascript("alert(1)"), f"(application/javascript, 1 kB; not in this summary: {WHERE})"),
        ([1, 2], "[1, 2]"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_displayed_object_is_text_and_never_bare_repr(value: Any, expected: str) -> None:
    assert shown(value).strip() == expected


def test_picture_is_described_with_its_size() -> None:
    output = display(image_png="AAAA", text_plain="<Figure size 640x480 with 1 Axes>")
    assert output_text(output, WHERE) == (
        "(image/png, 1 kB: <Figure size 640x480 with 1 Axes>; "
        "not in this summary: nbrun export last --html)"
    )


def test_chart_is_described() -> None:
    figure = {"data": [{"type": "bar"}], "layout": {"title": "Free"}}
    output = display() | {"data": {"application/vnd.plotly.v1+json": figure}}
    assert output_text(output, WHERE).startswith("(a plotly chart (1 × bar) “Free”; not in")


def test_error_is_shortened() -> None:
    deeper = "Cell In[1], line 2, in f(n)\n----> 2     return f(n+1)\n"
    output = {"output_type": "error", "ename": "E", "evalue": "", "traceback": [deeper] * 971}
    assert output_text(output, WHERE).endswith("  … the last frame 970 times more")


def test_blank_display_is_nothing() -> None:
    output = display(text_plain="", text_html="<pre></pre>\n")
    assert output_text(output, WHERE) == ""


def test_bars_that_overwrite_themselves_are_their_last_state() -> None:
    assert output_text(stream("0 %\r99 %"), WHERE) == "99 %"


@given(st.dictionaries(st.text(), st.none() | st.integers() | st.lists(st.integers())))
def test_malformed_output_never_fails(output: dict[str, Any]) -> None:
    output_text(output, WHERE)
    output_text({"output_type": "display_data", "data": output}, WHERE)
