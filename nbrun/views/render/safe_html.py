"""Outputs, Markdown and sources as HTML that can do nothing. The only importer of nh3.

What a kernel calls HTML is cut down to text, tables, links and pictures that it carries itself: no
script, no form, no frame, no style that could cover the page, nothing loaded from anywhere. Charts
that need scripts get frames (see `charts`).
"""

import base64
import html
import io
import json
import re
from typing import Any

from rich.console import Console

from nbrun.views.render import charts, latex, mathml, traceback
from nbrun.views.render.html import limit_nesting
from nbrun.views.render.lexers import find_lexer
from nbrun.views.render.terminal_text import screen_text
from nbrun.views.text.sanitize import visible

MOST_CHARACTERS = 200_000  # of one text; more is in the journal, and no browser scrolls it well
_LONG = 40  # lines from which on an output is folded away

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
# MathML Core's, but for what loads, links, hides (`mphantom`) or runs (`maction`).
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
# Words, and measures that stay near the line.
_MEASURE = re.compile(
    r"(?:(?:[a-z-]{1,24}|-?[0-9]{1,2}(?:\.[0-9]{1,4})?(?:em|ex|pt)?)(?: |$)){1,12}"
)
_STYLES = {"text-align", "font-weight", "font-style"}
_CARRIED = re.compile(r"data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]*", re.I)
_PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml")
_BASE64 = re.compile(r"[^A-Za-z0-9+/=]")


def clean(source: str) -> str:
    """HTML of anybody, made harmless."""
    import nh3

    return nh3.clean(
        limit_nesting(source),
        tags=_TAGS,
        clean_content_tags=_DROPPED,
        attributes=_ATTRIBUTES,
        attribute_filter=_filtered,
        url_schemes={"http", "https", "mailto", "data"},
        filter_style_properties=_STYLES,
        link_rel="noopener noreferrer",
    )


def _filtered(tag: str, name: str, value: str) -> str | None:
    if (tag, name) == ("img", "src"):
        return value if _CARRIED.fullmatch(value.strip()) else None
    if (tag, name) == ("a", "href"):
        return value if re.match(r"(https?|mailto):", value, re.I) else None
    return value


def markdown(source: str, attachments: dict[str, Any] | None = None) -> str:
    """A Markdown cell. Its headings stand below those of the page."""
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    tokens = reader.parse(visible(source))
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + 3)}"
        for child in token.children or ():
            if child.type == "image":
                child.attrs["src"] = _attached(str(child.attrs.get("src")), attachments or {})
    return clean(reader.renderer.render(tokens, reader.options, {}))


def _attached(src: str, attachments: dict[str, Any]) -> str:
    bundle = attachments.get(src.removeprefix("attachment:"))
    for mime, content in bundle.items() if isinstance(bundle, dict) else ():
        if mime in _PICTURES and isinstance(content, str):
            return f"data:{mime};base64,{_BASE64.sub('', content)}"
    return src


def source(code: str, language: str, marked: int = 0) -> str:
    """Code with spans of Pygments' classes, the line of the number `marked` in one of `hll`."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter

    style = HtmlFormatter(nowrap=True, hl_lines=[marked] if marked else [])
    read = visible(code)
    return str(highlight(read, find_lexer(read, language), style)).rstrip("\n")


def text(content: str) -> str:
    """Terminal text: what was overwritten is gone, colours are classes `ansi31`, …"""
    from ansi2html import Ansi2HTMLConverter

    shown = screen_text(content[:MOST_CHARACTERS])
    console = Console(
        file=io.StringIO(), force_terminal=True, color_system="standard", width=10_000,
        legacy_windows=False, highlight=False, emoji=False, markup=False,
    )  # fmt: skip
    with console.capture() as captured:
        console.print(shown, end="", soft_wrap=True, crop=False)
    told = str(Ansi2HTMLConverter(dark_bg=False).convert(captured.get(), full=False)).rstrip("\n")
    if len(content) > MOST_CHARACTERS:
        left = len(content) - MOST_CHARACTERS
        told += f"\n<em>… {left:,} characters more are in the journal</em>"
    return told


def _math(source: str) -> str:
    """LaTeX as MathML of shapes and letters alone, else as Unicode."""
    import nh3

    made = mathml.to_mathml(source)
    if made is None:
        return html.escape(visible(latex.to_unicode(source)))
    return nh3.clean(
        made,
        tags=_MATH_TAGS,
        clean_content_tags=_DROPPED - {"math"},
        attributes=_MATH_ATTRIBUTES,
        attribute_filter=lambda _tag, _name, value: value if _MEASURE.fullmatch(value) else None,
        link_rel=None,
    )


# ── outputs ──────────────────────────────────────────────────────────────────────────────────


def output(shown: dict[str, Any]) -> str:
    """One nbformat output as HTML. Never raises: what is malformed is shown as the JSON it is."""
    try:
        return _output(shown)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        return f"<pre>{html.escape(visible(json.dumps(shown, default=repr)[:2_000]))}</pre>"


def _output(shown: dict[str, Any]) -> str:
    match shown["output_type"]:
        case "stream":
            name = "stderr" if shown["name"] == "stderr" else "stdout"
            return _folded(f'<pre class="{name}">{text(_string(shown["text"]))}</pre>', name)
        case "error":
            return _error(shown)
        case "display_data" | "execute_result":
            return _bundle(shown["data"])
    raise ValueError(shown["output_type"])


def _error(shown: dict[str, Any]) -> str:
    whole = "\n".join(_string(line) for line in shown["traceback"])
    brief = "\n".join(traceback.shorten([_string(line) for line in shown["traceback"]]))
    told = brief if brief.strip() else f"{shown['ename']}: {shown['evalue']}"
    made = f'<pre class="error">{text(told)}</pre>'
    if whole.strip() and whole != brief:
        made += f"<details><summary>whole traceback</summary><pre>{text(whole)}</pre></details>"
    return made


def _bundle(data: dict[str, Any]) -> str:
    for mime in _PICTURES:
        if mime in data:
            return _picture(mime, _string(data[mime]), data)
    for mime, content in charts.restore_figures(data).items():
        kind = charts.kind_of(mime)
        if kind is not None and isinstance(content, dict):
            return _chart(kind, content)
    if "text/html" in data:
        made = clean(_string(data["text/html"])[:5_000_000])
        if re.sub(r"<[^>]*>", "", made).strip() or "<img" in made:
            return f'<div class="html">{made}</div>'
    if "text/markdown" in data:
        return f'<div class="html">{markdown(_string(data["text/markdown"]))}</div>'
    if "application/json" in data:
        return _json(data["application/json"], "JSON")
    if "text/latex" in data:
        return f'<div class="math">{_math(_string(data["text/latex"]))}</div>'
    if "text/plain" in data:
        return _folded(f"<pre>{text(_string(data['text/plain']))}</pre>", "output")
    told = ", ".join(sorted(data)) or "nothing"
    return f'<p class="hint">{html.escape(visible(told))}: not shown in a report</p>'


def _picture(mime: str, content: str, data: dict[str, Any]) -> str:
    """A picture within the page; an SVG too, where no script of it runs and nothing is loaded."""
    if mime == "image/svg+xml":
        carried = base64.b64encode(content.encode()).decode()
    else:
        carried = _BASE64.sub("", content)
    alt = _string(data.get("text/plain", "")).strip()[:200] or mime
    return f'<img alt="{html.escape(visible(alt), quote=True)}" src="data:{mime};base64,{carried}">'


def _chart(kind: charts.Kind, figure: dict[str, Any]) -> str:
    """Drawn in a frame of its own, where what draws it is installed; and what it holds."""
    told = visible(charts.describe(kind, figure))
    held = _json(figure, "what the chart holds")
    drawn = charts.render_frame(kind, figure, told)
    if drawn is not None:
        return f'{drawn}<div class="held">{held}</div>'
    return (
        f'<p class="hint">{html.escape(told)}: what draws it was not there when this report was '
        f"made (nbrun-cli[charts]), or it is too large.</p>{held}"
    )


def _json(value: Any, name: str) -> str:
    laid_out = json.dumps(value, indent=2, ensure_ascii=False, default=repr)
    shown = html.escape(visible(laid_out[:MOST_CHARACTERS]))
    if len(laid_out) > MOST_CHARACTERS:
        shown += "\n…"
    return f"<details><summary>{name}</summary><pre>{shown}</pre></details>"


def _folded(made: str, name: str) -> str:
    lines = made.count("\n") + 1
    if lines <= _LONG:
        return made
    return f"<details><summary>{name}: {lines:,} lines</summary>{made}</details>"


def _string(value: Any) -> str:
    if isinstance(value, list):
        return "".join(value)
    if not isinstance(value, str):
        raise TypeError(f"text expected, not {type(value).__name__}")
    return value
