"""Files made to do harm, or odd in a way that harms by accident; each builder returns the bytes."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

PNG = b"\x89PNG\r\n\x1a\n"


def shades(height: int = 48, width: int = 40, seed: int = 0) -> np.ndarray:
    """(H, W) uint8 with structure, both extremes and no symmetry."""
    y, x = np.mgrid[:height, :width]
    noise = np.random.default_rng(seed).integers(0, 20, (height, width))
    pixels = (x * 150 // width + y * 80 // height + noise).astype(np.uint8)
    pixels[0, 0], pixels[-1, -1] = 0, 255
    return pixels


def saved(image: Image.Image | np.ndarray, form: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(buffer, form, **options)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_checksums(data: bytes) -> bytes:
    """A PNG whose every chunk has the check sum of what is in it, so that damage is decoded."""
    at, parts = len(PNG), [PNG]
    while at + 12 <= len(data) and len(parts) < 1000:
        size, kind = struct.unpack_from(">I4s", data, at)
        parts.append(chunk(kind, data[at + 8 : at + 8 + size]))
        at += 12 + size
    return b"".join(parts)


def png(
    rows: np.ndarray, width: int, depth: int, colour_type: int, *before: bytes, after: bytes = b""
) -> bytes:
    """A PNG from packed rows (H, bytes a row), for the kinds that Pillow does not write."""
    header = struct.pack(">IIBBBBB", width, len(rows), depth, colour_type, 0, 0, 0)
    filtered = np.pad(rows.view(np.uint8).reshape(len(rows), -1), ((0, 0), (1, 0)))
    pixels = chunk(b"IDAT", zlib.compress(filtered.tobytes()))
    return b"".join([PNG, chunk(b"IHDR", header), *before, pixels, after, chunk(b"IEND")])


def sixteen_bit_png(samples: np.ndarray, *before: bytes) -> bytes:
    """``samples`` (H, W, C) uint16: grey, grey + alpha, RGB or RGBA by C."""
    height, width, channels = samples.shape
    rows = samples.astype(">u2").reshape(height, width * channels).view(np.uint8)
    return png(rows, width, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], *before)


def declaring(width: int, height: int, depth: int = 8, colour_type: int = 0) -> bytes:
    """A tiny PNG whose header promises ``width`` x ``height`` pixels."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    return PNG + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND")


def with_chunks(*chunks: bytes, image: bytes | None = None) -> bytes:
    """A valid PNG with more chunks between its header and its pixels."""
    image = image or saved(shades())
    return image[:33] + b"".join(chunks) + image[33:]


def jpeg_declaring(width: int, height: int, depth: int = 8) -> bytes:
    """A valid JPEG whose frame header says something else."""
    data = saved(shades(), "JPEG")
    at = data.index(b"\xff\xc0") + 4
    return data[:at] + struct.pack(">BHH", depth, height, width) + data[at + 5 :]


def with_segments(*segments: bytes, image: bytes | None = None) -> bytes:
    """A valid JPEG with more segments right after its first marker."""
    image = image or saved(shades(), "JPEG")
    return image[:2] + b"".join(segments) + image[2:]


def segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def tiff(orientation: int, order: str = "<") -> bytes:
    """An EXIF block with one entry."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    return head + struct.pack(order + "HHHIHHI", 1, 0x0112, 3, 1, orientation, 0, 0)


def many_scans(scans: int, size: int = 64) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    data = saved(shades(size, size), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * scans + b"\xff\xd9"


def exif_bomb(entries: int = 4000) -> bytes:
    """EXIF whose every entry claims the whole block: thousands of warnings from Pillow alone."""
    block = b"MM\0*" + struct.pack(">IH", 8, entries)
    for tag in range(entries):
        block += struct.pack(">HHII", 40_000 + tag % 20_000, 7, 12 * entries, 8)
    return with_segments(segment(0xE1, b"Exif\0\0" + block))


def text_bomb(kind: bytes) -> bytes:
    """A PNG with 100 texts of 8 MB each, all zeros, compressed to 8 KB."""
    body = zlib.compress(bytes(8 << 20), 9)
    head = {b"zTXt": b"k\0\0", b"iTXt": b"k\0\1\0\0\0", b"iCCP": b"k\0\0"}[kind]
    return with_chunks(*[chunk(kind, head + body)] * 100)


def animated(first: np.ndarray, second: np.ndarray, form: str) -> bytes:
    """An animated PNG, or an MPO as phones write it."""
    return saved(
        Image.fromarray(first), form, save_all=True, append_images=[Image.fromarray(second)]
    )
