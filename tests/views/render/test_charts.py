"""Charts that need scripts: their descriptions, and the frames that draw them."""

import base64
import hashlib
import json
import re

import pytest

from nbrun.views.export import outputs
from nbrun.views.render import charts, safe_html
from tests.support.run_builder import display

BAR = {"data": [{"type": "bar", "x": [1], "y": [2]}], "layout": {"title": {"text": "Free"}}}
ALTAIR = """<div id="altair-viz-1"></div><style>#altair-viz-1.vega-embed { width: 100% }</style>
<script type="text/javascript">(function(spec, embedOpt){ let x; (function() {})(); })({
"mark": "bar", "title": "</Free>"}, {"mode": "vega-lite"});</script>"""


@pytest.mark.parametrize(("kind", "figure", "description"), [
    ("plotly", BAR, "a plotly chart (1 × bar) “Free”"),
    ("plotly", {"data": 3, "layout": None}, "a plotly chart"),
    ("vega", {"title": {"text": "Free"}}, "a Vega chart “Free”"),
    ("vega", {"title": "x" * 200}, f"a Vega chart “{'x' * 80}…”"),
])  # fmt: skip
def test_chart_described_by_library_traces_and_title(
    kind: charts.Kind, figure: dict[str, object], description: str
) -> None:
    assert charts.describe(kind, figure) == description


def test_figure_restored_from_altair_html() -> None:
    made = charts.restore_figures({"text/html": ALTAIR, "text/plain": "alt.Chart(...)"})
    (found,) = [value for mime, value in made.items() if charts.kind_of(mime) == "vega"]
    assert found == {"mark": "bar", "title": "</Free>"}


def test_figure_restored_from_notebook_text() -> None:
    spec = {"mark": "bar", "title": "Free"}
    bundle = outputs.valid_data({"application/vnd.vegalite.v6.json": spec, "text/plain": "x"})
    assert charts.restore_figures(bundle) == {
        "application/vnd.vegalite.v6.json": spec,
        "text/plain": "x",
    }
    assert "data-library=" in safe_html.output({"output_type": "display_data", "data": bundle})
    for malformed in ("{", ["[", 3], "[" * 100_000):
        kept = {"application/vnd.vegalite.v6.json": malformed}
        assert charts.restore_figures(kept) == kept


@pytest.mark.parametrize(
    "source", ["<p>vega-embed</p>", ALTAIR[:-60], ALTAIR.replace('"mark', "\\"), 7]
)
def test_html_without_altair_call_unchanged(source: object) -> None:
    assert charts.restore_figures({"text/html": source}) == {"text/html": source}


def test_hostile_figure_ends_neither_frame_nor_script() -> None:
    hostile = '</script><script>alert(1)</script>"><img src=x onerror=alert(2)>&quot;'
    figure = {"data": [{"name": hostile}], "layout": {"title": hostile}}
    made = charts.render_frame("plotly", figure, hostile) or ""
    assert made.count("<") == 2  # the frame's tags
    assert made.count('"') == 2 * len(re.findall(r'="', made))
    inside = re.search(r'srcdoc="([^"]*)"', made)
    assert inside is not None
    assert inside[1].count("&lt;script") == 2
    assert "alert(1)&lt;" not in inside[1]


def test_script_policy_lists_exactly_the_page_scripts() -> None:
    assert charts.script_policy(set()) == "'none'"
    page = (charts.render_frame("plotly", BAR, "t") or "") + charts.render_libraries({"plotly"})
    scripts = re.findall(r"&lt;script&gt;(.*?)&lt;/script&gt;", page, re.S)
    assert len(scripts) == 2
    plain = [
        each.replace("&quot;", '"')
        .replace("&gt;", ">")
        .replace("&lt;", "<")
        .replace("&amp;", "&")
        .replace("&#x27;", "'")
        for each in scripts
    ]
    hashes = [base64.b64encode(hashlib.sha256(each.encode()).digest()).decode() for each in plain]
    named = re.findall(r"'sha256-([^']*)'", charts.script_policy({"plotly"}))
    assert named[:2] == hashes
    assert len(named) == 3
    assert "unsafe" not in charts.script_policy({"plotly"})


def test_undrawable_chart_described_with_its_data(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = display() | {"data": {"application/vnd.plotly.v1+json": BAR}}
    assert "<iframe" in safe_html.output(bundle)
    monkeypatch.setattr(charts, "_MAX_FIGURE", 10)
    made = safe_html.output(bundle)
    assert "<iframe" not in made
    assert "a plotly chart (1 × bar) “Free”" in made
    assert "nbrun-cli[charts]" in made
    assert escaped_json(BAR) in made
    monkeypatch.setattr(charts, "_MAX_FIGURE", 10**6)
    monkeypatch.setitem(charts._PACKAGES, "plotly", "no_such_package")
    assert safe_html.output(bundle) == made


def escaped_json(figure: dict[str, object]) -> str:
    return json.dumps(figure, indent=2).replace('"', "&quot;")


@pytest.mark.parametrize(
    ("wanted", "given"), [(300, 300), (10**9, 900), (-5, 120), ("9", 450), (True, 450)]
)
def test_frame_height_limited_to_a_screen(wanted: object, given: int) -> None:
    made = charts.render_frame("plotly", {"data": [], "layout": {"height": wanted}}, "t")
    assert f'height="{given}"' in (made or "")
