"""Sanitized HTML of outputs, Markdown and sources, for the report. The only importer of nh3.

A kernel's HTML is reduced to text, tables, links and embedded images. It keeps no script, form or
frame, no style that could cover the page, and nothing that a browser would load from elsewhere.
Charts that need scripts get frames (see `charts`).
"""

import base64
import html
import io
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Console

from nbrun.views.render import charts, latex, mathml, traceback
from nbrun.views.render.html import limit_nesting, name_external
from nbrun.views.render.lexers import find_lexer
from nbrun.views.render.nbformat_text import join, without_bare_repr
from nbrun.views.render.terminal_text import screen_text
from nbrun.views.text.sanitize import visible, visible_source

MAX_CHARACTERS = 200_000  # of one text: browsers scroll longer ones badly, and the journal has all
_MAX_HTML = 5_000_000  # characters of an HTML output that are read
_MAX_UNFOLDED_LINES = 40  # a longer output is folded away

_TEXT_TAGS = """
a abbr b blockquote br caption cite code col colgroup dd del details dfn div dl dt em figcaption
figure h1 h2 h3 h4 h5 h6 hr i img ins kbd li mark ol p pre q s samp small span strong sub summary
sup table tbody td tfoot th thead time tr u ul var
"""
_TAGS = set(_TEXT_TAGS.split())
_DROPPED = {"script", "style", "template", "title", "noscript", "svg", "math", "textarea"}
_ATTRIBUTES = {
    "*": {"title", "lang", "dir"},
    "a": {"href"},
    "img": {"src", "alt", "width", "height"},
    "td": {"colspan", "rowspan", "style"},
    "th": {"colspan", "rowspan", "scope", "style"},
    "tr": {"style"},
    "ol": {"start"},
    "details": {"open"},
}
# MathML Core, without the elements that load, link, hide (`mphantom`) or run (`maction`).
_MATH = """
math mfrac mi mn mo mover mroot mrow mspace msqrt mstyle msub msubsup msup mtable mtd mtext mtr
munder munderover
"""
_MATH_TAGS = set(_MATH.split())
_MATH_ATTRIBUTES = {
    "math": {"display"},
    "mfrac": {"linethickness"},
    "mi": {"mathvariant"},
    "mo": {"accent", "fence", "form", "largeop", "maxsize", "minsize", "movablelimits", "stretchy"},
    "mover": {"accent"},
    "mspace": {"width"},
    "mstyle": {"displaystyle", "scriptlevel"},
    "mtable": {"columnalign", "columnlines", "columnspacing", "displaystyle", "rowlines"},
    "mtd": {"columnalign", "columnspan"},
    "munder": {"accentunder"},
}
# Keywords, and lengths too small to move anything far from its line.
_MATH_VALUE = re.compile(
    r"(?:(?:[a-z-]{1,24}|-?[0-9]{1,2}(?:\.[0-9]{1,4})?(?:em|ex|pt)?)(?: |$)){1,12}"
)
_STYLES = {"text-align", "font-weight", "font-style"}
_EMBEDDED_IMAGE = re.compile(r"data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]*", re.I)
_IMAGE_TYPES = ("image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml")
_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/=]")


def clean(source: str) -> str:
    """Return untrusted HTML with nothing but harmless tags, attributes and links.

    A picture or frame that a browser would load from elsewhere becomes text that names its address.
    """
    import nh3

    return nh3.clean(
        name_external(limit_nesting(source)),
        tags=_TAGS,
        clean_content_tags=_DROPPED,
        attributes=_ATTRIBUTES,
        attribute_filter=_filter_attribute,
        url_schemes={"http", "https", "mailto", "data"},
        filter_style_properties=_STYLES,
        link_rel="noopener noreferrer",
    )


def _filter_attribute(tag: str, name: str, value: str) -> str | None:
    if (tag, name) == ("img", "src"):
        return value if _EMBEDDED_IMAGE.fullmatch(value.strip()) else None
    if (tag, name) == ("a", "href"):
        return value if re.match(r"(https?|mailto):", value, re.I) else None
    return value


def markdown(
    source: str, attachments: dict[str, Any] | None = None, without_heading: str = ""
) -> str:
    """Return a Markdown cell as HTML, its headings three levels below where they were.

    `attachments` maps the names of a cell's images to mime bundles, as in nbformat.
    `without_heading`: the text of a heading that the page shows already.
    """
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    tokens = list(_without(parser.parse(visible(source)), without_heading))
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + 3)}"
        for child in token.children or ():
            if child.type == "image":
                child.attrs["src"] = _embed(str(child.attrs.get("src")), attachments or {})
    return clean(parser.renderer.render(tokens, parser.options, {}))


def _without(tokens: Iterable[Any], heading: str) -> Iterator[Any]:
    """Yield Markdown tokens without the three of a heading with this text."""
    rest = iter(tokens)
    for token in rest:
        if token.type != "heading_open" or not heading:
            yield token
            continue
        text, end = next(rest), next(rest)
        shown = "".join(child.content for child in text.children or () if child.type in _TEXTUAL)
        if shown.strip() != heading:
            yield from (token, text, end)


_TEXTUAL = ("text", "code_inline", "softbreak")


def _embed(src: str, attachments: dict[str, Any]) -> str:
    bundle = attachments.get(src.removeprefix("attachment:"))
    for mime, content in bundle.items() if isinstance(bundle, dict) else ():
        if mime in _IMAGE_TYPES and isinstance(content, str):
            return f"data:{mime};base64,{_NOT_BASE64.sub('', content)}"
    return src


def source(code: str, language: str, marked: int = 0) -> str:
    """Return code with spans of Pygments' classes. The line number `marked` has the class `hll`."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter

    formatter = HtmlFormatter(nowrap=True, hl_lines=[marked] if marked else [])
    safe = visible_source(code)
    return str(highlight(safe, find_lexer(safe, language), formatter)).rstrip("\n")


def text(content: str) -> str:
    """Return terminal text as HTML: as it is after overwriting, with classes such as `ansi31`."""
    from ansi2html import Ansi2HTMLConverter

    shown = screen_text(content[:MAX_CHARACTERS])
    console = Console(
        file=io.StringIO(), force_terminal=True, color_system="standard", width=10_000,
        legacy_windows=False, highlight=False, emoji=False, markup=False,
    )  # fmt: skip
    with console.capture() as captured:
        console.print(shown, end="", soft_wrap=True, crop=False)
    made = str(Ansi2HTMLConverter(dark_bg=False).convert(captured.get(), full=False)).rstrip("\n")
    if len(content) > MAX_CHARACTERS:
        left = len(content) - MAX_CHARACTERS
        made += f"\n<em>… {left:,} more characters are in the journal</em>"
    return made


def _math(source: str) -> str:
    """Return LaTeX as sanitized MathML, or as Unicode if it cannot be converted."""
    import nh3

    made = mathml.to_mathml(source)
    if made is None:
        return html.escape(visible(latex.to_unicode(source)))
    return nh3.clean(
        made,
        tags=_MATH_TAGS,
        clean_content_tags=_DROPPED - {"math"},
        attributes=_MATH_ATTRIBUTES,
        attribute_filter=lambda _tag, _name, value: value if _MATH_VALUE.fullmatch(value) else None,
        link_rel=None,
    )


# ── outputs ──────────────────────────────────────────────────────────────────────────────────


def output(raw: dict[str, Any]) -> str:
    """Return one nbformat output as HTML. Never raises: a malformed output is shown as JSON."""
    try:
        return _output(raw)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        return f"<pre>{html.escape(visible(json.dumps(raw, default=repr)[:2_000]))}</pre>"


def _output(raw: dict[str, Any]) -> str:
    match raw["output_type"]:
        case "stream":
            name = "stderr" if raw["name"] == "stderr" else "stdout"
            return _fold_if_long(f'<pre class="{name}">{text(join(raw["text"]))}</pre>', name)
        case "error":
            return _error(raw)
        case "display_data" | "execute_result":
            return _bundle(raw["data"])
    raise ValueError(raw["output_type"])


def _error(raw: dict[str, Any]) -> str:
    lines = [join(line) for line in raw["traceback"]]
    full, short = "\n".join(lines), "\n".join(traceback.shorten(lines))
    error = short if short.strip() else f"{raw['ename']}: {raw['evalue']}"
    made = f'<pre class="error">{text(error)}</pre>'
    if full.strip() and full != short:
        made += f"<details><summary>full traceback</summary><pre>{text(full)}</pre></details>"
    return made


def _bundle(data: dict[str, Any]) -> str:
    """Render the richest part of a mime bundle that a page without scripts can show."""
    data = without_bare_repr(data)
    for mime in _IMAGE_TYPES:
        if mime in data:
            return _image(mime, join(data[mime]), data)
    for mime, content in charts.restore_figures(data).items():
        kind = charts.kind_of(mime)
        if kind is not None and isinstance(content, dict):
            return _chart(kind, content)
    if "text/html" in data:
        made = clean(join(data["text/html"])[:_MAX_HTML])
        if re.sub(r"<[^>]*>", "", made).strip() or "<img" in made:
            return f'<div class="html">{made}</div>'
    if "text/markdown" in data:
        return f'<div class="html">{markdown(join(data["text/markdown"]))}</div>'
    if "application/json" in data:
        return _json(data["application/json"], "JSON")
    if "text/latex" in data:
        return f'<div class="math">{_math(join(data["text/latex"]))}</div>'
    if "text/plain" in data:
        return _fold_if_long(f"<pre>{text(join(data['text/plain']))}</pre>", "output")
    types = ", ".join(sorted(data)) or "nothing"
    return f'<p class="hint">{html.escape(visible(types))}: not shown in a report</p>'


def _image(mime: str, content: str, data: dict[str, Any]) -> str:
    """Embed an image in the page. A browser neither runs nor loads anything for an SVG in `img`."""
    if mime == "image/svg+xml":
        encoded = base64.b64encode(content.encode()).decode()
    else:
        encoded = _NOT_BASE64.sub("", content)
    alt = join(data.get("text/plain", "")).strip()[:200] or mime
    return f'<img alt="{html.escape(visible(alt), quote=True)}" src="data:{mime};base64,{encoded}">'


def _chart(kind: charts.Kind, figure: dict[str, Any]) -> str:
    """Return the frame that draws a chart, and the chart's data."""
    description = visible(charts.describe(kind, figure))
    data = _json(figure, "chart data")
    frame = charts.render_frame(kind, figure, description)
    if frame is not None:
        return f'{frame}<div class="held">{data}</div>'  # `held` is hidden in print
    return (
        f'<p class="hint">{html.escape(description)}: not drawn, since it is too large, or '
        f"nbrun-cli[charts] was not installed when this report was made.</p>{data}"
    )


def _json(value: Any, name: str) -> str:
    indented = json.dumps(value, indent=2, ensure_ascii=False, default=repr)
    shown = html.escape(visible(indented[:MAX_CHARACTERS]))
    if len(indented) > MAX_CHARACTERS:
        shown += "\n…"
    return f"<details><summary>{name}</summary><pre>{shown}</pre></details>"


def _fold_if_long(made: str, name: str) -> str:
    lines = made.count("\n") + 1
    if lines <= _MAX_UNFOLDED_LINES:
        return made
    return f"<details><summary>{name}: {lines:,} lines</summary>{made}</details>"
