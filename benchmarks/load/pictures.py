"""Radiographs of 1,024 pixels to send, phantoms or real: each time other bytes of one of them."""

import io
import itertools
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from covidcore.data.phantoms import PhantomSpec, write
from covidcore.data.sources import SIGNAL

_KINDS, _SIDE = 12, 1024
_BEFORE_END = -12  # PNG: the IEND chunk, of no data


def pictures(scratch: Path, real: Path | None = None) -> Iterator[bytes]:
    """PNG files without end, no two of the same bytes: nothing is answered from memory.

    Phantoms, or ``real`` images: a dozen from all over that folder, brought to that size.

    A few pictures, of which a comment differs, for to make each anew would cost more than to answer
    about it, and on the same processors.
    """
    files = [_enlarged(path) for path in _spread(real)] if real else _phantoms(scratch)
    for number in itertools.count():
        data = files[number % len(files)]
        yield data[:_BEFORE_END] + _comment(b"number\0%d" % number) + data[_BEFORE_END:]


def _phantoms(scratch: Path) -> list[bytes]:
    spec = PhantomSpec(images=_KINDS, size=_SIDE, signal=SIGNAL)
    folder = write(spec, scratch / "pictures")
    return [path.read_bytes() for path in sorted(folder.glob("*/images/*.png"))[:_KINDS]]


def _spread(folder: Path) -> list[Path]:
    found = [path for path in sorted(folder.glob("**/*.png")) if "masks" not in path.parts]
    return found[:: max(1, len(found) // _KINDS)][:_KINDS]


def _enlarged(path: Path) -> bytes:
    data = io.BytesIO()
    grey = Image.open(path).convert("L")
    grey.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC).save(data, "PNG")
    return data.getvalue()


def _comment(text: bytes) -> bytes:
    chunk = b"tEXt" + text
    return struct.pack(">I", len(text)) + chunk + struct.pack(">I", zlib.crc32(chunk))
