"""decode(): every mode to one grey channel, every bad file to a refusal with its code."""

import io
import os
import random
import struct
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from covidcore.data.decode import Decoded, Limits, decode
from covidcore.errors import DataError, DecodeError
from tests import hostile

GREY = hostile.shades()
COLOUR = np.dstack([GREY, GREY[::-1], np.full_like(GREY, 60)])
LUMA = np.rint(COLOUR @ [0.299, 0.587, 0.114])


def refusal(source: Path | bytes, limits: Limits | None = None) -> tuple[str, str]:
    with pytest.raises(DecodeError) as caught:
        decode(source, limits)
    return caught.value.code, str(caught.value)


def differ(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(float) - other).max())


# --- modes


@pytest.mark.parametrize(("form", "exact"), [("PNG", 0), ("JPEG", 12)])
def test_grey_comes_back_as_it_is(form: str, exact: int) -> None:
    decoded = decode(hostile.saved(GREY, form, **({"quality": 98} if exact else {})))
    assert (decoded.mode, decoded.format, decoded.colour) == ("L", form, 0)
    assert decoded.pixels.dtype == np.uint8 and decoded.pixels.flags.c_contiguous
    assert differ(decoded.pixels, GREY) <= exact


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P"])
def test_grey_in_any_8_bit_mode_is_the_same_image(mode: str) -> None:
    decoded = decode(hostile.saved(Image.fromarray(GREY).convert(mode)))
    assert decoded.mode == mode
    assert decoded.colour == 0
    np.testing.assert_array_equal(decoded.pixels, GREY)


def test_grey_jpeg_stored_as_rgb_is_grey() -> None:
    rgb = decode(hostile.saved(Image.fromarray(GREY).convert("RGB"), "JPEG", quality=95))
    assert rgb.mode == "RGB" and rgb.colour == 0
    assert differ(rgb.pixels, GREY) <= 12


def test_every_grey_value_survives_rgb() -> None:
    ramp = np.arange(256, dtype=np.uint8).repeat(8).reshape(32, 64)
    np.testing.assert_array_equal(decode(hostile.saved(np.dstack([ramp] * 3))).pixels, ramp)


def test_colour_becomes_luma_and_is_reported() -> None:
    decoded = decode(hostile.saved(COLOUR))
    assert differ(decoded.pixels, LUMA) <= 1
    assert 0.1 < decoded.colour < 1


def test_palette_of_colours() -> None:
    image = Image.fromarray(COLOUR).quantize(16)
    expected = np.asarray(image.convert("RGB").convert("L"))
    np.testing.assert_array_equal(decode(hostile.saved(image)).pixels, expected)


def test_one_bit() -> None:
    image = Image.fromarray(GREY).convert("1")
    decoded = decode(hostile.saved(image))
    assert decoded.mode == "1" and set(np.unique(decoded.pixels)) == {0, 255}
    np.testing.assert_array_equal(decoded.pixels == 255, np.asarray(image))


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha_is_laid_over_black(mode: str) -> None:
    image = Image.fromarray(GREY).convert(mode)
    alpha = np.linspace(0, 255, GREY.shape[1]).astype(np.uint8)[np.newaxis].repeat(len(GREY), 0)
    image.putalpha(Image.fromarray(alpha))
    decoded = decode(hostile.saved(image))
    assert differ(decoded.pixels, GREY * (alpha / 255.0)) <= 0.51
    assert not decoded.pixels[:, 0].any()


@pytest.mark.parametrize("transparency", [7, bytes([0, 128, 255])])
def test_see_through_palette_entries_are_black(transparency: int | bytes) -> None:
    image = Image.fromarray(GREY // 16)
    image.putpalette([v for i in range(16) for v in (16 * i + 10,) * 3])
    expected = (GREY // 16).astype(float) * 16 + 10
    opacity = np.ones(16)
    if isinstance(transparency, int):
        opacity[transparency] = 0
    else:
        opacity[:3] = 0, 128 / 255, 1
    decoded = decode(hostile.saved(image, transparency=transparency))
    assert decoded.mode == "P"
    assert differ(decoded.pixels, expected * opacity[GREY // 16]) <= 0.51


def test_see_through_grey_and_colour_values_are_black() -> None:
    keyed = np.where(GREY == 100, 0, GREY)
    np.testing.assert_array_equal(decode(hostile.saved(GREY, transparency=100)).pixels, keyed)
    rgb = Image.fromarray(GREY).convert("RGB")
    decoded = decode(hostile.saved(rgb, transparency=(100, 100, 100)))
    np.testing.assert_array_equal(decoded.pixels, keyed)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_low_depths_spread_over_the_whole_range(depth: int) -> None:
    values = GREY >> (8 - depth)
    bits = np.unpackbits(values[..., np.newaxis], axis=2)[..., -depth:]
    rows = np.packbits(bits.reshape(len(GREY), -1), axis=1)
    spread = values * (255 // (2**depth - 1))
    plain = decode(hostile.png(rows, GREY.shape[1], depth, 0))
    np.testing.assert_array_equal(plain.pixels, spread)
    key = hostile.chunk(b"tRNS", struct.pack(">H", 1))
    keyed = decode(hostile.png(rows, GREY.shape[1], depth, 0, key))
    np.testing.assert_array_equal(keyed.pixels, np.where(values == 1, 0, spread))


@pytest.mark.parametrize("invert", [False, True])
def test_cmyk_jpeg(invert: bool) -> None:
    image = Image.fromarray(COLOUR).convert("CMYK")
    decoded = decode(hostile.saved(image, "JPEG", quality=98, subsampling=0))
    assert decoded.mode == "CMYK"
    assert differ(decoded.pixels, LUMA) <= 25
    assert np.corrcoef(decoded.pixels.ravel(), LUMA.ravel())[0, 1] > 0.99


def test_ycck_jpeg_follows_its_adobe_marker() -> None:
    data = hostile.saved(Image.fromarray(COLOUR).convert("CMYK"), "JPEG", quality=98)
    at = data.index(b"Adobe") + 11
    other = data[:at] + bytes([2 - data[at]]) + data[at + 1 :]
    expected = Image.open(io.BytesIO(other)).convert("RGB").convert("L")
    np.testing.assert_array_equal(decode(other).pixels, np.asarray(expected))
    assert differ(decode(other).pixels, decode(data).pixels) > 25


def test_no_part_dropped_before_decoding_changes_a_pixel() -> None:
    for options in ({}, {"progressive": True}, {"restart_marker_rows": 1}, {"optimize": True}):
        for mode in ("L", "RGB", "CMYK"):
            data = hostile.saved(
                Image.fromarray(COLOUR).convert(mode), "JPEG", dpi=(9, 9), **options
            )
            image = Image.open(io.BytesIO(data))
            plain = image.convert("RGB").convert("L") if mode == "CMYK" else image.convert("L")
            np.testing.assert_array_equal(decode(data).pixels, np.asarray(plain))


# --- 16 bits


@pytest.mark.parametrize("darkest", [1, 4, 40])
def test_8_bit_values_in_16_bit_files_are_the_same_image(darkest: int) -> None:
    grey = GREY // darkest
    for factor in (1, 257):
        decoded = decode(hostile.saved(grey.astype(np.uint16) * factor))
        assert decoded.mode == "I;16"
        np.testing.assert_array_equal(decoded.pixels, grey)


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_detector_depths_are_scaled_not_clipped(bits: int) -> None:
    top = 2**bits - 1
    samples = np.linspace(0, top, 64 * 64).astype(np.uint16).reshape(64, 64)
    pixels = decode(hostile.saved(samples)).pixels
    np.testing.assert_array_equal(pixels, np.rint(samples * 255.0 / top))
    assert (pixels.min(), pixels.max()) == (0, 255)


def test_exposure_within_a_depth_is_kept() -> None:
    samples = np.full((64, 64), 2100, np.uint16)
    assert (decode(hostile.saved(samples)).pixels == round(2100 * 255 / 4095)).all()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_12_bits_in_16_bit_files_of_any_kind(channels: int) -> None:
    rng = np.random.default_rng(channels)
    grey = rng.integers(0, 4096, (40, 36), dtype=np.uint16)
    grey[0, 0] = 4095
    samples = np.repeat(grey[..., np.newaxis], channels, axis=2)
    if channels in (2, 4):
        samples[..., -1] = 65535
        samples[:, :5, -1] = 0
    expected = np.rint(grey * 255.0 / 4095)
    if channels in (2, 4):
        expected[:, :5] = 0
    np.testing.assert_array_equal(decode(hostile.sixteen_bit_png(samples)).pixels, expected)


def test_16_bit_colour_and_its_see_through_value() -> None:
    samples = COLOUR.astype(np.uint16) * 257
    assert differ(decode(hostile.sixteen_bit_png(samples)).pixels, LUMA) <= 1
    key = hostile.chunk(b"tRNS", samples[5, 5].astype(">u2").tobytes())
    keyed = decode(hostile.sixteen_bit_png(samples, key)).pixels
    hit = (samples == samples[5, 5]).all(axis=2)
    assert not keyed[hit].any() and differ(keyed[~hit], LUMA[~hit]) <= 1


# --- orientation, frames


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
def test_orientation_is_applied(orientation: int, order: str) -> None:
    block = hostile.tiff(orientation, order)
    png = hostile.with_chunks(hostile.chunk(b"eXIf", block))
    jpeg = hostile.with_segments(hostile.segment(0xE1, b"Exif\0\0" + block))
    for data in (png, jpeg):
        upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
        decoded = decode(data).pixels
        np.testing.assert_array_equal(decoded, np.asarray(upright))
        assert decoded.flags.c_contiguous


def test_damaged_exif_does_not_cost_the_image() -> None:
    block = hostile.tiff(6)
    for cut in range(len(block)):
        jpeg = hostile.with_segments(hostile.segment(0xE1, b"Exif\0\0" + block[:cut]))
        assert decode(jpeg).pixels.size == GREY.size


@pytest.mark.parametrize(("form", "name"), [("PNG", "PNG"), ("MPO", "JPEG")])
def test_first_frame_of_several(form: str, name: str) -> None:
    decoded = decode(hostile.animated(GREY, 255 - GREY, form))
    assert decoded.format == name
    assert differ(decoded.pixels, GREY) <= 40


def test_anything_may_follow_the_end() -> None:
    for form in ("PNG", "JPEG"):
        data = hostile.saved(GREY, form)
        tail = random.Random(0).randbytes(2_000) + b"\xff\xda" * 200
        np.testing.assert_array_equal(decode(data + tail).pixels, decode(data).pixels)


# --- refusals

SENTENCES = {
    "empty": (b"", "unreadable", "This file is empty."),
    "text": (b"patient 7, see attachment\n", "unsupported_format", "it holds text."),
    "utf-16": ("Größe".encode("utf-16"), "unsupported_format", "it holds text."),
    "long umlauts": (b"x" + "ü".encode() * 900, "unsupported_format", "it holds text."),
    "BM text": (b"BMI of the patient: 23", "unsupported_format", "it holds text."),
    "html": (b"\n<!DOCTYPE html><title>404", "unsupported_format", "it holds a web page."),
    "svg": (b"<?xml version='1.0'?><svg/>", "unsupported_format", "it holds an SVG drawing."),
    "gif": (
        hostile.saved(GREY, "GIF"),
        "unsupported_format",
        "a GIF image; only PNG, JPEG, WebP, BMP, TIFF and DICOM are read.",
    ),
    "jpeg 2000": (hostile.saved(GREY, "JPEG2000"), "unsupported_format", "a JPEG 2000 image"),
    "avif": (hostile.saved(GREY, "AVIF"), "unsupported_format", "an AVIF image"),
    "pdf": (hostile.saved(GREY, "PDF"), "unsupported_format", "a PDF document"),
    "heic": (b"\0\0\0\x18ftypheic\0\0\0\0", "unsupported_format", "a HEIC image"),
    "dicom": (bytes(128) + b"DICM\2\0", "unreadable", "This DICOM file is damaged"),
    "zip": (b"PK\3\4\x14\0", "unsupported_format", "a zip archive"),
    "zeros": (bytes(20 << 20), "unreadable", "nothing but zeros"),
    "noise": (random.Random(1).randbytes(5_000), "unreadable", "not an image of a known kind"),
    "png signature": (hostile.PNG, "unreadable", "This PNG is damaged"),
    "jpeg signature": (b"\xff\xd8\xff", "unreadable", "This JPEG is damaged"),
    "png of zeros": (hostile.PNG + bytes(20 << 20), "unreadable", "This PNG is damaged"),
    "jpeg of zeros": (b"\xff\xd8\xff" + bytes(20 << 20), "unreadable", "This JPEG is damaged"),
    "jpeg of ones": (b"\xff\xd8" + b"\xff" * (20 << 20), "unreadable", "too many parts"),
    "bomb": (hostile.declaring(50_000, 50_000), "too_many_pixels", "50000 x 50000 px"),
    "long": (hostile.declaring(12_001, 40), "too_many_pixels", "at most 12000 px a side"),
    "large": (hostile.declaring(8_000, 5_001), "too_many_pixels", "40 million pixels"),
    "line": (hostile.declaring(1, 89_478_485), "too_many_pixels", "89478485"),
    "jpeg bomb": (hostile.jpeg_declaring(65_500, 65_500), "too_many_pixels", "65500 x 65500"),
    "1x1": (hostile.saved(GREY[:1, :1]), "too_small", "This image is 1 x 1 px"),
    "31 high": (hostile.saved(GREY[:31], "JPEG"), "too_small", "at least 32 x 32"),
    "no width": (hostile.declaring(0, 100), "unreadable", "This PNG is damaged"),
    "no height": (hostile.jpeg_declaring(100, 0), "unreadable", "This JPEG is damaged"),
    "lying header": (hostile.declaring(4_000, 4_000), "unreadable", "This PNG is damaged"),
    "odd depth": (hostile.declaring(40, 40, 7), "unreadable", "This PNG is damaged"),
    "odd colour": (hostile.declaring(40, 40, 8, 5), "unreadable", "This PNG is damaged"),
    "no palette": (hostile.declaring(40, 40, 8, 3), "unreadable", "This PNG is damaged"),
    "12-bit jpeg": (hostile.jpeg_declaring(40, 48, 12), "unsupported_format", "12 bits a sample"),
    "scans": (hostile.many_scans(20_000), "unreadable", "too many scans"),
    "chunks": (
        hostile.with_chunks(hostile.chunk(b"abCd") * 2_000_000),
        "unreadable",
        "too many parts",
    ),
    "segments": (
        hostile.with_segments(hostile.segment(0xFE, b"") * 5_000_000),
        "unreadable",
        "too many parts",
    ),
    "two headers": (
        hostile.with_chunks(hostile.saved(GREY)[8:33]),
        "unreadable",
        "This PNG is damaged",
    ),
    "two frames": (
        hostile.with_segments(hostile.segment(0xC0, bytes([8, 0, 48, 0, 40, 1, 1, 17, 0]))),
        "unreadable",
        "This JPEG is damaged",
    ),
    "huge": (bytes(25 * 2**20 + 1), "too_large", "at most 25 MB are read"),
}


@pytest.mark.parametrize("name", SENTENCES)
def test_refusals_have_a_code_and_a_sentence(name: str) -> None:
    data, code, words = SENTENCES[name]
    given, sentence = refusal(data)
    assert (given, words in sentence) == (code, True), sentence
    assert sentence.endswith(".") and "\n" not in sentence


def test_a_refusal_is_an_error_of_the_family() -> None:
    assert issubclass(DecodeError, DataError)


def test_limits_are_the_callers() -> None:
    tiny = hostile.saved(GREY[:20, :20])
    assert decode(tiny, Limits(min_side=8)).pixels.shape == (20, 20)
    data = hostile.saved(GREY)
    assert refusal(data, Limits(max_bytes=100))[0] == "too_large"
    assert refusal(data, Limits(max_pixels=1_900))[0] == "too_many_pixels"
    assert refusal(data, Limits(max_side=47))[0] == "too_many_pixels"
    assert decode(data, Limits(max_bytes=len(data), max_pixels=1_920, max_side=48)).mode == "L"


def test_a_progressive_jpeg_of_100_scans_is_read() -> None:
    assert decode(hostile.many_scans(80)).pixels.shape == (64, 64)


def test_many_scans_of_a_large_image_are_refused() -> None:
    flat = hostile.saved(np.zeros((5_000, 5_000), np.uint8), "JPEG", progressive=True)
    at = flat.rindex(b"\xff\xda")
    data = flat[:at] + flat[at:-2] * 60 + flat[-2:]
    assert "too many scans" in refusal(data)[1]


def test_scan_markers_inside_a_preview_do_not_count() -> None:
    data = hostile.saved(GREY, "JPEG", progressive=True)
    at = data.rindex(b"\xff\xda")
    noise = hostile.segment(0xEA, b"\xff\xda" * 300)
    assert decode(data[:at] + noise + data[at:]).pixels.shape == GREY.shape


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP"])
def test_text_that_inflates_is_never_inflated(kind: bytes) -> None:
    np.testing.assert_array_equal(decode(hostile.text_bomb(kind)).pixels, GREY)


def test_exif_that_points_at_itself_is_not_followed() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decode(hostile.exif_bomb()).pixels.shape == GREY.shape


def test_pixels_in_many_small_pieces() -> None:
    data = hostile.saved(GREY)
    at = data.index(b"IDAT")
    size = int.from_bytes(data[at - 4 : at])
    body = data[at + 4 : at + 4 + size]
    pieces = b"".join(hostile.chunk(b"IDAT", body[i : i + 1]) for i in range(size))
    whole = data[: at - 4] + pieces + hostile.chunk(b"IEND")
    np.testing.assert_array_equal(decode(whole).pixels, GREY)


# --- files


def test_reads_paths_of_any_name(tmp_path: Path) -> None:
    for name in ("a.png", "b.jpg", "no extension", "ünï (1).gif"):
        path = tmp_path / name
        path.write_bytes(hostile.saved(GREY))
        np.testing.assert_array_equal(decode(path).pixels, GREY)


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    fifo = tmp_path / "pipe.png"
    os.mkfifo(fifo)
    big = tmp_path / "big.png"
    with big.open("wb") as file:
        file.truncate(10 << 30)
    loop = tmp_path / "loop.png"
    loop.symlink_to(loop)
    cases = {
        tmp_path: ("unreadable", "a folder, a pipe or a device"),
        fifo: ("unreadable", "a folder, a pipe or a device"),
        Path("/dev/zero"): ("unreadable", "a folder, a pipe or a device"),
        tmp_path / "missing.png": ("unreadable", "not there"),
        loop: ("unreadable", "can not be opened"),
        Path("nul\0.png"): ("unreadable", "can not be opened"),
        tmp_path / ("x" * 300): ("unreadable", "can not be opened"),
        big: ("too_large", "10240.0 MB"),
    }
    for path, (code, words) in cases.items():
        given, sentence = refusal(path)
        assert (given, words in sentence) == (code, True), sentence
        assert str(tmp_path) not in sentence


# --- damage


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_every_truncation_is_refused(form: str) -> None:
    for options in ({}, {"progressive": True} if form == "JPEG" else {"compress_level": 0}):
        data = hostile.saved(GREY, form, **options)
        for end in range(len(data)):
            assert refusal(data[:end])[0] == "unreadable"


def test_every_flipped_bit_of_a_png_s_pixels_is_noticed() -> None:
    data = hostile.saved(GREY)
    start = data.index(b"IDAT")
    for at in range(start, len(data) - 12, 7):
        damaged = bytearray(data)
        damaged[at] ^= 1 << at % 8
        assert refusal(bytes(damaged))[0] == "unreadable"


SEEDS = [
    hostile.saved(GREY),
    hostile.saved(COLOUR),
    hostile.saved(Image.fromarray(COLOUR).quantize(16), transparency=3),
    hostile.saved(GREY.astype(np.uint16) * 16),
    hostile.sixteen_bit_png(COLOUR.astype(np.uint16) * 16),
    hostile.saved(GREY, "JPEG"),
    hostile.saved(COLOUR, "JPEG", progressive=True),
    hostile.saved(Image.fromarray(COLOUR).convert("CMYK"), "JPEG"),
    hostile.with_segments(hostile.segment(0xE1, b"Exif\0\0" + hostile.tiff(6))),
    hostile.animated(GREY, 255 - GREY, "PNG"),
    hostile.animated(GREY, 255 - GREY, "MPO"),
    hostile.saved(COLOUR, "WEBP"),
    hostile.saved(Image.fromarray(COLOUR).convert("RGBA"), "WEBP", lossless=True),
    hostile.saved(GREY, "BMP"),
    hostile.saved(COLOUR, "BMP"),
    hostile.saved(GREY, "TIFF", compression="tiff_lzw"),
    hostile.saved(GREY.astype(np.uint16) * 16, "TIFF"),
    hostile.saved(COLOUR, "TIFF", compression="tiff_deflate"),
]


FORMATS = ("PNG", "JPEG", "WebP", "BMP", "TIFF")


def sane_or_refused(data: bytes) -> None:
    limits = Limits(max_pixels=1_000_000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            decoded = decode(data, limits)
        except DecodeError as error:
            assert str(error).endswith(".") and error.code
            return
    assert isinstance(decoded, Decoded) and decoded.format in FORMATS
    assert decoded.pixels.dtype == np.uint8 and decoded.pixels.ndim == 2
    assert decoded.pixels.size <= limits.max_pixels and min(decoded.pixels.shape) >= 32
    assert decoded.pixels.flags.c_contiguous and 0 <= decoded.colour <= 1


FUZZ = settings(
    max_examples=400, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


STARTS = [
    *(b"", hostile.PNG, b"\xff\xd8\xff", b"RIFF\x40\0\0\0WEBP", b"II*\0\x08\0\0\0"),
    *(b"MM\0*\0\0\0\x08", b"BM\0\1\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0"),
]


@FUZZ
@given(st.sampled_from(STARTS), st.binary(max_size=2_000))
def test_random_bytes(start: bytes, rest: bytes) -> None:
    sane_or_refused(start + rest)


@FUZZ
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8),
    st.floats(0, 1),
    st.booleans(),
)
def test_random_damage(
    data: bytes, changes: list[tuple[float, int]], keep: float, mend: bool
) -> None:
    damaged = bytearray(data)
    for where, value in changes:
        damaged[int(where * len(data))] = value
    cut = bytes(damaged[: int(keep * len(data))] if keep < 0.5 else damaged)
    sane_or_refused(hostile.with_checksums(cut) if mend and cut.startswith(hostile.PNG) else cut)


def test_blind_damage_at_volume() -> None:
    rng = random.Random(7)
    for _ in range(1_500):
        damaged = bytearray(rng.choice(SEEDS))
        start = rng.randrange(len(damaged))
        for _ in range(rng.randint(1, 6)):
            damaged[min(start + rng.randrange(40), len(damaged) - 1)] = rng.randrange(256)
        data = bytes(damaged)
        png = data.startswith(hostile.PNG) and rng.random() < 0.7
        sane_or_refused(hostile.with_checksums(data) if png else data)


# --- the rest of the process


def test_import_and_use_change_no_global_state() -> None:
    """In a new interpreter: Pillow's limits and the warning filters are as they were."""
    program = """
import warnings, sys
import numpy  # sets filters of its own
from PIL import Image, ImageFile, PngImagePlugin
def state():
    return (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, ImageFile.MAXBLOCK,
            PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY, list(warnings.filters))
before = state()
from covidcore.data.decode import decode
decode(sys.stdin.buffer.read())
assert state() == before, (before, state())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], input=hostile.saved(GREY), capture_output=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_many_threads_agree_with_one() -> None:
    bad = [hostile.declaring(50_000, 50_000), b"text", SEEDS[0][:-20]]
    work = (SEEDS + bad) * 30

    def outcome(data: bytes) -> bytes | str:
        try:
            return decode(data).pixels.tobytes()
        except DecodeError as error:
            return error.code

    expected = {data: outcome(data) for data in work}
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(outcome, work)) == [expected[data] for data in work]
