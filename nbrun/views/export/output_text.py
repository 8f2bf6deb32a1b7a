"""An nbformat output as plain text, for views without markup or pictures."""

import json
from typing import Any

from nbrun.views.render import charts, html, latex
from nbrun.views.render.guard import describe_failure, guarded, plain_form
from nbrun.views.render.mime import ACTIVE_HTML, describe_data
from nbrun.views.render.nbformat_text import join, without_bare_repr
from nbrun.views.render.terminal_text import screen_text
from nbrun.views.render.traceback import shorten
from nbrun.views.text.sanitize import visible


def output_text(output: dict[str, Any], elsewhere: str) -> str:
    """Return an output as text that is safe to show.

    `elsewhere` is the command that shows what text can't, such as a picture. Never raises: see
    `guard`.
    """
    return guarded(
        lambda: _text(output, elsewhere),
        lambda why: f"{plain_form(output)}\n{describe_failure(why)}",
    )


def _text(output: dict[str, Any], elsewhere: str) -> str:
    match output["output_type"]:
        case "stream":
            return screen_text(join(output["text"])).plain
        case "error":
            lines = shorten([join(line) for line in output["traceback"]])
            return screen_text(
                "\n".join(lines) if lines else f"{output['ename']}: {output['evalue']}"
            ).plain
    data = without_bare_repr(charts.restore_figures(output["data"]))
    for mime, content in data.items():
        kind = charts.kind_of(mime)
        if mime.startswith("image/"):
            return _not_carried(describe_data(data, mime), elsewhere)
        if kind is not None and isinstance(content, dict):
            return _not_carried(charts.describe(kind, content), elsewhere)
    for mime in _TEXTS:
        text = _as_text(mime, data[mime]).strip("\n") if mime in data else ""
        if text.strip():
            return screen_text(text).plain
    parts = [describe_data(data, mime) for mime in sorted(data) if _has_content(mime, data[mime])]
    return _not_carried(", ".join(parts), elsewhere) if parts else ""


# The mime types that have a text, the preferred ones first: the plain text of a table is one.
_TEXTS = ("text/plain", "text/markdown", "text/html", "text/latex", "application/json")


def _as_text(mime: str, content: Any) -> str:
    match mime:
        case "text/html":
            return html.to_text(join(content))
        case "text/latex":
            return latex.to_unicode(join(content))
        case "application/json":
            return json.dumps(content, indent=1, ensure_ascii=False, default=repr)
    return join(content)


def _has_content(mime: str, content: Any) -> bool:
    """Return True for data without a text that still shows something, such as a script's work."""
    if not isinstance(content, str | list):
        return True
    text = join(content)
    return bool(ACTIVE_HTML.search(text) if mime == "text/html" else text.strip())


def _not_carried(what: str, elsewhere: str) -> str:
    return visible(f"({what}; not in this summary: {elsewhere})")
