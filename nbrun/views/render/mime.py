"""A Jupyter output or Markdown cell as a rich renderable that is safe to print on a terminal.

Outputs have the form of nbformat 4 (nbformat.readthedocs.io, "The Notebook file format"). A view
never hides an output and never fails on one: `guard` has the plain form of what can't be drawn.
"""

import base64
import json
import re
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from functools import lru_cache, partial
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from nbrun.views.render import charts, guard, html, images, latex, traceback
from nbrun.views.render.html_table import MAX_ROWS, TableView
from nbrun.views.render.json_tree import render_json
from nbrun.views.render.nbformat_text import join, truncate, without_bare_repr
from nbrun.views.render.terminal_text import screen_text
from nbrun.views.text.options import DisplayOptions
from nbrun.views.text.sanitize import plain, visible

_IMAGE_HEAD = 400_000  # characters of base64: metadata may come before a JPEG's size
ACTIVE_HTML = re.compile(r"<(script|style|iframe|object|embed|canvas|svg|img)\b", re.I)
_DEFAULTS = DisplayOptions()


def render_output(
    output: dict[str, Any], *, record_hint: str = "", display: DisplayOptions = _DEFAULTS
) -> RenderableType:
    """Return a renderable of one nbformat output dict.

    `record_hint` says where the reader finds an output that a terminal cannot show. Neither this
    function nor the renderable raises: see `guard`.
    """
    fallback = partial(guard.plain_text, output)
    shown = guard.guarded(lambda: _output(output, record_hint, display), fallback)
    return shown if isinstance(shown, Text) else guard.Guarded(shown, fallback)


def render_markdown(source: str, title: str = "") -> RenderableType:
    """Return a renderable of a Markdown cell, without active links or concealed text.

    A heading that repeats `title` is left out. A cell without anything else is an empty text.
    """
    return guard.guarded(lambda: _guarded_markdown(source, title), partial(_plain_markdown, source))


def render_below(title: str, sources: Iterable[str]) -> list[RenderableType]:
    """Return renderables of the Markdown cells below a line with `title`, without empty ones."""
    shown = (render_markdown(source, title) for source in sources)
    return [each for each in shown if not isinstance(each, Text) or each.plain]


def _guarded_markdown(source: str, title: str) -> RenderableType:
    from nbrun.views.render.markdown import TerminalMarkdown  # slow to import

    if len(source) > guard.MAX_MARKDOWN:
        raise ValueError(f"it has more than {guard.MAX_MARKDOWN:,} characters")
    parsed = TerminalMarkdown(visible(source), visible(title))
    fallback = partial(_plain_markdown, source)
    return Text() if parsed.is_empty else guard.Guarded(parsed, fallback)


def _plain_markdown(source: str, why: str) -> RenderableType:
    return Text(visible(source)).append(f"\n{guard.describe_failure(why)}", "dim")


def _output(output: dict[str, Any], hint: str, display: DisplayOptions) -> RenderableType:
    match output["output_type"]:
        case "stream":
            return screen_text(join(output["text"]))
        case "error":
            return _error(output, display)
        case "display_data" | "execute_result":
            return _bundle(output["data"], hint, display)
    raise ValueError(output["output_type"])


def _error(output: dict[str, Any], display: DisplayOptions) -> RenderableType:
    """Render a traceback: the cell's own frames first, unless every frame is asked for."""
    lines = output["traceback"]
    if isinstance(lines, list) and not display.full_traceback:
        lines = traceback.shorten([join(line) for line in lines])
    text = join(lines, "\n")
    return screen_text(text if text.strip() else f"{output['ename']}: {output['evalue']}")


def _bundle(data: dict[str, Any], hint: str, display: DisplayOptions) -> RenderableType:
    """Render the richest part of a mime bundle that a terminal can show."""
    data = without_bare_repr(charts.restore_figures(data))
    for mime, renderer in _best_first(tuple(data)):
        rendered = renderer(data[mime], mime, display) if renderer else _describe(data, mime, hint)
        if isinstance(rendered, Text) and not rendered.plain.strip():
            return Group()  # as rich displays where it has just moved the cursor
        if rendered is not None:
            return rendered
    return Group()


@lru_cache
def _best_first(mimes: tuple[str, ...]) -> list[tuple[str, "Renderer | None"]]:
    """Return each of these mime types with the renderers to try, in order of preference."""
    return [
        (mime, renderer)
        for pattern, renderer in RENDERERS
        for mime in mimes
        if fnmatchcase(mime, pattern)
    ]


def _html(value: str, display: DisplayOptions) -> RenderableType | None:
    """Render the text and the tables of a page, or return None if it has nothing readable."""
    rows = min(MAX_ROWS, display.max_lines) if display.max_lines else 0
    shown = [
        Text(visible(part)) if isinstance(part, str) else TableView(part, max_rows=rows)
        for part in html.text_and_tables(value)
    ]
    if shown:
        return shown[0] if len(shown) == 1 else Group(*shown)
    return None if ACTIVE_HTML.search(value) or not value.strip() else Text(visible(value))


def _table(value: Any, _mime: str, display: DisplayOptions) -> RenderableType | None:
    """Render HTML that holds a table. Other HTML is shown by the text in its bundle, if any."""
    source = join(value)
    return _html(source, display) if "<table" in source[: html.MAX_CHARACTERS].lower() else None


def _chart(value: Any, mime: str, _display: DisplayOptions) -> RenderableType | None:
    """Describe a chart that needs scripts. The text in its bundle names at most its class."""
    kind = charts.kind_of(mime)
    if kind is None or not isinstance(value, dict):
        return None
    description = charts.describe(kind, value)
    return Text(plain(f"{description}: a terminal can't run it, and the report draws it"), "dim")


def _image(value: Any, mime: str, display: DisplayOptions) -> RenderableType | None:
    return images.render(mime, join(value)) if display.pictures else None


def _describe(data: dict[str, Any], mime: str, hint: str) -> RenderableType:
    """Return one line about what a terminal cannot show: its type, its size, where to find it."""
    return Text(describe_data(data, mime) + (f" (see {plain(hint)})" if hint else ""), "dim")


def describe_data(data: dict[str, Any], mime: str) -> str:
    """Return type and size of one part of a mime bundle, and the text that stands for it."""
    value = data[mime]
    content = join(value) if isinstance(value, str | list) else json.dumps(value)
    binary = mime.startswith("image/") and mime != "image/svg+xml"
    size = f"{max(1, round(len(content) * (0.75 if binary else 1) / 1000))} kB"
    pixels = _pixels(content) if binary else ""
    title = truncate(plain(join(data.get("text/plain", "")).strip()), 200)
    return f"{plain(mime)}{pixels}, {size}" + (f": {title}" if title else "")


# Patterns of mime types, the preferred ones first, each with the function that renders such data. A
# function returns None for data that it cannot render: then the next pattern is tried. No function
# means that one line describes the data.
Renderer = Callable[[Any, str, DisplayOptions], RenderableType | None]
RENDERERS: tuple[tuple[str, Renderer | None], ...] = (
    ("text/markdown", lambda value, _mime, _display: render_markdown(join(value))),
    ("application/json", lambda value, _mime, display: render_json(value, display.max_lines)),
    ("image/*", _image),
    ("application/vnd.plotly.*", _chart),
    ("application/vnd.vega*", _chart),
    ("image/*", None),
    ("text/html", _table),
    ("text/plain", lambda value, _mime, _display: screen_text(join(value))),
    ("text/latex", lambda value, _mime, _display: screen_text(latex.to_unicode(join(value)))),
    ("application/vnd.*", None),  # after text/plain: a widget with text is shown by its text
    ("text/html", lambda value, _mime, display: _html(join(value), display)),
    ("text/html", None),
    ("text/*", lambda value, _mime, _display: screen_text(join(value))),
    ("*", None),
)


def _pixels(content: str) -> str:
    """Return " 640×480" for a PNG, GIF or JPEG in base64, or "" if its header is unreadable."""
    digits = re.sub(r"[^A-Za-z0-9+/]", "", content[:_IMAGE_HEAD])
    head = base64.b64decode(digits[: len(digits) // 4 * 4])
    size = None
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        size = head[16:20], head[20:24]
    elif head.startswith(b"GIF8"):
        size = head[7:5:-1], head[9:7:-1]
    elif head.startswith(b"\xff\xd8"):
        size = _jpeg_size(head)
    if not size or not all(size):
        return ""
    width, height = (int.from_bytes(number, "big") for number in size)
    return f" {width}×{height}"


def _jpeg_size(head: bytes) -> tuple[bytes, bytes] | None:
    """Walk a JPEG's segments to its frame header (ITU-T T.81, B.2.2): width and height."""
    start = 2
    while head[start : start + 1] == b"\xff" and start + 9 <= len(head):
        if 0xC0 <= head[start + 1] <= 0xCF and head[start + 1] not in {0xC4, 0xC8, 0xCC}:
            return head[start + 7 : start + 9], head[start + 5 : start + 7]
        start += 2 + int.from_bytes(head[start + 2 : start + 4], "big")
    return None
