"""Zip archives written byte by byte: honest ones, and such as no honest packer makes."""

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from tests.hostile import saved
from tests.pictures import picture


@dataclass
class Part:
    """One entry; what is None is told truthfully."""

    name: str | bytes
    data: bytes = b""
    method: int = 8
    flags: int = 0
    mode: int = 0
    size: int | None = None
    """Declared in the list."""
    crc: int | None = None
    offset: int | None = None
    """Where the list says that it begins."""
    inner_name: bytes | None = None
    """In its own header."""
    inner_extra: int = 0
    """Bytes that its own header claims before the data, and that are not there."""

    @property
    def raw(self) -> bytes:
        return self.name if isinstance(self.name, bytes) else self.name.encode()

    @property
    def packed(self) -> bytes:
        if self.method != 8:
            return self.data
        deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
        return deflate.compress(self.data) + deflate.flush()


def archive(*parts: Part, long_end: bool = False) -> bytes:
    """The bytes of an archive of ``parts``; ``long_end``: as one above 4 GiB ends."""
    body, listed = b"", b""
    for part in parts:
        packed, raw = part.packed, part.raw
        flags = part.flags | (0x800 if isinstance(part.name, str) and not raw.isascii() else 0)
        crc = zlib.crc32(part.data) if part.crc is None else part.crc
        size = len(part.data) if part.size is None else part.size
        inner = raw if part.inner_name is None else part.inner_name
        offset = len(body) if part.offset is None else part.offset
        about = (20, flags, part.method, 0, 33, crc, len(packed), size)
        body += struct.pack("<4s5H3L2H", b"PK\3\4", *about, len(inner), part.inner_extra)
        body += inner + packed
        listed += struct.pack(
            "<4s6H3L5H2L", b"PK\1\2", 0x314, *about, len(raw), 0, 0, 0, 0, part.mode << 16, offset
        )
        listed += raw
    number, length, offset = len(parts), len(listed), len(body)
    if not long_end:
        end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, number, number, length, offset, 0)
        return body + listed + end
    about = (44, 45, 45, 0, 0, number, number, length, offset)
    end = struct.pack("<4sQ2H2L4Q", b"PK\6\6", *about)
    end += struct.pack("<4sLQL", b"PK\6\7", 0, offset + length, 1)
    end += struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, *[0xFFFF] * 2, *[0xFFFFFFFF] * 2, 0)
    return body + listed + end


def image(seed: int) -> bytes:
    """A small PNG, unlike that of any other seed."""
    return saved(picture(seed))


def honest(prefix: str = "", images: int = 3) -> list[Part]:
    """Entries of a dataset with two classes."""
    return [
        Part(f"{prefix}{label}/{label}-{number}.png", image(100 * place + number))
        for place, label in enumerate(("COVID", "Normal"))
        for number in range(images)
    ]


def zip_folder(folder: Path, to: Path, prefix: str = "") -> Path:
    """An archive of every file below ``folder``."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    parts = [
        Part(prefix + file.relative_to(folder).as_posix(), file.read_bytes()) for file in files
    ]
    to.write_bytes(archive(*parts))
    return to
