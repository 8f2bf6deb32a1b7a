"""Pictures as pixels. The only importer of Pillow and resvg, which run in the child process.

A result is the width and the height in pixels, as 32-bit numbers, then three bytes a pixel.
"""

import io
import re
import struct

MAX_PIXELS = 40_000_000  # of a decoded picture: a small file can hold one that fills the memory
MAX_SIDE = 4_000  # pixels of what is returned: a terminal shows fewer

_SIZE = struct.Struct(">II")
_SVG_WIDTH = 800  # pixels
_FORMATS = ("PNG", "JPEG", "GIF", "WEBP")
_EXTERNAL_HREF = re.compile(r"""(\s(?:[\w.-]+:)?href\s*=\s*)(["'])(?!#|data:)[^"']*\2""", re.I)


def draw_svg(source: bytes) -> bytes:
    """Rasterize an SVG. References to anything outside of it, such as local files, are removed."""
    import resvg_py

    text = source.decode("utf-8", "surrogatepass")
    if "<!ENTITY" in text.upper():
        raise ValueError("it defines entities")
    self_contained = _EXTERNAL_HREF.sub(r"\1\2\2", text)
    return decode(bytes(resvg_py.svg_to_bytes(svg_string=self_contained, width=_SVG_WIDTH)))


def decode(data: bytes) -> bytes:
    """Decode the first frame of a picture, on white: plots are made for paper."""
    from PIL import Image

    image = Image.open(io.BytesIO(data), formats=_FORMATS)
    if image.width * image.height > MAX_PIXELS:
        raise ValueError("it has too many pixels")
    frame = image.convert("RGBA")
    frame.thumbnail((MAX_SIDE, MAX_SIDE))
    paper = Image.new("RGBA", frame.size, "white")
    shown = Image.alpha_composite(paper, frame).convert("RGB")
    return _SIZE.pack(*shown.size) + shown.tobytes()


def read_pixels(result: bytes) -> tuple[tuple[int, int], bytes]:
    """Return the size and the pixels of a result.

    Raises:
        ValueError: `result` does not have the form of a result.
    """
    width, height = _SIZE.unpack_from(result)
    pixels = result[_SIZE.size :]
    if not 0 < width * height * 3 == len(pixels):
        raise ValueError("the size does not fit the pixels")
    return (width, height), pixels
