"""DICOM files: the picture that a viewer shows, nothing of the patient, or a refusal."""

import random
import struct
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.sequence import Sequence
from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from covidcore.data.archives import unpack
from covidcore.data.decode import Limits, decode
from covidcore.data.dicom import Subject
from covidcore.data.index import scan
from covidcore.data.joining import join
from covidcore.errors import DecodeError
from tests import dicoms, hostile
from tests.data.zips import zip_folder

OTHERS = Path(pydicom.__file__).parent / "data" / "test_files"
"""What the wheel carries; pydicom's own function for them would download more."""
GREY = hostile.shades(64, 56)
COLOUR = np.dstack([GREY, GREY[::-1], np.full_like(GREY, 60)])
TWELVE = np.linspace(0, 4095, GREY.size).astype(np.uint16).reshape(GREY.shape)


def refusal(data: bytes | Path) -> tuple[str, str]:
    with pytest.raises(DecodeError) as caught:
        decode(data)
    return caught.value.code, str(caught.value)


def differ(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(float) - other).max())


# --- the picture


def test_eight_bits_come_back_as_they_are() -> None:
    found = decode(dicoms.dicom(GREY))
    assert (found.format, found.mode, found.colour) == ("DICOM", "L", 0)
    np.testing.assert_array_equal(found.pixels, GREY)
    assert found.pixels.flags.c_contiguous


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, RLELossless, JPEG2000Lossless])
@pytest.mark.parametrize("pixels", [GREY, TWELVE, COLOUR], ids=["8", "16", "colour"])
def test_the_same_picture_however_it_is_stored(syntax: pydicom.uid.UID, pixels: np.ndarray) -> None:
    stored = dicoms.compressed if syntax.is_encapsulated else dicoms.dicom
    plain, other = decode(dicoms.dicom(pixels)), decode(stored(pixels, syntax))
    np.testing.assert_array_equal(other.pixels, plain.pixels)
    assert other.mode == plain.mode


@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEG2000])
def test_lossy_frames(syntax: pydicom.uid.UID) -> None:
    assert differ(decode(dicoms.compressed(GREY, syntax)).pixels, GREY) <= 25
    if syntax == JPEGBaseline8Bit:
        jpeg = decode(dicoms.pictured(GREY, syntax))
        np.testing.assert_array_equal(decode(dicoms.compressed(GREY, syntax)).pixels, jpeg.pixels)


@pytest.mark.parametrize("depth", [10, 12, 14, 16])
def test_sixteen_bits_are_the_grey_of_the_same_png(depth: int) -> None:
    samples = np.linspace(0, (1 << depth) - 1, GREY.size).astype(np.uint16).reshape(GREY.shape)
    png = decode(hostile.sixteen_bit_png(samples[..., np.newaxis]))
    found = decode(dicoms.dicom(samples, BitsStored=depth))
    np.testing.assert_array_equal(found.pixels, png.pixels)
    assert found.mode == "I;16"
    windowed = dicoms.dicom(
        samples, BitsStored=depth, WindowCenter=str(1 << depth - 1), WindowWidth=str(1 << depth)
    )
    assert differ(decode(windowed).pixels, png.pixels) <= 1


@pytest.mark.parametrize("pixels", [GREY, TWELVE])
def test_monochrome1_is_inverted(pixels: np.ndarray) -> None:
    plain = decode(dicoms.dicom(pixels)).pixels
    negative = dicoms.dicom(pixels, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(decode(negative).pixels, 255 - plain)
    ways: tuple[dict[str, str], ...] = (
        {"WindowCenter": "100", "WindowWidth": "80"},
        {"RescaleSlope": "2", "RescaleIntercept": "-9"},
    )
    for window in ways:
        plain = decode(dicoms.dicom(pixels, **window)).pixels
        inverted = dicoms.dicom(pixels, PhotometricInterpretation="MONOCHROME1", **window)
        assert differ(decode(inverted).pixels, 255 - plain) <= 1
        assert plain.std() > 10


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID", None])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("rescale", [None, ("1", "-1024"), ("0.5", "10")])
def test_windows_are_those_of_pydicom(
    function: str | None, signed: bool, rescale: tuple[str, str] | None
) -> None:
    samples = (TWELVE.astype(np.int16) - 1500) if signed else TWELVE
    tags: dict[str, object] = {"WindowCenter": ["900", "5"], "WindowWidth": ["1200", "7"]}
    if function:
        tags["VOILUTFunction"] = function
    if rescale:
        tags["RescaleSlope"], tags["RescaleIntercept"] = rescale
    made = dicoms.dataset(samples, **tags)
    values = apply_voi_lut(apply_modality_lut(samples, made), made)
    # pydicom scales to the range of the stored bits: bring both ends to black and white.
    low, high = -32768.0 if signed else 0.0, 32767.0 if signed else 65535.0
    slope, intercept = map(float, rescale or ("1", "0"))
    low, high = low * slope + intercept, high * slope + intercept
    expected = np.rint(255 * (values - low) / (high - low))
    assert differ(decode(dicoms.written(made)).pixels, expected) <= 1


@pytest.mark.parametrize("width", ["0", "-5", "0.5"])
def test_a_window_that_can_not_be_is_passed_over(width: str) -> None:
    found = decode(dicoms.dicom(TWELVE, WindowCenter="5", WindowWidth=width))
    np.testing.assert_array_equal(found.pixels, decode(dicoms.dicom(TWELVE)).pixels)


def test_a_window_of_one_value_is_a_threshold() -> None:
    found = decode(dicoms.dicom(TWELVE, WindowCenter="1000", WindowWidth="1")).pixels
    np.testing.assert_array_equal(found, np.where(TWELVE > 999.5, 255, 0))


def lut(first: int, bits: int, entries: np.ndarray) -> Sequence:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(entries) % 65536, first, bits])
    item.add_new("LUTData", "OW", entries.astype("<u2").tobytes())
    return Sequence([item])


def test_a_table_wins_over_the_window_beside_it() -> None:
    entries = np.sqrt(np.arange(3000) / 3000) * 1023
    made = dicoms.dataset(
        TWELVE, VOILUTSequence=lut(500, 10, entries), WindowCenter="5", WindowWidth="7"
    )
    data = dicoms.written(made)
    expected = apply_voi_lut(TWELVE, made) / 1023 * 255
    assert differ(decode(data).pixels, np.rint(expected)) <= 1
    implicit = decode(dicoms.written(made, ImplicitVRLittleEndian)).pixels
    assert differ(implicit, np.rint(expected)) <= 1


def test_a_long_table_of_eight_bits() -> None:
    """pydicom's own function wraps round at 256 entries here, so the truth is by hand."""
    entries = np.arange(4096) >> 4
    made = dicoms.dataset(TWELVE, VOILUTSequence=lut(0, 8, entries))
    np.testing.assert_array_equal(decode(dicoms.written(made)).pixels, TWELVE >> 4)


def test_a_table_of_the_modality() -> None:
    entries = np.arange(4096)[::-1] * 16
    made = dicoms.dataset(
        TWELVE, ModalityLUTSequence=lut(0, 16, entries), WindowCenter="32768", WindowWidth="65536"
    )
    made.ModalityLUTSequence[0].ModalityLUTType = "US"
    expected = np.rint((4095 - TWELVE.astype(float)) * 16 / 65535 * 255)
    assert differ(decode(dicoms.written(made)).pixels, expected) <= 1


def test_without_a_window_what_uses_little_of_its_range_is_stretched() -> None:
    faint = (20_000 + TWELVE // 4).astype(np.uint16)
    found = decode(dicoms.dicom(faint)).pixels
    assert found.min() == 0 and found.max() == 255
    assert np.corrcoef(found.ravel(), TWELVE.ravel())[0, 1] > 0.999
    signed = decode(dicoms.dicom(TWELVE.astype(np.int16) - 1500)).pixels
    assert differ(signed, found) <= 2
    flat = decode(dicoms.dicom(np.full((40, 40), 700, np.int16))).pixels
    assert np.ptp(flat) == 0


def test_colour_becomes_luma() -> None:
    found = decode(dicoms.dicom(COLOUR))
    assert found.mode == "RGB" and 0.1 < found.colour < 1
    assert differ(found.pixels, np.rint(COLOUR @ [0.299, 0.587, 0.114])) <= 1
    planes = dicoms.dataset(COLOUR, PlanarConfiguration=1)
    planes.PixelData = np.moveaxis(COLOUR, 2, 0).tobytes()
    np.testing.assert_array_equal(decode(dicoms.written(planes)).pixels, found.pixels)


def test_padding_after_the_pixels() -> None:
    odd = GREY[:45, :45]
    np.testing.assert_array_equal(decode(dicoms.dicom(odd)).pixels, odd)
    made = dicoms.dataset(GREY)
    made.PixelData += bytes(20)
    np.testing.assert_array_equal(decode(dicoms.written(made)).pixels, GREY)


READ = ("693_J2KI", "MR_small", "MR_small_RLE", "MR_small_jp2klossless", "examples_overlay",
        "examples_jpeg2k", "SC_rgb_rle", "SC_rgb_jpeg_dcmtk", "SC_ybr_full_422_uncompressed",
        "CT_small", "JPEG2000", "J2K_pixelrep_mismatch", "examples_rgb_color")  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_files_of_other_makers_look_as_pydicom_says(name: str) -> None:
    """To the order of the greys: the window is tested above."""
    path = OTHERS / f"{name}.dcm"
    made = pydicom.dcmread(path)
    theirs = apply_modality_lut(made.pixel_array, made).astype(float)
    if theirs.ndim == 3:
        theirs = theirs @ [0.299, 0.587, 0.114]
    elif "WindowCenter" in made:
        theirs = apply_voi_lut(theirs, made)
    ours = decode(path).pixels
    assert ours.shape == theirs.shape
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.98


def test_every_file_that_comes_with_pydicom_is_read_or_refused() -> None:
    files = [path for path in OTHERS.rglob("*") if path.is_file()]
    read = [path for path in files if sane_or_refused(path.read_bytes())]
    assert len(read) >= len(READ)


# --- the patient


def test_only_a_decade_a_sex_and_a_view_are_kept(tmp_path: Path) -> None:
    for folder, age in (("a", "045Y"), ("b", "")):
        (tmp_path / "set" / folder).mkdir(parents=True)
        for number in range(3):
            data = dicoms.dicom(
                hostile.shades(seed=number + 10 * len(age)),
                PatientAge=age, PatientSex="F", ViewPosition="PA",
            )  # fmt: skip
            (tmp_path / "set" / folder / f"{number}.dcm").write_bytes(data)
    dataset = scan(tmp_path / "set", tmp_path / "home")
    assert set(dataset.index.loc[dataset.index["label"] == "a", "age"]) == {"40-49"}
    assert set(dataset.index.loc[dataset.index["label"] == "b", "age"]) == {""}
    assert set(dataset.index["sex"]) == {"F"} and set(dataset.index["view"]) == {"PA"}
    assert set(dataset.index["group"]) == {""}
    stored = b"".join(p.read_bytes() for p in (tmp_path / "home").rglob("*") if p.is_file())
    for secret in dicoms.PATIENT.values():
        assert secret.encode() in data
        assert secret.encode() not in stored


@pytest.mark.parametrize(
    ("age", "decade"),
    [("000Y", "0-9"), ("009Y", "0-9"), ("010Y", "10-19"), ("089Y", "80-89"), ("090Y", "90+"),
     ("104Y", "90+"), ("018M", "0-9"), ("003D", "0-9"), ("045", ""), ("old", ""), ("45Y", "")],
)  # fmt: skip
def test_ages(age: str, decade: str) -> None:
    data = dicoms.dicom(GREY, PatientAge="000Y")
    data = dicoms.replaced(data, 0x00101010, age.ljust(4).encode())
    assert decode(data).subject == Subject(age=decade)


@pytest.mark.parametrize(("sex", "kept"), [("m", "M"), ("O", "O"), ("X", ""), ("Erika", "")])
def test_what_is_no_sex_is_not_kept(sex: str, kept: str) -> None:
    data = dicoms.dicom(GREY, PatientSex="NOBODY")
    data = dicoms.replaced(data, 0x00100040, sex.ljust(6).encode())
    assert decode(data).subject.sex == kept
    assert decode(dicoms.dicom(GREY, ViewPosition="MUSTERMANN")).subject.view == ""


# --- refusals

BIG = 2**31 - 1
NESTED = dicoms.element(0x00081140, b"SQ", length=dicoms.UNDEFINED)
EMPTY_ITEM, OPEN_ITEM = dicoms.mark(dicoms.ITEM), dicoms.mark(dicoms.ITEM, dicoms.UNDEFINED)
PLAIN = dicoms.dicom(GREY)
HOSTILE: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "only the magic": (lambda: bytes(128) + b"DICM", "unreadable", "does not say how"),
    "a header cut short": (lambda: PLAIN[:140], "unreadable", "damaged"),
    "zeros": (lambda: bytes(128) + b"DICM" + bytes(5000), "unreadable", "does not say how"),
    "a syntax of words": (
        lambda: dicoms.replaced(PLAIN, 0x00020010, b"../../etc/passwd"),
        "unreadable", "does not say how"),
    "two pixels": (lambda: PLAIN + PLAIN[PLAIN.index(b"\xe0\x7f\x10\0") :], "", ""),
    "rows twice": (
        lambda: dicoms.beginning(PLAIN, *[dicoms.element(0x00280010, b"US", b"\x40\0")] * 2),
        "unreadable", "damaged",
    ),
    "more rows than bytes": (
        lambda: dicoms.replaced(PLAIN, 0x00280010, b"\x41\0"), "unreadable", "damaged"),
    "fewer rows than bytes": (
        lambda: dicoms.replaced(PLAIN, 0x00280010, b"\x30\0"), "unreadable", "damaged"),
    "a bomb": (
        lambda: dicoms.replaced(
            dicoms.replaced(PLAIN, 0x00280010, b"\xff\xff"), 0x00280011, b"\xff\xff"),
        "too_many_pixels", "65535 x 65535"),
    "a line": (lambda: dicoms.dicom(GREY[:5]), "too_small", "56 x 5 px"),
    "no rows": (lambda: dicoms.replaced(PLAIN, 0x00280010, b"\0\0"), "unreadable", "damaged"),
    "two frames": (
        lambda: dicoms.dicom(np.stack([GREY, GREY]).reshape(128, 56), Rows=64, NumberOfFrames=2),
        "unsupported_format", "holds 2 images, where one is expected"),
    "frames in words": (
        lambda: dicoms.replaced(
            dicoms.dicom(GREY, NumberOfFrames=10), 0x00280008, b"xx"), "unreadable", "damaged"),
    "a palette": (
        lambda: dicoms.dicom(GREY, PhotometricInterpretation="PALETTE COLOR"),
        "unsupported_format", "neither shades of grey nor plain colours"),
    "32 bits": (lambda: dicoms.dicom(GREY.astype(np.uint32)), "unsupported_format", "32 bits"),
    "odd bits": (lambda: dicoms.dicom(GREY, HighBit=3), "unsupported_format", "unusual way"),
    "no bits": (
        lambda: dicoms.replaced(
            dicoms.replaced(PLAIN, 0x00280101, b"\0\0"), 0x00280102, b"\xff\xff"),
        "unsupported_format", "unusual way"),
    "a window of words": (
        lambda: dicoms.replaced(
            dicoms.dicom(GREY, WindowCenter="1000", WindowWidth="9"), 0x00281050, b"<b>!"),
        "unreadable", "damaged"),
    "an endless slope": (
        lambda: dicoms.replaced(
            dicoms.dicom(GREY, RescaleSlope="1234", RescaleIntercept="9"), 0x00281053, b"inf "),
        "unreadable", "damaged"),
    "many elements": (
        lambda: dicoms.beginning(PLAIN, *[dicoms.element(0x00090010, b"LO")] * 200_000),
        "unreadable", "too many parts"),
    "many elements about the file": (
        lambda: PLAIN[:132] + dicoms.element(0x00020102, b"OB") * 100_000 + PLAIN[132:],
        "unreadable", "too many parts"),
    "items in the part about the file": (
        lambda: PLAIN[:132] + dicoms.element(0x00020102, b"SQ", length=dicoms.UNDEFINED)
        + EMPTY_ITEM * 2_000_000 + PLAIN[132:], "unreadable", "too many parts"),
    "many items": (
        lambda: dicoms.beginning(
            PLAIN, NESTED, EMPTY_ITEM * 2_000_000, dicoms.mark(dicoms.SEQUENCE_END)),
        "unreadable", "too many parts"),
    "deep": (
        lambda: dicoms.beginning(PLAIN, (NESTED + OPEN_ITEM) * 1_000_000),
        "unreadable", "too many parts"),
    "a sequence without an end": (
        lambda: dicoms.beginning(PLAIN, NESTED, OPEN_ITEM), "unreadable", "damaged"),
    "ends that do not fit": (
        lambda: dicoms.beginning(PLAIN, NESTED, dicoms.mark(dicoms.ITEM_END)),
        "unreadable", "damaged"),
    "longer than the file": (
        lambda: dicoms.beginning(PLAIN, dicoms.element(0x00090010, b"UN", length=BIG)),
        "unreadable", "damaged"),
    "a table that lies": (
        lambda: dicoms.written(dicoms.dataset(TWELVE, VOILUTSequence=lut(0, 17, np.arange(9)))),
        "unreadable", "damaged"),
}  # fmt: skip


@pytest.mark.parametrize("name", [name for name in HOSTILE if HOSTILE[name][1]])
def test_hostile_files_are_refused_in_a_sentence(name: str) -> None:
    build, code, words = HOSTILE[name]
    given, sentence = refusal(build())
    assert (given, words in sentence) == (code, True), sentence
    assert sentence.endswith(".") and "\n" not in sentence


def test_what_follows_the_pixels_is_not_looked_at() -> None:
    np.testing.assert_array_equal(decode(HOSTILE["two pixels"][0]()).pixels, GREY)


def test_sequences_are_stepped_over_however_they_are_written() -> None:
    inner = dicoms.element(0x00100010, b"PN", b"Secret")
    closed = dicoms.mark(dicoms.ITEM, len(inner)) + inner
    opened = OPEN_ITEM + inner + NESTED + closed + dicoms.mark(dicoms.SEQUENCE_END)
    opened += dicoms.mark(dicoms.ITEM_END)
    implicit = struct.pack("<HHI", 0x10, 0x10, 6) + b"Secret"
    unknown = dicoms.element(0x00091010, b"UN", length=dicoms.UNDEFINED)
    data = dicoms.beginning(
        PLAIN,
        dicoms.element(0x00081110, b"SQ", closed),
        *(NESTED, closed, opened, EMPTY_ITEM, dicoms.mark(dicoms.SEQUENCE_END)),
        *(unknown, dicoms.mark(dicoms.ITEM, len(implicit)), implicit),
        *(OPEN_ITEM, implicit, dicoms.mark(dicoms.ITEM_END), dicoms.mark(dicoms.SEQUENCE_END)),
    )
    np.testing.assert_array_equal(decode(data).pixels, GREY)


@pytest.mark.parametrize(
    ("syntax", "name"),
    [
        (DeflatedExplicitVRLittleEndian, "Deflated Explicit VR Little Endian"),
        (ExplicitVRBigEndian, "Explicit VR Big Endian"),
        (JPEGLosslessSV1, "JPEG Lossless"),
        (JPEGLSLossless, "JPEG-LS Lossless"),
        (pydicom.uid.MPEG4HP41, "MPEG-4"),
        (pydicom.uid.UID("1.2.3.4.5"), "“1.2.3.4.5”"),
    ],
)
def test_what_is_not_read_is_named(syntax: pydicom.uid.UID, name: str) -> None:
    old, new = dicoms.written(dicoms.dataset(GREY)), str(syntax).encode()
    head = dicoms.element(0x00020010, b"UI", new + b"\0" * (len(new) % 2))
    at = old.index(struct.pack("<HH2s", 2, 0x10, b"UI"))
    code, sentence = refusal(old[:at] + head + old[at + 8 + 20 :])
    assert code == "unsupported_format"
    assert name in sentence and sentence.endswith("or as PNG.")


def test_pydicom_s_own_deflated_file_is_not_inflated() -> None:
    assert "Deflated" in refusal(OTHERS / "image_dfl.dcm")[1]


FRAMES = {
    "an empty frame": (RLELossless, bytes(2)),
    "rle of nothing": (RLELossless, bytes(64)),
    "rle that unpacks to far more": (
        RLELossless, struct.pack("<16I", 1, 64, *[0] * 14) + b"\x81\0" * 100_000),
    "rle that unpacks to less": (
        RLELossless, struct.pack("<16I", 1, 64, *[0] * 14) + b"\x81\0" * 10),
    "a jpeg of another size": (JPEGBaseline8Bit, hostile.saved(GREY[:40], "JPEG")),
    "a jpeg of many scans": (JPEGBaseline8Bit, hostile.many_scans(20_000)),
    "a png": (JPEGBaseline8Bit, hostile.saved(GREY)),
    "jpeg 2000 of another size": (
        JPEG2000Lossless, dicoms.pictured(GREY[:40], JPEG2000Lossless)),
    "jpeg 2000 of 16 bits": (JPEG2000Lossless, dicoms.pictured(TWELVE, JPEG2000Lossless)),
    "jpeg 2000 cut short": (JPEG2000Lossless, dicoms.pictured(GREY, JPEG2000Lossless)[:70]),
    "text": (JPEG2000Lossless, b"a text, and not even a long one"),
}  # fmt: skip


@pytest.mark.parametrize("name", FRAMES)
def test_frames_that_are_not_what_they_should_be(name: str) -> None:
    syntax, frame = FRAMES[name]
    made = dicoms.dataset(GREY)
    made.PixelData = dicoms.encapsulate([frame])
    assert refusal(dicoms.written(made, syntax))[0] == "unreadable"


def patched(frame: bytes, marker: bytes, offset: int, value: bytes) -> bytes:
    at = frame.index(marker) + offset
    return frame[:at] + value + frame[at + len(value) :]


@pytest.mark.parametrize(
    ("marker", "offset", "value"),
    [(b"\xff\x51", 22, struct.pack(">II", 1, 1)), (b"\xff\x52", 6, struct.pack(">H", 65535))],
    ids=["tiles", "layers"],
)
def test_jpeg_2000_of_very_many_parts(marker: bytes, offset: int, value: bytes) -> None:
    grey = hostile.shades(200, 200)
    made = dicoms.dataset(grey)
    frame = patched(dicoms.pictured(grey, JPEG2000Lossless), marker, offset, value)
    made.PixelData = dicoms.encapsulate([frame])
    assert "too many parts" in refusal(dicoms.written(made, JPEG2000Lossless))[1]


def test_a_frame_in_pieces() -> None:
    made = dicoms.dataset(GREY)
    frame = dicoms.pictured(GREY, JPEG2000Lossless)
    made.PixelData = dicoms.encapsulate([frame], fragments_per_frame=3)
    np.testing.assert_array_equal(decode(dicoms.written(made, JPEG2000Lossless)).pixels, GREY)


def test_a_text_named_dcm(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_text("not an image at all\n")
    assert "it holds text" in refusal(tmp_path / "a.dcm")[1]


# --- folders


def folder_of(root: Path, *names: str) -> Path:
    """Two classes of so many DICOM files each, of these names."""
    for seed, (label, name) in enumerate((label, name) for label in "ab" for name in names):
        path = root / label / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(dicoms.dicom(hostile.shades(64, 64, seed)))
    return root


def test_files_without_an_ending_are_known_by_their_first_bytes(tmp_path: Path, home: Path) -> None:
    names = ("IM0001", "1.2.840.113619.2", "study/series/IM0001", "c.DCM", "d.dicom")
    root = folder_of(tmp_path / "set", *names)
    (root / "a" / "README").write_text("no image")
    (root / "a" / "1.2.3").write_bytes(bytes(500))
    (root / "a" / "short").write_bytes(b"DICM")
    (root / "a" / "text.dcm").write_text("no image")
    dataset = scan(root, home)
    assert sorted(dataset.index["file"]) == sorted(f"{x}/{name}" for x in "ab" for name in names)
    assert {file for file, _ in dataset.ignored_files} == {"a/1.2.3", "a/README", "a/short"}
    assert dataset.unreadable == [("a/text.dcm", "This is not an image: it holds text.")]


def test_masks_of_files_without_an_ending(tmp_path: Path, home: Path) -> None:
    root = folder_of(tmp_path / "set", "images/1.2.3", "images/1.2.4")
    (root / "a/masks").mkdir()
    (root / "a/masks/1.2.4.png").write_bytes(hostile.saved(GREY))
    index = scan(root, home).index.set_index("file")
    assert index["mask"].to_dict() == {
        "a/images/1.2.3": "", "a/images/1.2.4": "a/masks/1.2.4.png",
        "b/images/1.2.3": "", "b/images/1.2.4": "",
    }  # fmt: skip


def test_an_archive_of_them(tmp_path: Path, home: Path) -> None:
    root = folder_of(tmp_path / "set", "IM0001", "IM0002")
    (root / "LICENSE").write_text("free")
    path = zip_folder(root, tmp_path / "set.zip")
    dataset = scan(unpack(path, home / "imports"), home)
    assert dataset.fingerprint == scan(root, home).fingerprint
    assert ("LICENSE", "not a PNG, JPEG, WebP, BMP, TIFF or DICOM file") in dataset.ignored_files
    assert not list(dataset.root.rglob("LICENSE"))


def test_they_can_be_joined(tmp_path: Path, home: Path) -> None:
    root = folder_of(tmp_path / "set", "1.2.3", "1.2.4", "c.dcm")
    joined = scan(join([scan(root, home)] * 2, {}, tmp_path / "joined"), home)
    assert len(joined.index) == 12 and joined.unreadable == []


# --- damage

SEEDS = [
    PLAIN,
    dicoms.dicom(TWELVE, ImplicitVRLittleEndian, WindowCenter="500", WindowWidth="900"),
    dicoms.dicom(COLOUR),
    dicoms.compressed(GREY, RLELossless),
    dicoms.compressed(GREY, JPEGBaseline8Bit),
    dicoms.compressed(TWELVE, JPEG2000Lossless),
    dicoms.written(dicoms.dataset(TWELVE, VOILUTSequence=lut(5, 12, np.arange(4096)))),
]


def sane_or_refused(data: bytes) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = decode(data, Limits(max_pixels=1_000_000))
        except DecodeError as error:
            assert str(error).endswith(".") and error.code
            return False
    assert found.pixels.dtype == np.uint8 and found.pixels.ndim == 2
    assert found.pixels.size <= 1_000_000 and min(found.pixels.shape) >= 32
    assert found.pixels.flags.c_contiguous and 0 <= found.colour <= 1
    return True


@pytest.mark.parametrize("seed", range(len(SEEDS)))
def test_every_truncation_is_refused(seed: int) -> None:
    data = SEEDS[seed]
    for end in range(0, len(data) - 16, 1 if len(data) < 3000 else 37):
        assert refusal(data[:end])[0] in ("unreadable", "unsupported_format")


@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 1200), st.integers(0, 255)), max_size=8),
    st.floats(0, 1),
)
def test_random_damage(data: bytes, changes: list[tuple[int, int]], keep: float) -> None:
    """In the first bytes, where the elements are."""
    damaged = bytearray(data)
    for at, value in changes:
        damaged[132 + at % (len(data) - 132)] = value
    sane_or_refused(bytes(damaged[: int(keep * len(data))] if keep < 0.2 else damaged))


def test_flipped_bits_at_volume() -> None:
    rng = random.Random(11)
    outcomes = []
    for _ in range(500):
        damaged = bytearray(rng.choice(SEEDS))
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(132, min(len(damaged), 1600))] ^= 1 << rng.randrange(8)
        outcomes.append(sane_or_refused(bytes(damaged)))
    assert 50 < sum(outcomes) < 450
