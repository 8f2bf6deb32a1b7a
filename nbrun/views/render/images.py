"""Images on a terminal. The only importer of textual-image.

The terminal is asked for kitty's graphics protocol, sixels or iTerm's inline images. If it has none
of these, half-block characters show two pixels each. The extra `nbrun-cli[images]` installs the
libraries. A child process decodes what the kernel sent (see `native`).
"""

import base64
import fcntl
import importlib.util
import io
import os
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
from nbrun.views.render.native import pictures, process

if TYPE_CHECKING:
    from PIL.Image import Image

_MAX_BASE64 = 40_000_000  # characters
_MAX_SVG = 4_000_000  # characters
_MAX_COLUMNS = 100
_MAX_ROWS = 30
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

    Raises:
        NativeError: the decoder crashed, or took too much time or memory.
    """
    is_svg = mime == "image/svg+xml"
    if not is_available() or len(content) > (_MAX_SVG if is_svg else _MAX_BASE64):
        return None
    try:
        if is_svg:
            result = process.call("svg", content.encode("utf-8", "surrogatepass"))
        else:
            result = process.call("picture", base64.b64decode(content))
        return TerminalImage(_image(result))
    except (process.RefusedError, ValueError):  # the caller describes the image
        return None


def _image(result: bytes) -> "Image":
    from PIL import Image

    return Image.frombytes("RGB", *pictures.read_pixels(result))


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
