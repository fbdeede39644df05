"""Five doors as functions of bytes: whatever is sent, they answer or refuse in a sentence.

Each target takes bytes and returns whether they were taken for sound. Anything that is raised and
is no ``CovidcoreError``, and any promise broken of what comes out, is a finding.
"""

import itertools
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, RLELossless

from covidcore.data.archives import contents, unpack, write_file
from covidcore.data.decode import Limits, decode
from covidcore.errors import CovidcoreError
from tests import dicoms, hostile
from tests.data import zips

SEEDS = Path(__file__).parents[1] / "fuzz_seeds"
"""What earlier runs have found worth keeping: ``<target>/<name>``."""

LIMITS = Limits(max_bytes=2**20, max_side=4000, max_pixels=1_000_000)
"""Smaller than the app's, so that a run of a fuzzer tries more files in its time."""

_MAGIC = bytes(128) + b"DICM"
_WORDS = 400


@dataclass(frozen=True)
class Target:
    """A door, and what is sent through it at first."""

    run: Callable[[bytes], bool]
    seeds: Callable[[], Iterator[bytes]]
    kind: str
    """What its bytes are: "binary" or "text"; mutations differ."""


def told(work: Callable[[], object]) -> bool:
    """Whether it was taken; a refusal is a short sentence on one line."""
    try:
        work()
    except CovidcoreError as error:
        said = str(error)
        assert said.endswith((".", "?")), said
        assert "Traceback" not in said and "\n" not in said, said
        assert len(said) < _WORDS + 2000, len(said)
        return False
    return True


# --- images


def image(data: bytes) -> bool:
    """The decoder; a PNG also with its check sums put right, else few would come to its pixels."""
    taken = told(lambda: _decoded(data))
    if data.startswith(hostile.PNG) and (mended := hostile.with_checksums(data)) != data:
        taken |= told(lambda: _decoded(mended))
    return taken


def _decoded(data: bytes) -> None:
    found = decode(data, LIMITS)
    assert found.pixels.dtype == np.uint8 and found.pixels.ndim == 2
    assert found.pixels.flags.c_contiguous
    assert LIMITS.min_side <= min(found.pixels.shape)
    assert max(found.pixels.shape) <= LIMITS.max_side
    assert found.pixels.size <= LIMITS.max_pixels
    assert 0 <= found.colour <= 1


def images() -> Iterator[bytes]:
    """One small file of each kind that is read."""
    grey = hostile.shades()
    colours = np.dstack([grey, grey[::-1], 255 - grey])
    for form in ("PNG", "JPEG", "WEBP", "BMP", "TIFF"):
        yield hostile.saved(grey, form)
        yield hostile.saved(colours, form)
    yield hostile.saved(grey, "JPEG", progressive=True)
    yield hostile.saved(grey.astype(np.uint16) * 200)
    yield hostile.saved(grey.astype(np.uint16) * 200, "TIFF")
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits"):
        yield hostile.saved(grey, "TIFF", compression=compression)
    yield hostile.animated(grey, 255 - grey, "PNG")
    yield hostile.with_chunks(hostile.chunk(b"eXIf", hostile.tiff(6)))
    yield hostile.with_segments(hostile.segment(0xE1, b"Exif\0\0" + hostile.tiff(3, ">")))
    yield hostile.declaring(50_000, 50_000)
    yield hostile.many_scans(30)


# --- DICOM


def dicom(data: bytes) -> bool:
    """The DICOM reader; what it gets always begins as such a file does."""
    return told(lambda: _decoded(data if data[128:132] == b"DICM" else _MAGIC + data[132:]))


def dicom_files() -> Iterator[bytes]:
    """Every way of storing pixels that is read, with windows and tables, and nested items."""
    grey = hostile.shades(40, 36)
    deep = grey.astype(np.uint16) * 9
    yield dicoms.dicom(grey)
    yield dicoms.dicom(deep, WindowCenter="900", WindowWidth="800", RescaleSlope="2",
                       RescaleIntercept="-5", PatientAge="040Y")  # fmt: skip
    yield dicoms.dicom(np.dstack([grey] * 3))
    for syntax in (RLELossless, JPEGBaseline8Bit, JPEG2000Lossless):
        yield dicoms.compressed(grey, syntax)
    nested = dicoms.element(0x00081140, b"SQ", length=dicoms.UNDEFINED)
    item = dicoms.mark(dicoms.ITEM, dicoms.UNDEFINED)
    yield dicoms.beginning(dicoms.dicom(grey), *[nested + item] * 5)


# --- archives


def archive(data: bytes) -> bool:
    """The zip importer, as for a dataset and as for a checkpoint; nothing is written elsewhere."""
    with _folder() as place:
        file = place / "sent.zip"
        file.write_bytes(data)
        imports, copied = place / "imports", place / "copied"
        imports.mkdir()
        copied.mkdir()

        def copy() -> None:
            with file.open("rb") as opened:
                for number, one in enumerate(contents(opened, "sent.zip")):
                    write_file(opened, one, copied / str(number), "sent.zip")

        taken = told(lambda: unpack(file, imports, title="sent.zip")) | told(copy)
        _check_written(place)
    return taken


def _check_written(place: Path) -> None:
    found = [path for path in place.rglob("*") if path.is_symlink() or path.is_file()]
    assert not [path for path in found if path.is_symlink()]
    assert {path.name for path in place.iterdir()} == {"sent.zip", "imports", "copied"}
    assert sum(path.stat().st_size for path in found) < 50_000_000


def archives() -> Iterator[bytes]:
    """Honest archives, and each kind of entry that is refused."""
    pixel = hostile.saved(hostile.shades(32, 32))
    honest = [zips.Part(f"{label}/{n}.png", pixel) for label in ("a", "b") for n in range(2)]
    yield zips.archive(*honest)
    yield zips.archive(*honest, long_end=True)
    yield zips.archive(*[zips.Part(one.name, one.data, method=0) for one in honest])
    for name in ("../x.png", "/etc/x.png", "a\\b.png", "a/x", "a/con.png", "ä/\u202e.png", ""):
        yield zips.archive(*honest, zips.Part(name, pixel))
    yield zips.archive(*honest, zips.Part("a/link.png", b"/etc/passwd", mode=0o120777))
    yield zips.archive(*honest, zips.Part("a/0.png", pixel, offset=0))
    yield zips.archive(*honest, zips.Part("a/big.png", bytes(300_000)))


# --- contracts and recipes


def contract(data: bytes) -> bool:
    """What a stranger's contract says, and what is kept of it."""
    from covidcore.jobs import import_checks, imports
    from covidcore.model import checkpoint

    with _folder() as place:
        (place / checkpoint.CONTRACT).write_bytes(data)

        def read() -> None:
            import_checks._check_beginning(place / checkpoint.CONTRACT, "sent")
            found, _ = checkpoint.read_contract(place, "sent")
            import_checks._check_contract(found, "sent")
            json.dumps(imports._job(found.classes, found.facts, "sent", "sent"))

        return told(read)


def contracts() -> Iterator[bytes]:
    """One as it is written, with a recipe and a gate."""
    from covidcore.model import checkpoint
    from covidcore.training.recipe import PRESETS

    golden = {"png": "iVBORw0KGgo=", "logits": {"COVID": 0.5, "Normal": -1.25}}
    whole = {
        "format": checkpoint.FORMAT,
        "arch": "resnet18",
        "classes": ["COVID", "Normal"],
        "preprocessing": {
            "image_size": 224,
            "mean": [0.4, 0.4, 0.4],
            "std": [0.2, 0.2, 0.2],
            "resize": "bilinear-antialias-squash",
            "channels": "grey-repeated",
        },
        "temperature": 1.25,
        "golden": [golden] * 5,
        "sha256": "ab" * 32,
        "recipe": PRESETS["quick"].recipe.to_json(),
        "dataset": "ab" * 16,
        "dataset_name": "phantoms",
        "split": "cd" * 32,
        "weights": {"name": "none", "id": "ef" * 32},
        "gate": {"sha256": "ab" * 32, "looks": 3.5, "features": None},
        "known": {"sha256": "ab" * 32, "images": 7},
    }
    yield json.dumps(whole).encode()
    yield json.dumps({**whole, "classes": ["\u202ea", "<b>"], "temperature": 1e308}).encode()
    yield json.dumps({**whole, "format": 1, "golden": []}).encode()


def recipe(data: bytes) -> bool:
    """A recipe as stored, and as ``--set`` gives its fields."""
    from covidcore.training.recipe import PRESETS, Recipe

    text = data.decode("utf-8", "replace")
    sets = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    taken = told(lambda: PRESETS["quick"].recipe.with_overrides(sets).in_words())
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return taken

    def stored() -> None:
        made = Recipe.from_json(values)
        assert Recipe.from_json(json.loads(json.dumps(made.to_json()))) == made
        made.in_words()

    return taken | told(stored)


def recipes() -> Iterator[bytes]:
    """Every preset as stored; each of its fields as a person types it."""
    from covidcore.training.recipe import PRESETS

    for preset in PRESETS.values():
        values = preset.recipe.to_json()
        yield json.dumps(values).encode()
        lines = (f"{name}={value}" for name, value in itertools.islice(values.items(), 1, None))
        yield "\n".join(lines).encode()


TARGETS = {
    "image": Target(image, images, "binary"),
    "dicom": Target(dicom, dicom_files, "binary"),
    "archive": Target(archive, archives, "binary"),
    "contract": Target(contract, contracts, "text"),
    "recipe": Target(recipe, recipes, "text"),
}


def kept(name: str) -> list[bytes]:
    """The stored seeds of a target."""
    folder = SEEDS / name
    return [path.read_bytes() for path in sorted(folder.glob("*"))] if folder.is_dir() else []


class _folder:
    """A folder in memory where there is one, for the length of a block: a disk would be slow."""

    def __enter__(self) -> Path:
        memory = Path("/dev/shm")
        self._path = Path(tempfile.mkdtemp(prefix="fuzz-", dir=memory if memory.is_dir() else None))
        return self._path

    def __exit__(self, *error: object) -> None:
        shutil.rmtree(self._path, ignore_errors=True)
