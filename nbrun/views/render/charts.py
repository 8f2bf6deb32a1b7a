"""Plotly and Vega charts: described in words, and drawn in sandboxed frames of the report.

The only importer of plotly and vl_convert.

A frame is sandboxed into an origin of its own, so its scripts cannot reach the page. The page's
Content Security Policy keeps them from any server. The policy lists the hashes of the scripts that
may run: two of nbrun's own, and the chart libraries. The page contains each library once, in a
hidden frame that sends it to the frames with charts. No script comes from a kernel: a figure is
data.
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

from nbrun.views.render.nbformat_text import join, truncate

Kind = Literal["plotly", "vega"]

_MAX_FIGURE = 5_000_000  # characters of JSON; a longer figure is not drawn
_DEFAULT_HEIGHT = {"plotly": 450, "vega": 360}  # pixels
_MIN_HEIGHT, _MAX_HEIGHT = 120, 900  # pixels
_PACKAGES: dict[Kind, str] = {"plotly": "plotly", "vega": "vl_convert"}
_MIME_PREFIXES: dict[Kind, str] = {
    "plotly": "application/vnd.plotly",
    "vega": "application/vnd.vega",
}
_ANY_MIME_PREFIX = tuple(_MIME_PREFIXES.values())
_NAMES: dict[Kind, str] = {"plotly": "plotly", "vega": "Vega"}
_VEGA_LITE = "application/vnd.vegalite.v6+json"
# The call in altair's HTML: `(function(spec, embedOpt){…})({…}, {"mode": …});`
_ALTAIR_FUNCTION = re.compile(r"\(function\(spec, embedOpt\)\s*+\{")
_ALTAIR_ARGUMENTS = "})({"

_FRAME = re.compile(r'^<iframe class="chart" data-library="(\w+)"')


def kind_of(mime: str) -> Kind | None:
    """Return the library that draws a mime type, or None if it is not a chart."""
    if not mime.startswith(_ANY_MIME_PREFIX):
        return None
    return next((each for each in get_args(Kind) if mime.startswith(_MIME_PREFIXES[each])), None)


def restore_figures(data: dict[str, Any]) -> dict[str, Any]:
    """Return a mime bundle whose charts are parsed figures.

    Two forms need parsing. A notebook stores altair's `….v6.json` as text, since nbformat treats
    only `+json` types as JSON. And by default altair puts its chart into a script of its HTML.
    """
    if any(map(kind_of, data)):
        return {mime: _parsed(value) if kind_of(mime) else value for mime, value in data.items()}
    source = data.get("text/html")
    text = "".join(source) if isinstance(source, list) else source
    if not isinstance(text, str) or "vega-embed" not in text:
        return data
    function = _ALTAIR_FUNCTION.search(text)
    arguments = text.find(_ALTAIR_ARGUMENTS, function.end()) if function else -1
    if arguments < 0:
        return data
    try:
        spec, _ = json.JSONDecoder().raw_decode(text, arguments + len(_ALTAIR_ARGUMENTS) - 1)
    except (ValueError, RecursionError):
        return data
    return {_VEGA_LITE: spec, **data}


def _parsed(value: Any) -> Any:
    try:
        return json.loads(join(value))
    except (TypeError, ValueError, RecursionError):
        return value


def describe(kind: Kind, figure: dict[str, Any]) -> str:
    """Return a description such as `a plotly chart (1 × bar) “Free”`."""
    details = _plotly_details(figure) if kind == "plotly" else _quoted(figure.get("title"))
    return f"a {_NAMES[kind]} chart{details}"


def _plotly_details(figure: dict[str, Any]) -> str:
    data = figure.get("data")
    traces = [each for each in data if isinstance(each, dict)] if isinstance(data, list) else []
    types = sorted({truncate(str(each.get("type", "scatter")), 40) for each in traces})
    layout = figure.get("layout")
    title = layout.get("title") if isinstance(layout, dict) else None
    return f" ({len(traces)} × {', '.join(types[:5])})" * bool(types) + _quoted(title)


def _quoted(title: Any) -> str:
    text = title.get("text") if isinstance(title, dict) else title
    return f" “{truncate(text, 80)}”" if isinstance(text, str) and text else ""


# ── frames of the report ─────────────────────────────────────────────────────────────────────


def render_frame(kind: Kind, figure: dict[str, Any], title: str) -> str | None:
    """Return a frame, with a title, that draws a figure.

    Return None if the library is not installed, or if the figure is too long.
    """
    if importlib.util.find_spec(_PACKAGES[kind]) is None:
        return None
    data = json.dumps(figure)
    if len(data) > _MAX_FIGURE:
        return None
    inside = (
        f'<body data-library="{kind}"><style>{_template("frame.css")}</style><div id="chart">'
        f"<p>Scripts draw this chart, and they are switched off here.</p></div>"
        f'<script type="application/json" id="figure">{_escape_json(data)}</script>'
        f"<script>{_template('frame.js')}</script>"
    )
    height = _height(kind, figure)
    opening = f'<iframe class="chart" data-library="{kind}" height="{height}"'
    return f"{opening} {_attributes(title, inside)}></iframe>"


def kinds_in(outputs: Iterable[str]) -> set[Kind]:
    """Return the kinds of the charts whose frames are among these pieces of HTML."""
    found = {mark for each in outputs for mark in _FRAME.findall(each)}
    return {each for each in get_args(Kind) if each in found}


def render_libraries(kinds: Iterable[Kind]) -> str:
    """Return the hidden frames that send the libraries to the others, for the page's end."""
    pages = ((f"the {_NAMES[each]} library", _library_page(each)) for each in sorted(kinds))
    return "".join(f"<iframe hidden {_attributes(*page)}></iframe>" for page in pages)


def script_policy(kinds: Iterable[Kind]) -> str:
    """Return the page's `script-src`: the hashes of the scripts that charts of `kinds` need."""
    needed = sorted(kinds)
    if not needed:
        return "'none'"
    scripts = [_template("frame.js"), _template("library.js"), *map(_library, needed)]
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
        return _DEFAULT_HEIGHT[kind]
    return int(max(_MIN_HEIGHT, min(_MAX_HEIGHT, wanted))) + (60 if kind == "vega" else 0)


def _escape_json(data: str) -> str:
    """Escape JSON so that it cannot end its script element."""
    return data.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _library_page(kind: Kind) -> str:
    packed = base64.b64encode(gzip.compress(_library(kind).encode(), 9, mtime=0)).decode()
    return (
        f'<!--{_template(f"{kind}-licence.txt")}--><body data-library="{kind}">'
        f'<script type="text/plain" id="library">{packed}</script>'
        f"<script>{_template('library.js')}</script>"
    )


@lru_cache
def _library(kind: Kind) -> str:
    if kind == "plotly":
        from plotly.offline import get_plotlyjs

        return str(get_plotlyjs())
    from vl_convert import javascript_bundle

    return str(javascript_bundle("window.vegaEmbed = vegaEmbed"))


@lru_cache
def _template(name: str) -> str:
    return (resources.files("nbrun.views.render") / "templates" / name).read_text("utf-8").strip()


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
