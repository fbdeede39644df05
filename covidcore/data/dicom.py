"""A DICOM file to one grey image, as a viewer would show it; nothing that names a patient is read.

Only ``decode`` calls this. What is looked at of a file is the list below; pydicom gets to see the
pixels and the numbers that were checked here, never the file itself.
"""

import math
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from covidcore.data.containers import Container, damaged
from covidcore.data.dicom_elements import IMPLICIT, Elements, read_elements, read_syntax
from covidcore.data.dicom_frames import RLE, check_frame
from covidcore.data.dicom_window import Display, Lookup, Window
from covidcore.data.grey import Gray, luma
from covidcore.errors import DecodeError

_SAMPLES, _PHOTOMETRIC, _PLANAR, _FRAMES = 0x00280002, 0x00280004, 0x00280006, 0x00280008
_ROWS, _COLUMNS, _ALLOCATED, _STORED = 0x00280010, 0x00280011, 0x00280100, 0x00280101
_HIGH_BIT, _SIGNED, _INTERCEPT, _SLOPE = 0x00280102, 0x00280103, 0x00281052, 0x00281053
_CENTRE, _WIDTH, _FUNCTION = 0x00281050, 0x00281051, 0x00281056
_MODALITY_LUT, _VOI_LUT, _DESCRIPTOR, _ENTRIES = 0x00283000, 0x00283010, 0x00283002, 0x00283006
_AGE, _SEX, _VIEW = 0x00101010, 0x00100040, 0x00185101
_WANTED = frozenset(
    {_SAMPLES, _PHOTOMETRIC, _PLANAR, _FRAMES, _ROWS, _COLUMNS, _ALLOCATED, _STORED, _HIGH_BIT}
    | {_SIGNED, _INTERCEPT, _SLOPE, _CENTRE, _WIDTH, _FUNCTION, _AGE, _SEX, _VIEW}
)
_NATIVE = (IMPLICIT, "1.2.840.10008.1.2.1")
_COMPRESSED = {
    "1.2.840.10008.1.2.4.50": "pillow",
    "1.2.840.10008.1.2.4.51": "pillow",
    "1.2.840.10008.1.2.4.90": "pillow",
    "1.2.840.10008.1.2.4.91": "pillow",
    RLE: "pydicom",
}
"""Transfer syntax -> who of pydicom's plug-ins reads it: JPEG, JPEG 2000, run lengths."""
_GREY, _COLOUR = ("MONOCHROME1", "MONOCHROME2"), ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT")
_VIEWS = {"AP", "PA", "LL", "RL", "LLD", "RLD", "LLO", "RLO", "LATERAL", "LAT"}
_NAME = "DICOM file"


@dataclass(frozen=True)
class Subject:
    """What is kept of the person: too little to know them by. "" where the file does not say."""

    age: str = ""
    """The decade: "40-49"; "90+" above."""
    sex: str = ""
    """"F", "M" or "O"."""
    view: str = ""
    """"PA", "AP", "LL", ..."""


UNKNOWN = Subject()


@dataclass(frozen=True, eq=False)
class Picture:
    """What ``read`` makes of a file; as in ``decode.Decoded``."""

    pixels: Gray
    mode: str
    colour: float
    subject: Subject


def read(data: bytes, check: Callable[[Container], None]) -> Picture:
    """Read the one image of a DICOM file.

    ``check`` refuses what is too large or too small, before any pixel is decoded. Raises:
    DecodeError, with the name of the compression where that is not read here.
    """
    syntax, start = read_syntax(data)
    if syntax not in (*_NATIVE, *_COMPRESSED):
        raise _unsupported(f"is stored as {_name_of(syntax)}")
    sequences, within = {_MODALITY_LUT, _VOI_LUT}, {_DESCRIPTOR, _ENTRIES}
    elements = read_elements(data, start, syntax, _WANTED, sequences, within)
    shape = _shape(elements)
    check(Container(_NAME, b"", shape.columns, shape.rows, shape.stored, 1))
    display = _display(elements, shape) if shape.samples == 1 else None
    samples = _decoded(syntax, elements.pixels or b"", shape, check)
    subject = _subject(elements)
    if display is None:
        grey, colour = luma(Image.fromarray(np.ascontiguousarray(samples)))
        return Picture(grey, "RGB", colour, subject)
    mode = "L" if shape.allocated == 8 else "I;16"
    return Picture(np.ascontiguousarray(display.show(samples)), mode, 0.0, subject)


@dataclass(frozen=True)
class _Shape:
    rows: int
    columns: int
    samples: int
    allocated: int
    stored: int
    signed: int
    photometric: str
    planar: int

    @property
    def bytes(self) -> int:
        """Of the pixels as stored without compression."""
        size = self.rows * self.columns * self.samples * self.allocated // 8
        return size * 2 // 3 if self.photometric == "YBR_FULL_422" else size


def _shape(elements: Elements) -> _Shape:
    if elements.pixels is None:
        raise DecodeError("unsupported_format", "This DICOM file holds no image.")
    frames = _number(elements, _FRAMES, 1)
    if frames != 1:
        raise _unsupported(f"holds {frames:.0f} images, where one is expected")
    photometric = _text(elements, _PHOTOMETRIC)
    shape = _Shape(
        rows=_count(elements, _ROWS),
        columns=_count(elements, _COLUMNS),
        samples=_count(elements, _SAMPLES),
        allocated=_count(elements, _ALLOCATED),
        stored=_count(elements, _STORED),
        signed=_count(elements, _SIGNED),
        photometric=photometric,
        planar=_count(elements, _PLANAR, 0),
    )
    known = _GREY if shape.samples == 1 else _COLOUR if shape.samples == 3 else ()
    if photometric not in known and photometric != "YBR_RCT":
        raise _unsupported("stores neither shades of grey nor plain colours")
    depths = (8, 16) if shape.samples == 1 else (8,)
    high = _count(elements, _HIGH_BIT, shape.stored - 1)
    if shape.allocated not in depths or shape.signed > 1 or high != shape.stored - 1:
        raise _unsupported(f"stores its pixels in an unusual way ({shape.allocated} bits)")
    if not 1 <= shape.stored <= shape.allocated:
        raise damaged(_NAME)
    return shape


def _unsupported(what: str) -> DecodeError:
    remedy = "save it as a single uncompressed image, or as PNG"
    return DecodeError(
        "unsupported_format", f"This DICOM file {what}, which is not read; {remedy}."
    )


def _name_of(syntax: str) -> str:
    from pydicom.config import IGNORE
    from pydicom.uid import UID

    name = UID(syntax, IGNORE).name
    return name if name != syntax else f"“{syntax}”"


def _decoded(
    syntax: str, pixels: bytes, shape: _Shape, check: Callable[[Container], None]
) -> npt.NDArray[Any]:
    """The samples ``(H, W)`` or, of colours, ``(H, W, 3)``."""
    from pydicom.encaps import encapsulate
    from pydicom.pixels.decoders.base import get_decoder

    if syntax in _NATIVE:
        # The bytes of a row more are padding; more than that is another picture than promised.
        if not shape.bytes <= len(pixels) <= shape.bytes + max(1, shape.bytes // shape.rows):
            raise damaged(_NAME)
        pixels = pixels[: shape.bytes]
    else:
        size = (shape.rows, shape.columns, shape.samples, shape.allocated // 8)
        pixels = encapsulate([check_frame(syntax, pixels, size, check)])
    options: dict[str, Any] = {
        "rows": shape.rows,
        "columns": shape.columns,
        "samples_per_pixel": shape.samples,
        "bits_allocated": shape.allocated,
        "bits_stored": shape.stored,
        "pixel_representation": shape.signed,
        "photometric_interpretation": shape.photometric,
        "planar_configuration": shape.planar,
        "number_of_frames": 1,
        "pixel_keyword": "PixelData",
    }
    plugin = _COMPRESSED.get(syntax, "")
    try:
        samples, _ = get_decoder(syntax).as_array(pixels, decoding_plugin=plugin, **options)
    except Exception as error:  # whatever its plug-ins raise: the file is the cause
        raise damaged(_NAME) from error
    expected = (shape.rows, shape.columns) + ((3,) if shape.samples == 3 else ())
    if samples.shape != expected or samples.dtype.itemsize > 2:
        raise damaged(_NAME)
    return samples


def _display(elements: Elements, shape: _Shape) -> Display:
    slope, intercept = _number(elements, _SLOPE, 1), _number(elements, _INTERCEPT, 0)
    below = bool(shape.signed) or intercept < 0
    window: Window | Lookup | None = _lookup(elements, _VOI_LUT, below)
    if window is None and _CENTRE in elements.values and _WIDTH in elements.values:
        function = _text(elements, _FUNCTION) or "LINEAR"
        given = Window(
            _number(elements, _CENTRE, math.nan), _number(elements, _WIDTH, math.nan), function
        )
        window = given if given.is_valid else None
    return Display(
        inverted=shape.photometric == "MONOCHROME1",
        stored=shape.stored,
        slope=slope or 1,
        intercept=intercept,
        modality=_lookup(elements, _MODALITY_LUT, bool(shape.signed)),
        window=window,
    )


def _lookup(elements: Elements, tag: int, below_zero: bool) -> Lookup | None:
    """The first table of a sequence; the first value that it maps may lie below zero."""
    item = next(iter(elements.items.get(tag, [])), {})
    raw, data = item.get(_DESCRIPTOR, b""), item.get(_ENTRIES, b"")
    if not raw or not data:
        return None
    if len(raw) != 6:
        raise damaged(_NAME)
    size, first, bits = struct.unpack("<HhH" if below_zero else "<HHH", raw)
    size = size or 1 << 16
    if not 8 <= bits <= 16 or len(data) < size:
        raise damaged(_NAME)
    wide = len(data) >= 2 * size
    entries = np.frombuffer(data, "<u2" if wide else "u1", size).astype(np.uint16)
    return Lookup(first, bits, entries)


def _subject(elements: Elements) -> Subject:
    age = re.fullmatch(r"(\d{3})([DWMY])", _text(elements, _AGE))
    sex, view = _text(elements, _SEX), _text(elements, _VIEW)
    return Subject(
        _decade(int(age[1]) if age[2] == "Y" else 0) if age else "",
        sex if sex in ("F", "M", "O") else "",
        view if view in _VIEWS else "",
    )


def _decade(years: int) -> str:
    first = years // 10 * 10
    return "90+" if first >= 90 else f"{first}-{first + 9}"


def _count(elements: Elements, tag: int, default: int | None = None) -> int:
    """An unsigned short. Raises: DecodeError where there has to be one, and is none."""
    value = elements.values.get(tag, b"")
    if len(value) == 2:
        return int.from_bytes(value, "little")
    if value or default is None:
        raise damaged(_NAME)
    return default


def _text(elements: Elements, tag: int) -> str:
    value = elements.values.get(tag, b"")[:64].partition(b"\\")[0]
    return value.decode("ascii", "replace").strip(" \0").upper()


def _number(elements: Elements, tag: int, default: float) -> float:
    """The first of the numbers that are written in an element."""
    text = _text(elements, tag)
    try:
        value = float(text) if text else default
    except ValueError as error:
        raise damaged(_NAME) from error
    if text and not math.isfinite(value):
        raise damaged(_NAME)
    return value
