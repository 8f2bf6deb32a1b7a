"""Build small images in base64, as kernels send them."""

import base64
import io
from typing import Any


def encoded(image: Any, kind: str, **options: Any) -> str:
    """Return a Pillow image as a file of the format `kind`, in base64."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return base64.b64encode(file.getvalue()).decode()


def png(width: int = 40, height: int = 40, colour: str = "red", mode: str = "RGB") -> str:
    """Return a one-coloured PNG in base64. Sizes are in pixels."""
    from PIL import Image

    return encoded(Image.new(mode, (width, height), colour), "PNG")
