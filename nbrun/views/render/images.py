"""A picture drawn on a terminal. The only importer of textual-image, Pillow and resvg.

By kitty's graphics, sixels or iTerm's inline images where the terminal answers that it has them,
else as half-blocks: two pixels a character. All of it is the extra `nbrun-cli[images]`.
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

MAX_PIXELS = 40_000_000  # decoded: a small file may hold a picture that fills the memory
_LONGEST = 40_000_000  # characters of base64
_LONGEST_SVG = 4_000_000
_WIDEST = 100  # columns
_HIGHEST = 30  # rows
_SVG_WIDTH = 800  # pixels
_FORMATS = ("PNG", "JPEG", "GIF", "WEBP")
_ELSEWHERE = re.compile(r"""(\s(?:[\w.-]+:)?href\s*=\s*)(["'])(?!#|data:)[^"']*\2""", re.I)
_UNMOVED = [(ControlType.CURSOR_FORWARD, 0)]  # tells rich that a segment takes no room

_KITTY_GRAPHICS = "\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\"  # one pixel, not to be shown
_PLACING_BY_CHARACTERS = ("kitty", "ghostty")


def is_available() -> bool:
    """Whether the extra is installed."""
    return importlib.util.find_spec("textual_image") is not None


def render(mime: str, content: str) -> "TerminalImage | None":
    """The picture of a mime bundle; None where it can't be drawn, whatever the reason."""
    if not is_available():
        return None
    try:
        image = _from_svg(content) if mime == "image/svg+xml" else _from_base64(content)
    except Exception:  # noqa: BLE001  a decoder may raise anything; the caller tells what it is
        return None
    return TerminalImage(image)


def _from_base64(content: str) -> "Image":
    if len(content) > _LONGEST:
        raise ValueError("too long")
    return _opened(base64.b64decode(content))


def _from_svg(source: str) -> "Image":
    """SVG as pixels. What it refers to outside of itself, such as files here, is left out."""
    import resvg_py

    if len(source) > _LONGEST_SVG or "<!ENTITY" in source.upper():
        raise ValueError("not to be drawn")
    inside = _ELSEWHERE.sub(r"\1\2\2", source)
    return _opened(bytes(resvg_py.svg_to_bytes(svg_string=inside, width=_SVG_WIDTH)))


def _opened(data: bytes) -> "Image":
    """The first frame, on white: plots are drawn for paper."""
    from PIL import Image

    image = Image.open(io.BytesIO(data), formats=_FORMATS)
    if image.width * image.height > MAX_PIXELS:
        raise ValueError("too large")
    shown = image.convert("RGBA")
    paper = Image.new("RGBA", shown.size, "white")
    return Image.alpha_composite(paper, shown).convert("RGB")


class TerminalImage:
    """Something rich can print, on a terminal with colours."""

    def __init__(self, image: "Image") -> None:
        self._image = image

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns, rows = self._size(options.max_width, console.height)
        how = graphics_protocol() if console.is_terminal else "blocks"
        if how == "iterm":
            yield from _inline(self._image, columns, rows)
        else:
            yield _renderables()[how](self._image, columns, rows)

    def _size(self, room: int, height: int) -> tuple[int, int]:
        """Columns and rows: no more than the screen has, in the picture's own proportions."""
        wide, high = _cell_size()
        scale = min(
            1.0,
            min(room, _WIDEST) * wide / self._image.width,
            max(4, min(height - 4, _HIGHEST)) * high / self._image.height,
        )
        columns = round(self._image.width * scale / wide)
        return max(1, columns), max(1, round(self._image.height * scale / high))


@lru_cache(maxsize=1)
def _cell_size() -> tuple[int, int]:
    """Pixels of a character: as the kernel's terminal driver has them, else a VT340's.

    textual-image is told so too: by itself it asks the terminal, swallows what is typed meanwhile,
    and writes a traceback onto the screen when no answer comes.
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
    """iTerm2's own sequence (iterm2.com/documentation-images.html), over rows kept free for it."""
    data = io.BytesIO()
    image.save(data, "PNG")
    payload = base64.b64encode(data.getvalue()).decode()
    size = f"size={len(data.getvalue())};width={columns};height={rows}"
    for _ in range(rows):
        yield Segment(" " * columns + "\n")
    yield Segment("\x1b7", control=_UNMOVED)
    yield Control.move(0, -rows)
    yield Segment(
        f"\x1b]1337;File=inline=1;{size};preserveAspectRatio=1:{payload}\x07", control=_UNMOVED
    )
    yield Segment("\x1b8", control=_UNMOVED)


# ── what the terminal can do ─────────────────────────────────────────────────────────────────


@lru_cache(maxsize=1)
def graphics_protocol() -> str:
    """`kitty`, `sixel`, `iterm` or `blocks`: asked once, and what was typed till then is lost.

    NBRUN_IMAGES names one without asking: for a terminal that answers wrongly, or a slow line.
    """
    wanted = os.environ.get("NBRUN_IMAGES", "")
    if wanted in ("kitty", "sixel", "iterm", "blocks"):
        return wanted
    answer = terminal_query.identity()
    if _may_place(answer):  # tmux would take this question for a title
        answer += terminal_query.ask(_KITTY_GRAPHICS)
    return choose_protocol(answer)


def choose_protocol(answer: str) -> str:
    """What a terminal has, by its answers to XTVERSION, DA1 and about kitty's graphics."""
    name = answer.lower()
    if "i=31;ok" in name and _may_place(answer):
        return "kitty"
    if "4" in terminal_query.device_attributes(answer):
        return "sixel"
    return "iterm" if "iterm2" in name or "wezterm" in name else "blocks"


def _may_place(answer: str) -> bool:
    return any(name in answer.lower() for name in _PLACING_BY_CHARACTERS)
