"""Radiographs to send: phantoms of 1,024 pixels, each time other bytes of one of them."""

import itertools
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from covidcore.data.phantoms import PhantomSpec, write

_KINDS = 12
_BEFORE_END = -12  # PNG: the IEND chunk, of no data


def pictures(scratch: Path) -> Iterator[bytes]:
    """PNG files without end, no two of the same bytes: nothing is answered from memory.

    A few pictures, of which a comment differs, for to make each anew would cost more than to answer
    about it, and on the same processors.
    """
    folder = write(PhantomSpec(images=_KINDS, size=1024), scratch / "pictures")
    files = [path.read_bytes() for path in sorted(folder.glob("*/**/*.png"))[:_KINDS]]
    for number in itertools.count():
        data = files[number % len(files)]
        yield data[:_BEFORE_END] + _comment(b"number\0%d" % number) + data[_BEFORE_END:]


def _comment(text: bytes) -> bytes:
    chunk = b"tEXt" + text
    return struct.pack(">I", len(text)) + chunk + struct.pack(">I", zlib.crc32(chunk))
