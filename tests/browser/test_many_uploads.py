"""Thirty files of all kinds at once, in a real browser: answered, or refused with a reason."""

import contextlib
import csv
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.uid import JPEG2000Lossless, RLELossless

from covidcore.data.decode import decode
from tests import dicoms, hostile
from tests.browser.conftest import Server
from tests.browser.test_evaluate import download
from tests.browser.test_journey import heading
from tests.pictures import picture
from tests.runs import LONG, trained

expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect
pytestmark = pytest.mark.browser

ROW, HEADER = 56, 36
"""Pixels of the table's rows, which are drawn on a canvas."""


def same_picture(grey: np.ndarray) -> dict[str, bytes]:
    """One picture in every format that is read."""
    fine = grey.astype(np.uint16) * 256 + 7
    twelve = grey.astype(np.uint16) * 16 + 7
    image = Image.fromarray(grey)
    return {
        "plain.png": hostile.saved(grey),
        "sixteen bits.png": hostile.sixteen_bit_png(fine[..., np.newaxis]),
        "photograph.jpg": hostile.saved(grey, "JPEG", quality=95),
        "dicom.dcm": dicoms.dicom(grey),
        "progressive.jpeg": hostile.saved(grey, "JPEG", quality=95, progressive=True),
        "web.webp": hostile.saved(grey, "WebP", lossless=True),
        "windows.bmp": hostile.saved(grey, "BMP"),
        "scanner.tiff": hostile.saved(grey, "TIFF"),
        "deep.tif": hostile.saved(Image.fromarray(fine), "TIFF"),
        "IM0001": dicoms.dicom(twelve, BitsStored=12),
        "runs.dcm": dicoms.compressed(grey, RLELossless),
        "2000.dcm": dicoms.compressed(twelve, JPEG2000Lossless, BitsStored=12),
        "negative.dcm": dicoms.dicom(255 - grey, PhotometricInterpretation="MONOCHROME1"),
        "three channels.png": hostile.saved(image.convert("RGB")),
        "see-through.png": hostile.saved(image.convert("RGBA")),
        "palette.png": hostile.saved(image.convert("P")),
        "=1+1.png": hostile.saved(grey, optimize=True),
        "![a](http://x).png": hostile.saved(grey, compress_level=1),
        "Röntgen \N{CJK UNIFIED IDEOGRAPH-80BA}.png": hostile.saved(grey, compress_level=2),
        "the same again.png": hostile.saved(grey),
    }


def refused() -> dict[str, tuple[bytes, str]]:
    """What is no radiograph, with the code of its refusal."""
    tinted = np.dstack([picture(3, 96), picture(4, 96), picture(5, 96)])
    return {
        "letter.png": (b"Dear Sir, this is no image.", "unsupported_format"),
        "page.gif": (b"GIF89a" + bytes(100), "unsupported_format"),
        "paper.pdf": (b"%PDF-1.7\n" + bytes(100), "unsupported_format"),
        "cut.png": (hostile.saved(picture(1))[:200], "unreadable"),
        "many scans.jpg": (hostile.many_scans(300), "unreadable"),
        "dot.png": (hostile.saved(picture(1, 1, 1)), "too_small"),
        "black.png": (hostile.saved(np.zeros((64, 64), np.uint8)), "blank"),
        "wide.png": (hostile.declaring(60_000, 60_000), "too_many_pixels"),
        "long.png": (hostile.declaring(20_000, 64), "too_many_pixels"),
        "holiday.png": (hostile.saved(tinted), "colour_photo"),
    }


@pytest.fixture(scope="module")
def asking(phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server in front of a finished run."""
    server = Server(tmp_path_factory.mktemp("asking"))
    shutil.copytree(trained(phantoms, LONG).settings.home, server.home, dirs_exist_ok=True)
    server.start()
    yield server
    server.stop()


def send(page, files: dict[str, bytes]) -> None:
    page.get_by_test_id("stFileUploaderDropzoneInput").first.set_input_files(
        [{"name": name, "mimeType": "", "buffer": data} for name, data in files.items()]
    )


def open_row(page, table, number: int, name: str) -> None:
    """Click a cell of a row until its card is open: a canvas that is still being drawn is deaf."""
    card = page.get_by_test_id("stText").get_by_text(name, exact=True)
    for _ in range(20):
        place = {"x": table.bounding_box()["width"] / 3, "y": HEADER + (number + 0.5) * ROW}
        table.click(position=place)
        with contextlib.suppress(AssertionError):
            expect(card).to_be_visible(timeout=5000)
            return
    raise AssertionError(f"The row of {name} did not open.")


def test_thirty_files_at_once(asking: Server, open_page, console, phantoms: Path) -> None:
    one = trained(phantoms, LONG)
    file = one.store.split(one.run).query("split == 'test'")["file"].iloc[0]
    good = same_picture(decode(one.dataset.root / file).pixels)
    bad = refused()
    files = good | {name: data for name, (data, _) in bad.items()}
    assert len(files) == 30
    page = open_page(f"{asking.url}/predict")
    expect(heading(page, "Predict")).to_be_visible()
    send(page, files)
    table = page.get_by_test_id("stDataFrame")
    expect(table).to_be_visible(timeout=180_000)  # torch is imported meanwhile
    expect(page.get_by_role("heading", name=re.compile(r", [\d.]+ %$"))).to_be_visible()

    name, content = download(page, "Download all as CSV")
    assert name == "answers.csv"
    rows = list(csv.DictReader(content.decode().splitlines()))
    assert [row["file"].removeprefix("'") for row in rows] == list(files)
    found = dict(zip(files, rows, strict=True))
    plain = found["plain.png"]
    assert plain["answer"] and not plain["refused"]
    for name in good:
        assert (found[name]["answer"], found[name]["refused"]) == (plain["answer"], ""), name
        for column in (column for column in plain if column.startswith("p:")):
            assert abs(float(found[name][column]) - float(plain[column])) < 0.02, name
    assert {name: found[name]["refused"] for name in bad} == {
        name: code for name, (_, code) in bad.items()
    }

    cells = table.locator("[role=gridcell]")
    expect(cells.filter(has_text="plain.png")).to_have_count(1)
    open_row(page, table, 2, "photograph.jpg")
    page.get_by_text("refused: colour photo (1)").click()
    expect(page.get_by_text("No answer. This is a picture in colours")).to_be_visible()
    assert console == []
    assert "Traceback" not in asking.log.read_text()


def test_more_files_come_to_those_that_are_there(asking: Server, open_page, phantoms) -> None:
    one = trained(phantoms, LONG)
    root, files = one.dataset.root, list(one.dataset.index["file"][:2])
    page = open_page(f"{asking.url}/predict")
    send(page, {"first.png": (root / files[0]).read_bytes()})
    expect(page.get_by_test_id("stText").get_by_text("first.png")).to_be_visible()
    expect(page.get_by_test_id("stDataFrame")).to_have_count(0)
    send(page, {"second.png": (root / files[1]).read_bytes(), "third.png": b"no image"})
    cells = page.get_by_test_id("stDataFrame").locator("[role=gridcell]")
    for name in ("first.png", "second.png", "third.png"):
        expect(cells.filter(has_text=name)).to_have_count(1)
    page.get_by_text("Show a heatmap").click()
    expect(page.get_by_text("A heatmap proves nothing")).to_be_visible()
