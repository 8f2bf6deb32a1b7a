"""Small pictures, as kernels send them."""

import base64
import io
from typing import Any


def encoded(image: Any, kind: str, **options: Any) -> str:
    """A picture of Pillow's as a file of this kind, in base64."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return base64.b64encode(file.getvalue()).decode()


def png(width: int = 40, height: int = 40, colour: str = "red", mode: str = "RGB") -> str:
    from PIL import Image

    return encoded(Image.new(mode, (width, height), colour), "PNG")
