"""Sanitized HTML of outputs, Markdown and sources, for the report.

A kernel's HTML is reduced to text, tables, links and embedded images. It keeps no script, form or
frame, no style that could cover the page, and nothing that a browser would load from elsewhere.
Charts that need scripts get frames (see `charts`).
"""

import base64
import html
import json
import re
from typing import Any

from nbrun.views.render import charts, latex, mathml, terminal_html, traceback
from nbrun.views.render.guard import MAX_MARKDOWN, describe_failure, guarded, plain_form
from nbrun.views.render.html import limit_nesting, name_external
from nbrun.views.render.native import process, sanitizer
from nbrun.views.render.nbformat_text import join, without_bare_repr
from nbrun.views.render.source import find_lexer
from nbrun.views.render.terminal_text import screen_text
from nbrun.views.text.sanitize import visible, visible_source

MAX_CHARACTERS = 200_000  # of one text: browsers scroll longer ones badly, and the journal has all
_MAX_HTML = 5_000_000  # characters of an HTML output that are read
_MAX_CLEANED_HERE = 50_000  # characters of HTML; more are sanitized in the child process
_MAX_UNFOLDED_LINES = 40  # a longer output is folded away
_IMAGE_TYPES = ("image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml")
_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/=]")


def clean(source: str) -> str:
    """Return untrusted HTML with nothing but harmless tags, attributes and links.

    A picture or frame that a browser would load from elsewhere becomes text that names its address.

    Raises:
        NativeError: a long page could not be cleaned in time.
    """
    page = name_external(limit_nesting(source))
    if len(page) <= _MAX_CLEANED_HERE:
        return sanitizer.sanitize(page)
    cleaned = process.call("sanitize", page.encode("utf-8", "surrogatepass"))
    return cleaned.decode("utf-8", "replace")


def markdown(source: str, attachments: dict[str, Any] | None = None, title: str = "") -> str:
    """Return a Markdown cell as HTML, its headings three levels below where they were.

    `attachments` maps the names of a cell's images to mime bundles, as in nbformat.
    A heading that repeats `title`, which the page shows already, is left out.
    """
    return guarded(
        lambda: _markdown(source, attachments or {}, title),
        lambda why: _plain_pre(visible(source), why),
    )


def _markdown(source: str, attachments: dict[str, Any], title: str) -> str:
    from markdown_it import MarkdownIt

    from nbrun.views.render.markdown import without_heading  # slow to import

    if len(source) > MAX_MARKDOWN:
        raise ValueError(f"it has more than {MAX_MARKDOWN:,} characters")
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    tokens = list(without_heading(parser.parse(visible(source)), title))
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + 3)}"
        for child in token.children or ():
            if child.type == "image":
                child.attrs["src"] = _embed(str(child.attrs.get("src")), attachments)
    return clean(parser.renderer.render(tokens, parser.options, {}))


def _embed(src: str, attachments: dict[str, Any]) -> str:
    bundle = attachments.get(src.removeprefix("attachment:"))
    for mime, content in bundle.items() if isinstance(bundle, dict) else ():
        if mime in _IMAGE_TYPES and isinstance(content, str):
            return f"data:{mime};base64,{_NOT_BASE64.sub('', content)}"
    return src


def source(code: str, language: str, marked: int = 0) -> str:
    """Return code with spans of Pygments' classes. The line number `marked` has the class `hll`.

    Code that Pygments can't read has no spans.
    """
    safe = visible_source(code)
    return guarded(
        lambda: _highlighted(safe, language, marked), lambda _why: html.escape(safe)
    ).rstrip("\n")


def _highlighted(code: str, language: str, marked: int) -> str:
    from pygments import highlight
    from pygments.formatters import HtmlFormatter

    formatter = HtmlFormatter(nowrap=True, hl_lines=[marked] if marked else [])
    return str(highlight(code, find_lexer(code, language), formatter))


def text(content: str) -> str:
    """Return terminal text as HTML: as it is after overwriting, with classes such as `ansi31`."""
    made = terminal_html.to_html(screen_text(content[:MAX_CHARACTERS])).rstrip("\n")
    if len(content) > MAX_CHARACTERS:
        left = len(content) - MAX_CHARACTERS
        made += f"\n<em>… {left:,} more characters are in the journal</em>"
    return made


def _math(source: str) -> str:
    """Return LaTeX as sanitized MathML, or as Unicode if it cannot be converted."""
    made = mathml.to_mathml(source)
    if made is None:
        return html.escape(visible(latex.to_unicode(source)))
    return sanitizer.sanitize_mathml(made)


# ── outputs ──────────────────────────────────────────────────────────────────────────────────


def output(raw: dict[str, Any]) -> str:
    """Return one nbformat output as HTML. Never raises: see `guard`."""
    return guarded(lambda: _output(raw), lambda why: _plain_pre(plain_form(raw), why))


def _plain_pre(text: str, why: str) -> str:
    reason = html.escape(visible(describe_failure(why)))
    return f'<pre>{html.escape(text)}</pre><p class="hint">{reason}</p>'


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
