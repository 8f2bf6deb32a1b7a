"""Terminal text as HTML: spans with classes such as `ansi31`, which the page gives a look."""

import html
from functools import lru_cache
from itertools import groupby

from rich.color import Color, ColorSystem
from rich.console import Console
from rich.style import Style
from rich.text import Text

_ATTRIBUTES = (("bold", 1), ("dim", 2), ("italic", 3), ("underline", 4), ("strike", 9))
_REVERSE = 7
_FIRST_BRIGHT = 8  # of the 16 standard colours


def to_html(shown: Text) -> str:
    """Return `shown` as HTML. Line breaks stay as they are, outside of spans."""
    segments = ((piece.text, piece.style) for piece in shown.render(_console()) if piece.text)
    spans = ((text, _classes(style) if style else "") for text, style in segments)
    return "".join(
        _span("".join(text for text, _ in run), classes)
        for classes, run in groupby(spans, lambda span: span[1])
    )


@lru_cache(maxsize=1)
def _console() -> Console:
    """Return a console that only resolves the names of styles."""
    return Console(color_system="standard", legacy_windows=False, highlight=False)


def _span(text: str, classes: str) -> str:
    safe = html.escape(text, quote=False)
    if not classes:
        return safe
    opening = f'<span class="{classes}">'
    # A span for each line: a long output that is cut or folded between lines stays well-formed.
    return "\n".join(f"{opening}{line}</span>" if line else "" for line in safe.split("\n"))


@lru_cache(maxsize=256)
def _classes(style: Style) -> str:
    """Return the classes of a style: `ansi` and the number of each of its SGR parameters."""
    numbers = [number for name, number in _ATTRIBUTES if getattr(style, name)]
    numbers += [_REVERSE] * bool(style.reverse)
    numbers += _color_number(style.color, 30, 90)
    numbers += _color_number(style.bgcolor, 40, 100)
    return " ".join(f"ansi{number}" for number in numbers)


def _color_number(color: Color | None, normal: int, bright: int) -> list[int]:
    """Return the SGR parameter of the nearest standard colour; none for the default colour."""
    number = color.downgrade(ColorSystem.STANDARD).number if color is not None else None
    if number is None:
        return []
    return [normal + number if number < _FIRST_BRIGHT else bright + number - _FIRST_BRIGHT]
