"""Images on a terminal. The only importer of textual-image, Pillow and resvg.

The terminal is asked for kitty's graphics protocol, sixels or iTerm's inline images. If it has none
of these, half-block characters show two pixels each. The extra `nbrun-cli[images]` installs the
libraries.
"""

import base64
import fcntl
import importlib.util
import io
import os
import re
import struct
import sys
import termios
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.control import Control
from rich.segment import ControlType, Segment

from nbrun.views.render import terminal_query

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_PIXELS = 40_000_000  # of a decoded image: a small file can hold one that fills the memory
_MAX_BASE64 = 40_000_000  # characters
_MAX_SVG = 4_000_000  # characters
_MAX_COLUMNS = 100
_MAX_ROWS = 30
_SVG_WIDTH = 800  # pixels
_FORMATS = ("PNG", "JPEG", "GIF", "WEBP")
_EXTERNAL_HREF = re.compile(r"""(\s(?:[\w.-]+:)?href\s*=\s*)(["'])(?!#|data:)[^"']*\2""", re.I)
_ZERO_WIDTH = [(ControlType.CURSOR_FORWARD, 0)]  # tells rich that a segment takes no columns

_KITTY_QUERY = "\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\"  # asks about one pixel, shows none
# textual-image places a kitty image by U+10EEEE characters, which only these terminals support.
_KITTY_TERMINALS = ("kitty", "ghostty")


def is_available() -> bool:
    """Return True if the extra `nbrun-cli[images]` is installed."""
    return importlib.util.find_spec("textual_image") is not None


def render(mime: str, content: str) -> "TerminalImage | None":
    """Return an image of a mime bundle for rich to print, or None if it cannot be drawn.

    `content` is the source of an SVG, or the image file in base64.
    """
    if not is_available():
        return None
    try:
        image = _from_svg(content) if mime == "image/svg+xml" else _from_base64(content)
    except Exception:  # noqa: BLE001  a decoder may raise anything; the caller describes the image
        return None
    return TerminalImage(image)


def _from_base64(content: str) -> "Image":
    if len(content) > _MAX_BASE64:
        raise ValueError("too long")
    return _open(base64.b64decode(content))


def _from_svg(source: str) -> "Image":
    """Rasterize an SVG. References to anything outside of it, such as local files, are removed."""
    import resvg_py

    if len(source) > _MAX_SVG or "<!ENTITY" in source.upper():
        raise ValueError("too long, or defines entities")
    self_contained = _EXTERNAL_HREF.sub(r"\1\2\2", source)
    return _open(bytes(resvg_py.svg_to_bytes(svg_string=self_contained, width=_SVG_WIDTH)))


def _open(data: bytes) -> "Image":
    """Decode the first frame, on white: plots are made for paper."""
    from PIL import Image

    image = Image.open(io.BytesIO(data), formats=_FORMATS)
    if image.width * image.height > MAX_PIXELS:
        raise ValueError("too large")
    frame = image.convert("RGBA")
    paper = Image.new("RGBA", frame.size, "white")
    return Image.alpha_composite(paper, frame).convert("RGB")


class TerminalImage:
    """An image that rich can print on a terminal with colours."""

    def __init__(self, image: "Image") -> None:
        self._image = image

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns, rows = self._size(options.max_width, console.height)
        protocol = graphics_protocol() if console.is_terminal else "blocks"
        if protocol == "iterm":
            yield from _inline(self._image, columns, rows)
        else:
            yield _renderables()[protocol](self._image, columns, rows)

    def _size(self, max_width: int, screen_height: int) -> tuple[int, int]:
        """Return the columns and rows of the image, which keeps its proportions on the screen."""
        cell_width, cell_height = _cell_size()
        max_rows = max(4, min(screen_height - 4, _MAX_ROWS))
        scale = min(
            1.0,
            min(max_width, _MAX_COLUMNS) * cell_width / self._image.width,
            max_rows * cell_height / self._image.height,
        )
        columns = round(self._image.width * scale / cell_width)
        return max(1, columns), max(1, round(self._image.height * scale / cell_height))


@lru_cache(maxsize=1)
def _cell_size() -> tuple[int, int]:
    """Return the width and height of a character in pixels, as TIOCGWINSZ reports them.

    The default is that of a VT340, 10 by 20. The size is also stored in textual-image's cache.
    textual-image would ask the terminal itself: it discards keys typed meanwhile, and prints a
    traceback onto the screen if no answer comes.
    """
    from textual_image._terminal import CellSize, get_cell_size

    size = 10, 20
    with suppress(OSError, ValueError):
        answer = fcntl.ioctl(sys.stdout.fileno(), termios.TIOCGWINSZ, bytes(8))
        rows, columns, width, height = struct.unpack("HHHH", answer)
        if min(rows, columns, width, height) and width >= columns and height >= rows:
            size = width // columns, height // rows
    vars(get_cell_size)["_result"] = CellSize(*size)
    return size


def _renderables() -> dict[str, Any]:
    from textual_image.renderable.halfcell import Image as Blocks
    from textual_image.renderable.sixel import Image as Sixel
    from textual_image.renderable.tgp import Image as Kitty

    return {"blocks": Blocks, "sixel": Sixel, "kitty": Kitty}


def _inline(image: "Image", columns: int, rows: int) -> RenderResult:
    """Yield iTerm2's inline image sequence (iterm2.com/documentation-images.html).

    Blank rows come first, since a terminal must have scrolled before the image is drawn over them.
    """
    data = io.BytesIO()
    image.save(data, "PNG")
    payload = base64.b64encode(data.getvalue()).decode()
    size = f"size={len(data.getvalue())};width={columns};height={rows}"
    for _ in range(rows):
        yield Segment(" " * columns + "\n")
    yield Segment("\x1b7", control=_ZERO_WIDTH)
    yield Control.move(0, -rows)
    yield Segment(
        f"\x1b]1337;File=inline=1;{size};preserveAspectRatio=1:{payload}\x07", control=_ZERO_WIDTH
    )
    yield Segment("\x1b8", control=_ZERO_WIDTH)


# ── graphics protocols ──────────────────────────────────────────────────────────────────────────


@lru_cache(maxsize=1)
def graphics_protocol() -> str:
    """Return `kitty`, `sixel`, `iterm` or `blocks`, as the terminal supports.

    The terminal is asked once; keys typed before the answer are lost. The environment variable
    NBRUN_IMAGES names a protocol without asking, for a terminal that answers wrongly or is slow.
    """
    chosen = os.environ.get("NBRUN_IMAGES", "")
    if chosen in ("kitty", "sixel", "iterm", "blocks"):
        return chosen
    answer = terminal_query.identity()
    if _is_kitty_terminal(answer):  # tmux would take this query for a title
        answer += terminal_query.ask(_KITTY_QUERY)
    return choose_protocol(answer)


def choose_protocol(answer: str) -> str:
    """Return the protocol for a terminal's answers to XTVERSION, DA1 and kitty's query."""
    name = answer.lower()
    if "i=31;ok" in name and _is_kitty_terminal(answer):
        return "kitty"
    if "4" in terminal_query.device_attributes(answer):
        return "sixel"
    return "iterm" if "iterm2" in name or "wezterm" in name else "blocks"


def _is_kitty_terminal(answer: str) -> bool:
    return any(name in answer.lower() for name in _KITTY_TERMINALS)
