"""WebP, BMP and TIFF files: their pixels, and what of them no image library gets to see."""

import io
import struct
import warnings

import numpy as np
import pytest
from PIL import Image, ImageOps

from covidcore.data.decode import Limits, decode
from covidcore.errors import DecodeError
from tests import dicoms, hostile

GREY = hostile.shades()
COLOUR = np.dstack([GREY, GREY[::-1], np.full_like(GREY, 60)])
LUMA = np.rint(COLOUR @ [0.299, 0.587, 0.114])
HEIGHT, WIDTH = GREY.shape
WEBP = hostile.saved(GREY, "WEBP", lossless=True)
BMP = hostile.saved(GREY, "BMP")
TIFF = hostile.saved(GREY, "TIFF")
LOSSLESS = {
    "webp": WEBP,
    "bmp": BMP,
    "bmp of colours": hostile.saved(np.dstack([GREY] * 3), "BMP"),
    "tiff": TIFF,
    **{
        f"tiff {name}": hostile.saved(GREY, "TIFF", compression=name)
        for name in ("tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits")
    },
    "tiff of colours": hostile.saved(np.dstack([GREY] * 3), "TIFF", compression="tiff_lzw"),
    "tiff with a predictor": hostile.saved(GREY, "TIFF", compression="tiff_lzw", tiffinfo={317: 2}),
    "tiff of 16 bits": hostile.saved(GREY.astype(np.uint16) * 257, "TIFF"),
    "tiff of strips": hostile.saved(GREY, "TIFF", compression="packbits", strip_size=200),
}


def refusal(data: bytes, limits: Limits | None = None) -> tuple[str, str]:
    with pytest.raises(DecodeError) as caught:
        decode(data, limits)
    assert str(caught.value).endswith(".")
    return caught.value.code, str(caught.value)


def tiff(
    pixels: np.ndarray, order: str = "<", changes: dict[int, object] | None = None, after: int = 0
) -> bytes:
    """A plain grey TIFF; ``changes`` replaces tags, or leaves them out where None."""
    data = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    tags: dict[int, object] = {
        256: pixels.shape[1],
        257: pixels.shape[0],
        258: 8 * pixels.dtype.itemsize,
        259: 1,
        262: 1,
        273: 8,
        277: 1,
        278: pixels.shape[0],
        279: len(data),
    }
    tags |= changes or {}
    at = 8 + len(data)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", at)
    kept = [(tag, value) for tag, value in sorted(tags.items()) if value is not None]
    body, lists = b"", b""
    behind = at + 2 + 12 * len(kept) + 4
    for tag, value in kept:
        values = value if isinstance(value, tuple) else (value,)
        if len(values) > 1:
            place = behind + len(lists)
            lists += struct.pack(f"{order}{len(values)}I", *values)
        else:
            place = values[0]
        body += struct.pack(order + "HHII", tag, 4, len(values), place)
    end = struct.pack(order + "I", after)
    return head + data + struct.pack(order + "H", len(kept)) + body + end + lists


# --- pixels


@pytest.mark.parametrize("name", LOSSLESS)
def test_grey_comes_back_as_it_is(name: str) -> None:
    decoded = decode(LOSSLESS[name])
    assert decoded.format == {"w": "WebP", "b": "BMP", "t": "TIFF"}[name[0]]
    assert decoded.pixels.dtype == np.uint8 and decoded.pixels.flags.c_contiguous
    assert decoded.colour == 0
    np.testing.assert_array_equal(decoded.pixels, GREY)


@pytest.mark.parametrize("form", ["WEBP", "BMP", "TIFF"])
def test_colour_becomes_luma_and_is_reported(form: str) -> None:
    decoded = decode(hostile.saved(COLOUR, form, **({"lossless": True} if form == "WEBP" else {})))
    assert np.abs(decoded.pixels - LUMA).max() <= 1
    assert decoded.colour > 0.1


def test_webp_that_loses_something_is_nearly_the_same() -> None:
    decoded = decode(hostile.saved(GREY, "WEBP", quality=95))
    assert np.abs(decoded.pixels.astype(int) - GREY).mean() < 6
    assert decoded.colour < 0.01


@pytest.mark.parametrize("lossless", [True, False])
@pytest.mark.parametrize("form", ["WEBP", "TIFF"])
def test_alpha_is_laid_over_black(form: str, lossless: bool) -> None:
    image = Image.fromarray(GREY).convert("RGBA")
    alpha = np.zeros_like(GREY)
    alpha[:, WIDTH // 2 :] = 255
    image.putalpha(Image.fromarray(alpha))
    options = {"lossless": lossless, "exact": True} if form == "WEBP" else {}
    pixels = decode(hostile.saved(image, form, **options)).pixels
    assert not pixels[:, : WIDTH // 2].any()
    assert np.abs(pixels[:, WIDTH // 2 :].astype(int) - GREY[:, WIDTH // 2 :]).mean() < 8


@pytest.mark.parametrize("mode", ["1", "P", "LA"])
def test_other_modes_of_a_tiff(mode: str) -> None:
    image = Image.fromarray(GREY).convert(mode)
    expected = np.asarray(image.convert("RGB").convert("L"))
    np.testing.assert_array_equal(decode(hostile.saved(image, "TIFF")).pixels, expected)


@pytest.mark.parametrize("mode", ["1", "P"])
def test_other_modes_of_a_bmp(mode: str) -> None:
    image = Image.fromarray(GREY).convert(mode)
    expected = np.asarray(image.convert("RGB").convert("L"))
    np.testing.assert_array_equal(decode(hostile.saved(image, "BMP")).pixels, expected)


def test_a_bmp_from_the_top() -> None:
    rows = np.pad(GREY, ((0, 0), (0, -WIDTH % 4)))
    header = struct.pack("<IiiHHIIiiII", 40, WIDTH, -HEIGHT, 1, 8, 0, 0, 0, 0, 0, 0)
    palette = bytes(value for grey in range(256) for value in (grey, grey, grey, 0))
    start = 14 + len(header) + len(palette)
    head = b"BM" + struct.pack("<IHHI", start + rows.size, 0, 0, start)
    data = head + header + palette + rows.tobytes()
    np.testing.assert_array_equal(decode(data).pixels, GREY)
    np.testing.assert_array_equal(decode(data + b"more").pixels, GREY)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate"])
def test_detector_depths_are_scaled_not_clipped(
    order: str, bits: int, compression: str | None
) -> None:
    top = 2**bits - 1
    samples = np.linspace(0, top, 64 * 64).astype(np.uint16).reshape(64, 64)
    if compression is None:
        data = tiff(samples, order)
    elif order == "<":
        data = hostile.saved(samples, "TIFF", compression=compression)
    else:
        big = Image.frombytes("I;16B", (64, 64), samples.astype(">u2").tobytes())
        data = hostile.saved(big, "TIFF", compression=compression)
    np.testing.assert_array_equal(decode(data).pixels, np.rint(samples * 255.0 / top))


@pytest.mark.parametrize("order", ["<", ">"])
def test_white_is_zero_is_turned(order: str) -> None:
    np.testing.assert_array_equal(decode(tiff(GREY, order, {262: 0})).pixels, 255 - GREY)
    deep = GREY.astype(np.uint16) * 257
    np.testing.assert_array_equal(decode(tiff(deep, order, {262: 0})).pixels, 255 - GREY)


@pytest.mark.parametrize("orientation", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
def test_orientation_is_applied(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = np.asarray(ImageOps.exif_transpose(_with_orientation(orientation)))
    webp = hostile.saved(GREY, "WEBP", lossless=True, exif=exif.tobytes())
    tiffs = [tiff(GREY, order, {274: orientation}) for order in "<>"]
    for data in (webp, *tiffs):
        np.testing.assert_array_equal(decode(data).pixels, upright)


def _with_orientation(orientation: int) -> Image.Image:
    image = Image.fromarray(GREY)
    image.getexif()[0x0112] = orientation
    return image


def test_the_first_page_of_several() -> None:
    data = hostile.animated(GREY, 255 - GREY, "TIFF")
    np.testing.assert_array_equal(decode(data).pixels, GREY)


# --- what is refused


def chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


def riff(*chunks: bytes) -> bytes:
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def webp_declaring(width: int, height: int) -> bytes:
    bits = (width - 1) | (height - 1) << 14
    return riff(chunk(b"VP8L", b"\x2f" + struct.pack("<I", bits) + bytes(20)))


def lossy_declaring(width: int, height: int) -> bytes:
    frame = b"\x10\2\0\x9d\x01\x2a" + struct.pack("<HH", width, height) + bytes(30)
    return riff(chunk(b"VP8 ", frame))


def bmp_declaring(width: int, height: int, depth: int = 8, compression: int = 0) -> bytes:
    return BMP[:18] + struct.pack("<iiHHI", width, height, 1, depth, compression) + BMP[34:]


REFUSED = {
    "webp bomb": (webp_declaring(16_000, 16_000), "too_many_pixels", "16000 x 16000"),
    "lossy webp bomb": (lossy_declaring(16_000, 16_000), "too_many_pixels", "16000 x 16000"),
    "webp of nothing": (lossy_declaring(0, 0), "unreadable", "This WebP is damaged"),
    "webp lies": (webp_declaring(400, 400), "unreadable", "This WebP is damaged"),
    "webp small": (webp_declaring(20, 400), "too_small", "at least 32 x 32"),
    "webp animated": (
        hostile.animated(COLOUR, 255 - COLOUR, "WEBP"),
        "unsupported_format",
        "an animation",
    ),
    "webp of two pictures": (
        riff(WEBP[12:], chunk(b"VP8 ", lossy_declaring(40, 40)[20:])),
        "unreadable",
        "This WebP is damaged",
    ),
    "webp of parts": (riff(chunk(b"abcd", b"") * 60_000), "unreadable", "too many parts"),
    "webp of nothing at all": (riff(), "unreadable", "This WebP is damaged"),
    "bmp bomb": (bmp_declaring(30_000, 30_000), "too_many_pixels", "30000 x 30000"),
    "bmp negative width": (bmp_declaring(-40, 48), "unreadable", "This BMP is damaged"),
    "bmp lies": (bmp_declaring(400, 48), "unreadable", "This BMP is damaged"),
    "bmp small": (hostile.saved(GREY[:20], "BMP"), "too_small", "at least 32 x 32"),
    "bmp of run lengths": (bmp_declaring(40, 48, 8, 1), "unsupported_format", "save it as PNG"),
    "bmp of jpeg": (bmp_declaring(40, 48, 0, 4), "unsupported_format", "save it as PNG"),
    "bmp depth": (bmp_declaring(40, 48, 7), "unreadable", "This BMP is damaged"),
    "bmp os/2": (BMP[:14] + b"\x0c" + BMP[15:], "unsupported_format", "save it as PNG"),
    "tiff bomb": (
        tiff(GREY, "<", {256: 50_000, 257: 50_000, 278: 50_000}),
        "too_many_pixels",
        "50000 x",
    ),
    "tiff lies": (tiff(GREY, "<", {256: 400}), "unreadable", "This TIFF is damaged"),
    "tiff small": (tiff(GREY[:20]), "too_small", "at least 32 x 32"),
    "tiff of no width": (tiff(GREY, "<", {256: 0}), "unreadable", "This TIFF is damaged"),
    "tiff without height": (tiff(GREY, "<", {257: None}), "unreadable", "This TIFF is damaged"),
    "tiff of no rows": (tiff(GREY, "<", {278: 0}), "unreadable", "This TIFF is damaged"),
    "tiff beyond its end": (tiff(GREY, "<", {273: 10**9}), "unreadable", "This TIFF is damaged"),
    "tiff strips that overlap": (
        tiff(GREY, "<", {278: 1, 273: (8,) * HEIGHT, 279: (len(TIFF),) * HEIGHT}),
        "unreadable",
        "This TIFF is damaged",
    ),
    "tiff of strips": (
        tiff(GREY, "<", {273: (8,) * 60_000, 279: (40,) * 60_000}),
        "unreadable",
        "too many parts",
    ),
    "tiff of tiles": (tiff(GREY, "<", {322: 16}), "unsupported_format", "of a kind that is not"),
    "tiff of floats": (tiff(GREY, "<", {339: 3}), "unsupported_format", "of a kind that is not"),
    "tiff of jpeg": (
        hostile.saved(COLOUR, "TIFF", compression="jpeg"),
        "unsupported_format",
        "of a kind that is not",
    ),
    "tiff of fax": (
        hostile.saved(Image.fromarray(GREY).convert("1"), "TIFF", compression="group4"),
        "unsupported_format",
        "of a kind that is not",
    ),
    "tiff cmyk": (
        hostile.saved(Image.fromarray(COLOUR).convert("CMYK"), "TIFF"),
        "unsupported_format",
        "of a kind that is not",
    ),
    "tiff of 32 bits": (
        hostile.saved(Image.fromarray(GREY.astype(np.float32)), "TIFF"),
        "unsupported_format",
        "of a kind that is not",
    ),
    "tiff without palette": (tiff(GREY, "<", {262: 3}), "unreadable", "This TIFF is damaged"),
    "big tiff": (b"II+\0" + bytes(40), "unsupported_format", "a BigTIFF image"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_have_a_code_and_a_sentence(name: str) -> None:
    data, code, words = REFUSED[name]
    given, sentence = refusal(data)
    assert (given, words in sentence) == (code, True), sentence


@pytest.mark.parametrize("name", LOSSLESS)
def test_limits_are_judged_before_a_pixel_is(name: str) -> None:
    data = LOSSLESS[name]
    assert refusal(data, Limits(max_pixels=GREY.size - 1))[0] == "too_many_pixels"
    assert refusal(data, Limits(max_side=HEIGHT - 1))[0] == "too_many_pixels"
    assert refusal(data, Limits(min_side=WIDTH + 1))[0] == "too_small"


@pytest.mark.parametrize("name", ["webp", "bmp", "tiff", "tiff tiff_lzw", "tiff of strips"])
def test_every_truncation_is_refused_or_shows_all_pixels(name: str) -> None:
    data = LOSSLESS[name]
    for end in range(0, len(data), 3):
        try:
            pixels = decode(data[:end]).pixels
        except DecodeError as error:
            assert error.code in ("unreadable", "unsupported_format"), end
        else:
            np.testing.assert_array_equal(pixels, GREY, err_msg=str(end))


def test_what_a_file_carries_beside_its_pixels_is_never_seen() -> None:
    """A profile, a description in a circle, further directories: they are not even parsed."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        noisy = hostile.saved(GREY, "WEBP", lossless=True, icc_profile=b"x" * 999, xmp=b"y" * 999)
        np.testing.assert_array_equal(decode(noisy).pixels, GREY)
        circle = tiff(GREY, "<", {34665: 8, 330: 8, 34675: 8, 700: 8}, after=8 + GREY.size)
        np.testing.assert_array_equal(decode(circle).pixels, GREY)


def test_the_copy_is_what_other_programs_read() -> None:
    """Strips that are out of order, and between them something else."""
    rows, junk = [row.tobytes() for row in GREY], b"junk" * 20
    places, body = {}, b""
    for number in reversed(range(HEIGHT)):
        places[number] = 8 + GREY.size + len(body)
        body += rows[number] + junk
    changes = {278: 1, 273: tuple(places[n] for n in range(HEIGHT)), 279: (WIDTH,) * HEIGHT}
    plain = tiff(GREY, "<", changes)
    # The strips come behind the pixels of the plain file, which are then not used any more.
    at = 8 + GREY.size
    directory = plain[at:]
    moved = len(body)
    shifted = tiff_at(directory, moved)
    data = plain[:4] + struct.pack("<I", at + moved) + bytes(GREY.size) + body + shifted
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), GREY)
    np.testing.assert_array_equal(decode(data).pixels, GREY)


def tiff_at(directory: bytes, by: int) -> bytes:
    """The bytes of a directory whose lists are to lie ``by`` bytes further on."""
    (entries,) = struct.unpack_from("<H", directory)
    made = bytearray(directory)
    for at in range(2, 2 + 12 * entries, 12):
        count, place = struct.unpack_from("<II", directory, at + 4)
        if count > 1:
            struct.pack_into("<I", made, at + 8, place + by)
    return bytes(made)


def test_a_dicom_file_that_begins_as_a_tiff_is_a_dicom_file() -> None:
    made = dicoms.dicom(GREY)
    both = TIFF[:8].ljust(128, b"\0") + made[128:]
    assert decode(both).format == "DICOM"
    np.testing.assert_array_equal(decode(both).pixels, GREY)
