"""Small pictures of what was sent: previews, thumbnails in a table, a map of heat laid over one."""

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Grey = NDArray[np.uint8]
Colour = NDArray[np.uint8]

PREVIEW = 448
"""Pixels of the longer side of what a card shows."""
THUMBNAIL = 72
"""Pixels of the longer side of what a row shows."""
HEAT = (213, 94, 0)
"""Vermilion, for heat, and sky blue, for the box: no radiograph has either, and colour-blind eyes
tell them apart. Source: Okabe & Ito 2008."""
BOX = (86, 180, 233)

_STRONGEST = 0.65
"""How much of the hottest place is colour."""


def reduced(pixels: Grey, longest: int = PREVIEW) -> Grey:
    """A grey image ``(H, W)`` whose longer side has at most so many pixels; its shape is kept."""
    height, width = pixels.shape
    scale = longest / max(height, width)
    if scale >= 1:
        return pixels
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))


def as_jpeg(pixels: NDArray[np.uint8]) -> bytes:
    """A grey ``(H, W)`` or coloured ``(H, W, 3)`` picture as a JPEG file: to look at, no more."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def from_jpeg(data: bytes) -> Grey:
    """The grey picture of ``as_jpeg``; never called with a file of anybody else's."""
    with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
        return np.asarray(image.convert("L"))


def data_uri(pixels: Grey) -> str:
    """A thumbnail of a grey image as an address that holds the picture itself."""
    small = as_jpeg(reduced(pixels, THUMBNAIL))
    return "data:image/jpeg;base64," + base64.b64encode(small).decode("ascii")


def heated(picture: Grey, cells: NDArray[np.float32], box: NDArray[np.bool_]) -> Colour:
    """A grey picture ``(H, W)`` in colour ``(H, W, 3)`` under a map ``(h, w)``, 0 and above.

    The hotter a place, the more of it is ``HEAT``; the border of ``box`` ``(S, S)`` is drawn.
    """
    height, width = picture.shape
    top = float(cells.max()) if cells.size else 0.0
    share = np.zeros_like(picture, dtype=np.float32)
    if top > 0:
        scaled = Image.fromarray(np.ascontiguousarray(cells / top, dtype=np.float32))
        share = np.asarray(scaled.resize((width, height), Image.Resampling.BILINEAR))
    share = np.clip(share, 0, 1)[..., np.newaxis] * _STRONGEST
    grey = np.repeat(picture[..., np.newaxis], 3, axis=2).astype(np.float32)
    mixed = np.rint(grey * (1 - share) + np.array(HEAT, np.float32) * share).astype(np.uint8)
    rows, columns = np.flatnonzero(box.any(axis=1)), np.flatnonzero(box.any(axis=0))
    if len(rows):
        up, down = (int(at * height / len(box)) for at in (rows[0], rows[-1] + 1))
        left, right = (int(at * width / len(box)) for at in (columns[0], columns[-1] + 1))
        line = max(1, round(max(height, width) / 220))
        inner = np.zeros((height, width), dtype=bool)
        inner[up:down, left:right] = True
        inner[up + line : down - line, left + line : right - line] = False
        mixed[inner] = BOX
    return mixed
