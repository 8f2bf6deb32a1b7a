"""A Jupyter output or a Markdown cell as something rich can print, and safe to print.

Outputs are those of nbformat 4 (nbformat.readthedocs.io, "The Notebook file format"). Whatever is
malformed is shown as the JSON that it is: a view never hides an output and never fails on one.
"""

import base64
import json
import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from nbrun.views.render import charts, html, images, json_tree, latex, traceback
from nbrun.views.render.html_table import MAX_ROWS, TableView
from nbrun.views.render.terminal_text import screen_text
from nbrun.views.text.options import DisplayOptions
from nbrun.views.text.sanitize import plain, visible

_LONGEST_DUMP = 2_000
_IMAGE_HEAD = 400_000  # characters of base64: metadata may stand before a JPEG's size
_REPR = re.compile(r"<[\w.]+ object(?: at 0x[0-9a-f]+)?>\s*")  # says nothing but a class
_PROGRAM = re.compile(r"<(script|style|iframe|object|embed|canvas|svg|img)\b", re.I)
_WHOLE = DisplayOptions()


def render_output(
    output: dict[str, Any], *, record_hint: str = "", display: DisplayOptions = _WHOLE
) -> RenderableType:
    """Return one nbformat output dict as something to print; `record_hint` says where it is kept.

    Never raises: an output that isn't well formed is shown as JSON, cut at 2,000 characters.
    """
    try:
        return _output(output, record_hint, display)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        return Text(visible(_dump(output)))


def render_markdown(source: str) -> RenderableType:
    """Return a Markdown cell as something to print. No link in it is active, no text concealed."""
    from nbrun.views.render.markdown import TerminalMarkdown  # what reads Markdown takes its time

    return TerminalMarkdown(visible(source))


def _output(output: dict[str, Any], hint: str, display: DisplayOptions) -> RenderableType:
    match output["output_type"]:
        case "stream":
            return _text(_string(output["text"]), display)
        case "error":
            return _error(output, display)
        case "display_data" | "execute_result":
            return _bundle(output["data"], hint, display)
    raise ValueError(output["output_type"])


def _error(output: dict[str, Any], display: DisplayOptions) -> RenderableType:
    """The cell's own frames first, unless all are asked for."""
    lines = output["traceback"]
    if isinstance(lines, list) and not display.full_traceback:
        lines = traceback.shorten([_string(line) for line in lines])
    text = _string(lines, between="\n")
    return screen_text(text if text.strip() else f"{output['ename']}: {output['evalue']}")


def _bundle(data: dict[str, Any], hint: str, display: DisplayOptions) -> RenderableType:
    """Return the richest part of a mime bundle that a terminal can show, if any."""
    data = charts.restore_figures(data)
    said = {mime: value for mime, value in data.items() if not _says_nothing(mime, value)} or data
    for mime, shower in _best_first(tuple(said)):
        shown = shower(said[mime], mime, display) if shower else _described(said, mime, hint)
        if shown is not None:
            return shown
    return Text()


@lru_cache
def _best_first(mimes: tuple[str, ...]) -> list[tuple[str, "Renderer | None"]]:
    """Which of these mime types may be shown, and by what."""
    return [
        (mime, shower)
        for pattern, shower in RENDERERS
        for mime in mimes
        if fnmatchcase(mime, pattern)
    ]


def _says_nothing(mime: str, value: Any) -> bool:
    return mime == "text/plain" and bool(_REPR.fullmatch(_string(value)))


def _string(value: Any, between: str = "") -> str:
    """Return a multi-line string of nbformat, which may be a list of its parts."""
    if isinstance(value, list):
        return between.join(value)
    if not isinstance(value, str):
        raise TypeError(f"text expected, not {type(value).__name__}")
    return value


def _text(text: str, display: DisplayOptions) -> Text:
    """A block of text, without the middle of what is longer than the options allow."""
    shown = screen_text(text)
    lines = shown.plain.count("\n") + 1
    if not display.max_lines or lines <= display.max_lines:
        return shown
    head = (display.max_lines + 1) // 2
    parts = shown.split("\n", allow_blank=True)
    middle = Text(f"… {lines - display.max_lines:,} more lines …", "dim")
    tail = parts[len(parts) - (display.max_lines - head) :]
    return Text("\n", no_wrap=True, overflow="ignore").join([*parts[:head], middle, *tail])


def _html(value: str, display: DisplayOptions) -> RenderableType | None:
    """The text and the tables of a page; None where nothing of it can be read."""
    shown = [
        Text(visible(part)) if isinstance(part, str) else TableView(part, max_rows=_rows(display))
        for part in html.text_and_tables(value)
    ]
    if shown:
        return shown[0] if len(shown) == 1 else Group(*shown)
    return None if _PROGRAM.search(value) or not value.strip() else Text(visible(value))


def _rows(display: DisplayOptions) -> int:
    return min(MAX_ROWS, display.max_lines) if display.max_lines else 0


def _table(value: Any, _mime: str, display: DisplayOptions) -> RenderableType | None:
    """HTML that is worth more than the text beside it: it holds a table."""
    source = _string(value)
    return _html(source, display) if "<table" in source[: html.MAX_CHARACTERS].lower() else None


def _chart(value: Any, mime: str, _display: DisplayOptions) -> RenderableType | None:
    """What a chart that needs scripts is; the text that comes with one names its class at most."""
    kind = charts.kind_of(mime)
    if kind is None or not isinstance(value, dict):
        return None
    told = charts.describe(kind, value)
    return Text(plain(f"{told}: a terminal can't run it, and the report draws it"), "dim")


def _picture(value: Any, mime: str, display: DisplayOptions) -> RenderableType | None:
    return images.render(mime, _string(value)) if display.pictures else None


def _described(data: dict[str, Any], mime: str, hint: str) -> RenderableType:
    """Return one line on something that a terminal can't show: its type, its size, where it is."""
    value = data[mime]
    content = _string(value) if isinstance(value, str | list) else json.dumps(value)
    binary = mime.startswith("image/") and mime != "image/svg+xml"
    size = f"{max(1, round(len(content) * (0.75 if binary else 1) / 1000))} kB"
    pixels = _pixels(content) if binary else ""
    title = _cut(plain(_string(data.get("text/plain", "")).strip()), 200)
    line = f"{plain(mime)}{pixels}, {size}" + (f": {title}" if title else "")
    return Text(line + (f" (see {plain(hint)})" if hint else ""), "dim")


# What is shown of a bundle: its first mime type that matches the first pattern, by the function
# beside it, unless that can't show it (None). No function: one line says what it is.
Renderer = Callable[[Any, str, DisplayOptions], RenderableType | None]
RENDERERS: tuple[tuple[str, Renderer | None], ...] = (
    ("text/markdown", lambda value, _mime, _display: render_markdown(_string(value))),
    (
        "application/json",
        lambda value, _mime, display: json_tree.render_json(value, display.max_lines),
    ),
    ("image/*", _picture),
    ("application/vnd.plotly.*", _chart),
    ("application/vnd.vega*", _chart),
    ("image/*", None),
    ("text/html", _table),
    ("text/plain", lambda value, _mime, display: _text(_string(value), display)),
    ("text/latex", lambda value, _mime, display: _text(latex.to_unicode(_string(value)), display)),
    ("application/vnd.*", None),  # widgets: with text, the text is shown
    ("text/html", lambda value, _mime, display: _html(_string(value), display)),
    ("text/html", None),
    ("text/*", lambda value, _mime, display: _text(_string(value), display)),
    ("*", None),
)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[:longest] + "…"


def _dump(output: Any) -> str:
    try:
        text = json.dumps(output, ensure_ascii=False, default=repr)
    except (TypeError, ValueError, RecursionError):
        text = f"an output that can't be shown: {type(output).__name__}"
    return _cut(text, _LONGEST_DUMP)


def _pixels(content: str) -> str:
    """Return " 640×480" of a PNG, GIF or JPEG in base64, or "" where its header isn't readable."""
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
    at = 2
    while head[at : at + 1] == b"\xff" and at + 9 <= len(head):
        if 0xC0 <= head[at + 1] <= 0xCF and head[at + 1] not in {0xC4, 0xC8, 0xCC}:
            return head[at + 7 : at + 9], head[at + 5 : at + 7]
        at += 2 + int.from_bytes(head[at + 2 : at + 4], "big")
    return None
