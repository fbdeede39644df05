"""DICOM files written by pydicom, whole or with something wrong in them; builders return bytes."""

import io
import struct

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filewriter import dcmwrite
from pydicom.pixels.encoders import RLELosslessEncoder
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)

PATIENT = {
    "PatientName": "Mustermann^Erika",
    "PatientID": "4711-secret",
    "PatientBirthDate": "19641212",
    "PatientAddress": "Heidestrasse 17",
    "InstitutionName": "Charite",
    "StudyDate": "20200401",
    "AccessionNumber": "A-0815",
    "ReferringPhysicianName": "House^Gregory",
    "PatientComments": "allergic to nuts",
}
"""What must never be found in anything that is stored."""


def dataset(pixels: np.ndarray, **tags: object) -> Dataset:
    """A data set of ``(H, W)`` or ``(H, W, 3)`` pixels, with a patient; tags by keyword."""
    made = Dataset()
    made.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    made.SOPInstanceUID = "1.2.3.4"
    for name, value in PATIENT.items():
        setattr(made, name, value)
    made.Rows, made.Columns = pixels.shape[:2]
    made.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    made.PhotometricInterpretation = "RGB" if pixels.ndim == 3 else "MONOCHROME2"
    if pixels.ndim == 3:
        made.PlanarConfiguration = 0
    made.BitsAllocated = made.BitsStored = 8 * pixels.dtype.itemsize
    made.PixelRepresentation = int(pixels.dtype.kind == "i")
    made.PixelData = pixels.tobytes()
    for name, value in tags.items():
        setattr(made, name, value)
    made.HighBit = tags.get("HighBit", made.BitsStored - 1)
    made["PixelData"].VR = "OW" if made.BitsAllocated > 8 else "OB"
    return made


def written(made: Dataset, syntax: UID = ExplicitVRLittleEndian) -> bytes:
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = syntax
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    made["PixelData"].is_undefined_length = syntax.is_encapsulated
    buffer = io.BytesIO()
    dcmwrite(buffer, made, implicit_vr=syntax.is_implicit_VR, little_endian=True,
             enforce_file_format=True)  # fmt: skip
    return buffer.getvalue()


def dicom(pixels: np.ndarray, syntax: UID = ExplicitVRLittleEndian, **tags: object) -> bytes:
    return written(dataset(pixels, **tags), syntax)


def compressed(pixels: np.ndarray, syntax: UID, **tags: object) -> bytes:
    """The same, with its one frame as RLE, JPEG or JPEG 2000."""
    made = dataset(pixels, **tags)
    if syntax == RLELossless:
        frame = RLELosslessEncoder.encode(made, index=0, encoding_plugin="pydicom")
    else:
        frame = pictured(pixels, syntax)
    made.PixelData = encapsulate([frame])
    return written(made, syntax)


def pictured(pixels: np.ndarray, syntax: UID) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(pixels)
    if syntax == JPEGBaseline8Bit:
        image.save(buffer, "JPEG", quality=95)
    else:
        image.save(buffer, "JPEG2000", no_jp2=True, irreversible=syntax != JPEG2000Lossless)
    return buffer.getvalue()


def replaced(data: bytes, tag: int, value: bytes) -> bytes:
    """The file with another value, of the same length, of an explicit element of short length."""
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    at = data.index(head) + 8
    return data[:at] + value + data[at + len(value) :]


def element(tag: int, kind: bytes, value: bytes = b"", length: int | None = None) -> bytes:
    """One explicit little-endian element."""
    length = len(value) if length is None else length
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, kind)
    wide = kind in (b"OB", b"OW", b"SQ", b"UN", b"UT")
    return head + (struct.pack("<2xI", length) if wide else struct.pack("<H", length)) + value


def mark(tag: int, length: int = 0) -> bytes:
    """An item, or what ends items."""
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, length)


ITEM, ITEM_END, SEQUENCE_END, UNDEFINED = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD, 0xFFFFFFFF


def beginning(data: bytes, *elements: bytes) -> bytes:
    """The file with more elements at the start of its data set."""
    at = data.index(struct.pack("<HH", 8, 0x16))
    return data[:at] + b"".join(elements) + data[at:]
