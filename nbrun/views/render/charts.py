"""Charts that need scripts: plotly's and Vega's. What they hold, in words; and a page's frames that
draw them. The only importer of plotly and vl_convert.

A frame is sandboxed into an origin of its own: its scripts reach neither the page nor, by the
page's Content Security Policy, any server. That policy names the scripts that may run by their
hashes: two of ours, and the libraries, which stand in the page once, each in a hidden frame that
hands it to those with charts. Nothing that a kernel wrote is a script there: a figure is data.
"""

import base64
import gzip
import hashlib
import html
import importlib.util
import json
import re
from collections.abc import Iterable
from functools import lru_cache
from importlib import resources
from typing import Any, Literal, get_args

Kind = Literal["plotly", "vega"]

_LONGEST = 5_000_000  # characters of a figure that is drawn
_HEIGHT = {"plotly": 450, "vega": 360}  # pixels, where a figure says none
_LOWEST, _HIGHEST = 120, 900
_PACKAGES: dict[Kind, str] = {"plotly": "plotly", "vega": "vl_convert"}
_MARKS: dict[Kind, str] = {
    "plotly": "application/vnd.plotly",
    "vega": "application/vnd.vega",
}
_ANY_MARK = tuple(_MARKS.values())
_NAMES: dict[Kind, str] = {"plotly": "plotly", "vega": "Vega"}
_VEGA_LITE = "application/vnd.vegalite.v6+json"
# How altair's own HTML calls its script: `(function(spec, embedOpt){…})({…}, {"mode": …});`
_ALTAIR = re.compile(r"\(function\(spec, embedOpt\)\s*\{.*?\}\)\((?=\{)", re.S)

_FRAME = re.compile(r'^<iframe class="chart" data-library="(\w+)"')


def kind_of(mime: str) -> Kind | None:
    if not mime.startswith(_ANY_MARK):
        return None
    return next((each for each in get_args(Kind) if mime.startswith(_MARKS[each])), None)


def restore_figures(data: dict[str, Any]) -> dict[str, Any]:
    """A mime bundle, its charts as figures. A notebook keeps altair's `….v6.json` as text, since
    nbformat knows `+json` alone; and by default altair's chart stands in a script of its HTML."""
    if any(map(kind_of, data)):
        return {mime: _parsed(value) if kind_of(mime) else value for mime, value in data.items()}
    source = data.get("text/html")
    text = "".join(source) if isinstance(source, list) else source
    if not isinstance(text, str) or "vega-embed" not in text:
        return data
    call = _ALTAIR.search(text)
    if call is None:
        return data
    try:
        spec, _ = json.JSONDecoder().raw_decode(text, call.end())
    except (ValueError, RecursionError):
        return data
    return {_VEGA_LITE: spec, **data}


def _parsed(value: Any) -> Any:
    try:
        text = "".join(value) if isinstance(value, list) else value
        return json.loads(text) if isinstance(text, str) else value
    except (TypeError, ValueError, RecursionError):
        return value


def describe(kind: Kind, figure: dict[str, Any]) -> str:
    """`a plotly chart (1 × bar) “Free”`."""
    told = _traces(figure) if kind == "plotly" else _named(figure.get("title"))
    return f"a {_NAMES[kind]} chart{told}"


def _traces(figure: dict[str, Any]) -> str:
    data = figure.get("data")
    traces = [each for each in data if isinstance(each, dict)] if isinstance(data, list) else []
    kinds = sorted({_cut(str(each.get("type", "scatter")), 40) for each in traces})
    layout = figure.get("layout")
    title = layout.get("title") if isinstance(layout, dict) else None
    return f" ({len(traces)} × {', '.join(kinds[:5])})" * bool(kinds) + _named(title)


def _named(title: Any) -> str:
    text = title.get("text") if isinstance(title, dict) else title
    return f" “{_cut(text, 80)}”" if isinstance(text, str) and text else ""


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[:longest] + "…"


# ── a page's frames ──────────────────────────────────────────────────────────────────────────


def render_frame(kind: Kind, figure: dict[str, Any], title: str) -> str | None:
    """A frame that draws a figure, named `title`; None where its library is not installed, or the
    figure is too long."""
    if importlib.util.find_spec(_PACKAGES[kind]) is None:
        return None
    data = json.dumps(figure)
    if len(data) > _LONGEST:
        return None
    inside = (
        f'<body data-library="{kind}"><style>{_script("frame.css")}</style><div id="chart">'
        f"<p>This chart is drawn by scripts, and they are off here.</p></div>"
        f'<script type="application/json" id="figure">{_inert(data)}</script>'
        f"<script>{_script('frame.js')}</script>"
    )
    height = _height(kind, figure)
    opening = f'<iframe class="chart" data-library="{kind}" height="{height}"'
    return f"{opening} {_attributes(title, inside)}></iframe>"


def kinds_in(outputs: Iterable[str]) -> set[Kind]:
    """The kinds of the charts that frames among these pieces of HTML draw."""
    found = {mark for each in outputs for mark in _FRAME.findall(each)}
    return {each for each in get_args(Kind) if each in found}


def render_libraries(kinds: Iterable[Kind]) -> str:
    """The hidden frames that hand the libraries to the others, for the end of the page."""
    pages = ((f"the {_NAMES[each]} library", _library_page(each)) for each in sorted(kinds))
    return "".join(f"<iframe hidden {_attributes(*page)}></iframe>" for page in pages)


def script_policy(kinds: Iterable[Kind]) -> str:
    """The page's `script-src`: nothing, or these scripts to the letter."""
    allowed = sorted(kinds)
    if not allowed:
        return "'none'"
    scripts = [_script("frame.js"), _script("library.js"), *map(_library, allowed)]
    return " ".join(f"'sha256-{_hash(each)}'" for each in scripts)


def _attributes(title: str, inside: str) -> str:
    return (
        f'title="{html.escape(title, quote=True)}" sandbox="allow-scripts" '
        f'srcdoc="{html.escape(inside, quote=True)}"'
    )


def _height(kind: Kind, figure: dict[str, Any]) -> int:
    layout = figure.get("layout") if kind == "plotly" else figure
    wanted = layout.get("height") if isinstance(layout, dict) else None
    if not isinstance(wanted, int | float) or isinstance(wanted, bool):
        return _HEIGHT[kind]
    return int(max(_LOWEST, min(_HIGHEST, wanted))) + (60 if kind == "vega" else 0)


def _inert(data: str) -> str:
    """JSON that ends no script element."""
    return data.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _library_page(kind: Kind) -> str:
    packed = base64.b64encode(gzip.compress(_library(kind).encode(), 9, mtime=0)).decode()
    return (
        f'<!--{_script(f"{kind}-licence.txt")}--><body data-library="{kind}">'
        f'<script type="text/plain" id="library">{packed}</script>'
        f"<script>{_script('library.js')}</script>"
    )


@lru_cache
def _library(kind: Kind) -> str:
    if kind == "plotly":
        from plotly.offline import get_plotlyjs

        return str(get_plotlyjs())
    from vl_convert import javascript_bundle

    return str(javascript_bundle("window.vegaEmbed = vegaEmbed"))


@lru_cache
def _script(name: str) -> str:
    return (resources.files("nbrun.views.render") / "templates" / name).read_text("utf-8").strip()


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
