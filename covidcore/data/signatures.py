"""What a file that is not read here seems to be, so that the refusal can say so."""

from covidcore.data.filenames import KINDS_READ
from covidcore.errors import DecodeError

_KNOWN: tuple[tuple[int, bytes, str], ...] = (
    (0, b"GIF8", "a GIF image"),
    (0, b"II+\0", "a BigTIFF image"),
    (0, b"MM\0+", "a BigTIFF image"),
    (0, b"%PDF-", "a PDF document"),
    (4, b"ftyphei", "a HEIC image"),
    (4, b"ftyphev", "a HEIC image"),
    (4, b"ftypmif1", "a HEIC image"),
    (4, b"ftypavi", "an AVIF image"),
    (4, b"ftyp", "a video"),
    (0, b"\0\0\0\x0cjP  ", "a JPEG 2000 image"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (0, b"\0\0\0\x0cJXL ", "a JPEG XL image"),
    (0, b"\xff\x0a", "a JPEG XL image"),
    (0, b"8BPS", "a Photoshop document"),
    (0, b"\0\0\x01\0", "an icon"),
    (0, b"PK\x03\x04", "a zip archive or an Office document"),
    (0, b"PK\x05\x06", "an empty zip archive"),
    (0, b"Rar!\x1a\x07", "a RAR archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"\x93NUMPY", "a NumPy array"),
    (344, b"n+1\0", "a NIfTI volume"),
)
_HEAD = 1024


def known_as(data: bytes) -> DecodeError:
    """The refusal of a file that begins as none of the formats that are read."""
    for offset, magic, name in _KNOWN:
        if data.startswith(magic, offset):
            return DecodeError(
                "unsupported_format",
                f"This file is {name}; only {KINDS_READ.replace(' or ', ' and ')} are read.",
            )
    text = _text(data[:_HEAD])
    if text is not None:
        start = text.lstrip("\ufeff \t\r\n").lower()
        holds = "text"
        if start.startswith(("<!doctype html", "<html")):
            holds = "a web page"
        elif "<svg" in start:
            holds = "an SVG drawing"
        return DecodeError("unsupported_format", f"This is not an image: it holds {holds}.")
    if not any(data[:_HEAD]):
        return DecodeError("unreadable", "This file is damaged: it begins with nothing but zeros.")
    return DecodeError(
        "unreadable", "This is not an image of a known kind, or it is damaged from its first bytes."
    )


def _text(head: bytes) -> str | None:
    """Decode the beginning of a text file; None where it is not one."""
    encoding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
    cut = len(head) if len(head) < _HEAD else _HEAD - 4  # a character may be cut at the end
    for end in range(cut, len(head) + 1):
        try:
            text = head[:end].decode(encoding)
        except UnicodeDecodeError:
            continue
        return (
            text if all(sign.isprintable() or sign in "\t\r\n\f\ufeff" for sign in text) else None
        )
    return None
