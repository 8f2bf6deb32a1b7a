"""Outputs that were made to end, delay or deceive whatever shows them."""

import base64
from typing import Any

from hypothesis import strategies as st

from tests.support.build_events import stream
from tests.support.rendered_text import HOSTILE, MARKDOWN, TERMINAL_TEXTS


def bundle(**data: Any) -> dict[str, Any]:
    """Build an output. `text__html=…` is the mime type `text/html`, `image__svg_xml` an SVG."""
    mimes = {name.replace("__", "/").replace("svg_xml", "svg+xml"): data[name] for name in data}
    return {"output_type": "display_data", "data": mimes, "metadata": {}}


def svg(inside: str) -> dict[str, Any]:
    head = '<svg xmlns="http://www.w3.org/2000/svg" width="100" height="100">'
    return bundle(image__svg_xml=f"{head}{inside}</svg>", text__plain="<Figure>")


CRASHING_SVG = svg("<g>" * 50_000 + "</g>" * 50_000)
ENDLESS_SVG = svg(
    '<filter id="f"><feTurbulence baseFrequency="0.05" numOctaves="2000000000"/></filter>'
    '<rect width="100" height="100" filter="url(#f)"/>'
)
# The views of these take seconds of processor time.
SLOW = {
    "LaTeX of unknown macros",
    "ampersands",
    "ampersands in a table",
    "brackets in Markdown",
    "tables in a table",
    "a wide table",
}
_CHART_MARKER = "(function(spec, embedOpt){"
_DEEP: dict[str, Any] = {}
for _ in range(400):
    _DEEP = {"a": _DEEP}

# Each was an attack that took the console away, or is a near relative of one.
CORPUS: dict[str, dict[str, Any]] = {
    "LaTeX that the parser can't read": bundle(text__latex=r"\href{a}{b}"),
    "LaTeX without an end": bundle(text__latex=r"$\frac{" * 200),
    "LaTeX of unknown macros": bundle(text__latex=r"\begin{x}\verb|" + "\\a" * 5_000),
    "SVG nested too deep": CRASHING_SVG,
    "SVG that is none": bundle(image__svg_xml="<svg"),
    "PNG that is none": bundle(image__png=base64.b64encode(b"\x89PNG\r\n\x1a\n" * 9).decode()),
    "picture that is no base64": bundle(image__jpeg="*" * 1_000),
    "markers of a chart": bundle(text__html="vega-embed" + _CHART_MARKER * 20_000),
    "ampersands": bundle(text__html="&" * 1_000_000),
    "ampersands in a table": bundle(text__html="<table><tr><td>" + "&" * 1_000_000),
    "ampersands in Markdown": bundle(text__markdown="&" * 250_000),
    "ampersands as text": bundle(text__plain="&" * 300_000),
    "brackets in Markdown": bundle(text__markdown="[" * 20_000 + "`" * 20_000),
    "quotes in Markdown": bundle(text__markdown=">" * 5_000),
    "tables in a table": bundle(text__html="<table><tr><td>" * 2_000),
    "one long number": bundle(text__html=f"<table><tr><td>{'1' * 100_000}e5</table>"),
    "a table of spans": bundle(
        text__html="<table>" + "<tr><td rowspan=9999 colspan=9999>" * 500 + "</table>"
    ),
    "a wide table": bundle(
        text__html="<table>" + ("<tr>" + "<td>1" * 200 + "</tr>") * 400 + "</table>"
    ),
    "deep JSON": bundle(application__json=_DEEP),
    "wide JSON": bundle(application__json=[[0]] * 20_000),
    "half a surrogate pair": bundle(text__html="<b>\ud800</b>", text__plain="\udfff"),
    "half a surrogate pair in a picture": bundle(image__svg_xml="<svg \ud800"),
    "controls": bundle(text__html=f"<b>{HOSTILE}</b>", text__plain=HOSTILE),
    "a chart that is none": bundle(**{"application__vnd.plotly.v1+json": {"data": [1]}}),
    "numbers for a mime type": bundle(text__html=5, text__plain=[1, None]),
    "no data": {"output_type": "display_data", "metadata": {}},
    "no traceback": {"output_type": "error", "ename": "E", "evalue": "v"},
    "a traceback of arrows": {
        "output_type": "error",
        "ename": "E",
        "evalue": "v",
        "traceback": ["Cell In[1], line 1\n" + "-" * 100_000, "File x:1\n" + " " * 100_000 + "^"],
    },
    "colours without an end": stream("\x1b[31m" * 50_000),
    "a cursor that goes up": stream("x\n" * 20 + "\x1b[12Ay\r" * 20_000),
    "one line": stream("x" * 500_000),
    "backspaces": stream("ab\b" * 50_000),
    "combining letters": stream("e" + "\u0301" * 50_000),
}

_FRAGMENTS = st.sampled_from(
    [
        *("&", "<", ">", "&#", "&amp;", "<b>", "</b>", "<table>", "<tr>", "<td colspan=9>"),
        *("<svg>", "<g>", "<!--", "<style>", "<script>", "<pre>", "<a href='", '"', "'", "\x00"),
        *("\\href", "{", "}", "$", "\\frac", "\\begin{align}", "\\verb", "^", "_", "\\"),
        *("[", "]", "(", ")", "*", "`", "#", "|", "\n", "\t", " ", "1", "e5", ".", ",", "a", "日"),
        *("\ud800", "\u202e", "\x1b[31m", "\x1b[2J", "vega-embed", _CHART_MARKER, "})({", "{}"),
    ]
)
_REPEATED = st.tuples(_FRAGMENTS, st.integers(1, 3_000)).map(lambda part: part[0] * part[1])
_TEXTS = (
    st.lists(_FRAGMENTS | _REPEATED | st.text(max_size=5), max_size=12).map("".join)
    | TERMINAL_TEXTS
    | MARKDOWN
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=20,
)
_MIMES = st.sampled_from(
    [
        *("text/plain", "text/html", "text/markdown", "text/latex", "application/json"),
        *("image/svg+xml", "image/png", "application/vnd.plotly.v1+json", "text/x-unknown"),
        *("application/vnd.vegalite.v6+json", "application/vnd.jupyter.widget-view+json", "\x1b"),
    ]
)
_BUNDLES = st.dictionaries(_MIMES, _TEXTS | st.lists(_TEXTS, max_size=3) | _JSON, max_size=4)
# As the protocol lets a kernel send them: the keys are there, and their values may be anything.
OUTPUTS = st.one_of(
    _BUNDLES.map(lambda data: {"output_type": "display_data", "data": data, "metadata": {}}),
    _TEXTS.map(stream),
    st.fixed_dictionaries(
        {
            "output_type": st.just("error"),
            "ename": st.text(max_size=9),
            "evalue": _TEXTS,
            "traceback": st.lists(_TEXTS, max_size=4),
        }
    ),
)
