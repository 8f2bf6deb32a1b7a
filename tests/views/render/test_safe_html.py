"""Sanitized HTML of untrusted outputs, Markdown, text and sources."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbrun.views.render import safe_html
from nbrun.views.render.native import sanitizer
from tests.support.run_builder import display, stream

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5Erk"
    "Jggg=="
)


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>x</script>",
        "<img src=x onerror=alert(1)>",
        "<img src='https://evil.example/x.png'>",
        "<img src='data:image/svg+xml;base64,AAAA'>",
        "<a href='javascript:alert(1)'>x</a>",
        "<a href='data:text/html,x'>x</a>",
        "<iframe src='https://evil.example'></iframe>",
        "<form action='https://evil.example'><input></form>",
        "<p style='position:fixed;top:0'>x</p>",
        "<td style='background:url(https://evil.example)'>x</td>",
        "<meta http-equiv=refresh content='0;url=https://evil.example'>",
        "<base href='https://evil.example'>",
        "<svg onload=alert(1)><script>x</script></svg>",
        "<math><mtext><script>x</script></mtext></math>",
        "<p class='told ok' id='steps'>ok · 0.1 s</p>",
        "<style>body{display:none}</style>",
    ],
)
def test_active_html_removed(hostile: str) -> None:
    made = safe_html.output(display(text_html=f"{hostile}<p>stays</p>"))
    assert "stays" in made
    made = re.sub(r"\[\w+ not carried: \(https://evil[^)]*\)\]", "", made)  # text, and no link
    for each in ("script", "onerror", "onload", "javascript:", "evil", "position", "class='told",
                 'class="told', "id=", "<iframe", "<form", "<svg", "<style", "data:"):  # fmt: skip
        assert each not in made.replace('class="html"', ""), each


def test_tables_and_embedded_images_kept() -> None:
    made = safe_html.clean(
        f'<table><tr style="text-align: right;"><th colspan="2">a</th></tr></table>'
        f'<img alt="p" src="data:image/png;base64,{PIXEL}">'
    )
    assert 'colspan="2"' in made
    assert "text-align:right" in made.replace(" ", "")
    assert PIXEL in made


def test_svg_embedded_as_image_only() -> None:
    svg = {"image/svg+xml": "<svg><script>alert(1)</script></svg>"}
    made = safe_html.output({"output_type": "display_data", "data": svg, "metadata": {}})
    assert made.startswith("<img ")
    assert "<script" not in made


def test_cell_headings_moved_below_page_headings() -> None:
    assert safe_html.markdown("# A\n## B") == "<h4>A</h4>\n<h5>B</h5>\n"


def test_attachment_embedded_in_page() -> None:
    made = safe_html.markdown("![plan](attachment:p.png)", {"p.png": {"image/png": PIXEL}})
    assert f"data:image/png;base64,{PIXEL}" in made
    assert safe_html.markdown("![plan](https://evil.example/p.png)") == (
        "<p>[image not carried: plan (https://evil.example/p.png)]</p>\n"
    )


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ("<img src='https://a.example/p.png' alt='a map'>", "a map (https://a.example/p.png)"),
        ("<IMG SRC=plots/p.png>", "(plots/p.png)"),
        ("<iframe src='//a.example/x'></iframe>", "(//a.example/x)"),
        ("<video src='v.mp4'></video>", "(v.mp4)"),
    ],
)
def test_what_page_does_not_carry_is_named_with_address(source: str, named: str) -> None:
    made = safe_html.output(display(text_html=source))
    assert f"not carried: {named}]" in made
    assert "src=" not in made.lower()


def test_bare_repr_of_object_is_not_shown() -> None:
    made = safe_html.output(
        display(**{"text/plain": "<Javascript object>", "application/javascript": "alert(1)"})
    )
    assert made == '<p class="hint">application/javascript: not shown in a report</p>'


def test_text_keeps_colours_and_is_escaped() -> None:
    made = safe_html.output(stream("\x1b[31m<b>red</b>\x1b[0m 10 %\r\x1b[31m<i>"))
    assert '<span class="ansi31">' in made
    assert "<i>" not in made
    assert "&lt;i&gt;" in made


def test_controls_made_visible() -> None:
    for made in (
        safe_html.output(stream("\u202e\x1b]0;x\x07")),
        safe_html.source("\u202e", "text"),
    ):
        assert "\u202e" not in made
        assert "&lt;U+202E&gt;" in made


def test_long_text_cut_and_counted() -> None:
    assert "50,000 more characters" in safe_html.text("x" * (safe_html.MAX_CHARACTERS + 50_000))


def latex(source: str) -> str:
    return safe_html.output({"output_type": "display_data", "data": {"text/latex": source}})


@pytest.mark.parametrize("hostile", [
    r"$\text{<script>alert(1)</script>}$", r"$\text{<img src=x onerror=alert(1)>}$",
    r"$\href{javascript:alert(1)}{stays}$", r"$\style{position:fixed}{x}$", r"$\class{told}{x}$",
    r"$\hspace{9999em}x$", r"$\color{red}{x}$", r"\(</math><img src=x onerror=alert(1)>\)",
])  # fmt: skip
def test_hostile_formula_has_no_effect(hostile: str) -> None:
    made = latex(hostile).removeprefix('<div class="math">')
    for each in ("<script", "<img", "href", "style=", "class=", "9999", "red"):
        assert each not in made.replace("&lt;", "&lt; "), each


def test_phantom_formula_shown() -> None:
    assert "<mi>h</mi>" in latex(r"$\phantom{h}$")


@given(st.text(alphabet="\\{}$^_&<>abfrctx[]() ", max_size=40))
def test_any_latex_gives_only_mathml_tags(source: str) -> None:
    tags = re.findall(r"</?([^\s>]*)", latex(source))
    assert {*tags} <= {"div", *sanitizer._MATH_TAGS}


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["output_type", "text", "data", "traceback", "name"]), JSON))
def test_any_output_gives_html_without_scripts(shown: dict[str, object]) -> None:
    assert "<script" not in safe_html.output(shown)


@given(st.text(max_size=60))
def test_any_html_loses_its_scripts(source: str) -> None:
    assert "<script" not in safe_html.clean(source + "<script>x</script>").lower()


def test_html_nested_too_deep_cleaned_in_seconds() -> None:
    began = time.process_time()
    hostile = "<div>" * 150_000 + "deep &lt;b&gt;<script>alert(1)</script><img src=x onerror=y>"
    assert safe_html.clean(hostile).split() == ["deep", "&lt;b&gt;"]
    assert time.process_time() - began < 10
