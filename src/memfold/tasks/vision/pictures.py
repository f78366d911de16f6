"""Pictures in a page of HTML, which needs no other file."""

import base64
import io
from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["SIDE", "data_url", "gallery", "image_of", "thumbnail"]

SIDE = 112  # pixels of a picture as it is shown


def gallery(heading: str, text: str, pictures: Sequence[tuple[NDArray[np.uint8], str]]) -> str:
    """A heading, a text, and pictures ``(C, H, W)`` with a caption each, as HTML, no larger than they are shown."""
    figures = "".join(
        f'<figure style="margin:0;width:{SIDE}px"><img src="{thumbnail(pixels)}" alt="" width="{SIDE}" '
        f'style="image-rendering:pixelated;display:block"><figcaption style="font-size:0.8rem;overflow-wrap:anywhere">'
        f"{escape(caption)}</figcaption></figure>"
        for pixels, caption in pictures
    )
    style = "display:flex;flex-wrap:wrap;gap:12px"
    return f'<h2>{escape(heading)}</h2><p>{escape(text)}</p><div style="{style}">{figures}</div>'


def thumbnail(pixels: NDArray[np.uint8]) -> str:
    """A URL that holds a picture ``(C, H, W)`` at the size at which pages show many, twice as fine."""
    image = image_of(pixels)
    if max(image.size) <= 2 * SIDE:
        return data_url(image)
    image.thumbnail((2 * SIDE, 2 * SIDE))
    return data_url(image.convert("RGB"), "JPEG")


def image_of(pixels: NDArray[np.uint8]) -> Image.Image:
    """A picture ``(C, H, W)`` as Pillow has it, grey or in colour."""
    return Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))


def data_url(image: Image.Image, kind: str = "PNG") -> str:
    """A URL that holds the picture itself, as ``PNG`` or ``JPEG``."""
    file = io.BytesIO()
    image.save(file, kind, quality=85)  # of a JPEG
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"
