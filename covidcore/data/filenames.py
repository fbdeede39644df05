"""What a file's name says about it: an image, an operating system's own, or nothing at all."""

from pathlib import Path

from covidcore.data.dicom_elements import MAGIC, PREAMBLE, is_dicom

SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"),
    *(".dcm", ".dicom"),
)
KINDS_READ = "PNG, JPEG, WebP, BMP, TIFF or DICOM"
NOT_READ = f"not a {KINDS_READ} file"
TABLES = ("metadata.csv", "labels.csv", "dataset.json")
WORKBOOK = ".metadata.xlsx"
_INNER = ("images", "mask", "masks")
_JUNK = {"__macosx", "thumbs.db", "desktop.ini"}


def is_hidden(name: str) -> bool:
    """Whether a file or folder of that name is an operating system's own, and no data."""
    return name.startswith(".") or name.lower() in _JUNK


def is_nameless(name: str) -> bool:
    """Whether a name has no ending: DICOM files are often called IM0001, or 1.2.840.1."""
    return "." not in name or name.rpartition(".")[2].isdecimal()


def may_be_image(name: str) -> bool:
    """Whether a file of that name is one to look into."""
    return name.lower().endswith(SUFFIXES) or is_nameless(name)


def is_image(path: Path) -> bool:
    """Whether a file is to be read: by its ending, or where it has none, as it begins as DICOM."""
    if path.name.lower().endswith(SUFFIXES):
        return True
    if not is_nameless(path.name):
        return False
    with path.open("rb") as file:
        return is_dicom(file.read(PREAMBLE + len(MAGIC)))


def is_table(file: str) -> bool:
    """Whether a file in a dataset's own folder is a table about its images."""
    return file in TABLES or ("/" not in file and file.lower().endswith(WORKBOOK))


def can_be_class(name: str) -> bool:
    """Whether a folder of that name could hold a class, on any disk."""
    printable = name.isprintable() and len(name.encode("utf-8", "replace")) <= 100
    odd = "/" in name or "\\" in name or name.startswith(".") or name.lower() in _INNER
    return bool(name) and printable and not odd


def stem(name: str) -> str:
    """A file's name without its ending, if it has one."""
    return name if is_nameless(name) else name.rpartition(".")[0]
