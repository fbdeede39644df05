"""Who can not see, has a telephone, or wants to take something away: every page, one server."""

import json
import os
import re
from importlib import import_module
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest
from PIL import Image

from tests.browser.conftest import assert_sound, download, settle
from tests.runs import LONG, trained

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

PAGES = ("", "explore", "train", "evaluate", "predict")
VIEWS = ("explore?view=Means", "explore?view=Split", "evaluate?view=Curves",
         "evaluate?view=Operating+point", "evaluate?view=Report")  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(reading, open_page, console, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.base", reason="axe is not installed")
    page, found = open_page(reading.url, color_scheme=scheme), []
    only = "runOnly: ['color-contrast']" if scheme == "dark" else ""  # all else is the same
    page.add_init_script(axe.AXE_SCRIPT)
    for path in (*PAGES, *VIEWS):
        page.goto(f"{reading.url}/{path}")
        settle(page)
        said = page.evaluate(f"axe.run(document, {{resultTypes: ['violations'], {only}}})")
        found += [
            f"{path}: {one['id']}: {node['html'][:120]} {node['failureSummary']}"
            for one in said["violations"]
            if one["impact"] in ("serious", "critical")
            for node in one["nodes"]
        ]
    assert not found, "\n".join(found)
    assert_sound(reading, console)


def test_nothing_is_wider_than_a_telephone(reading, open_page, console) -> None:
    page = open_page(reading.url, viewport={"width": 400, "height": 800})
    for path in (*PAGES, *VIEWS):
        page.goto(f"{reading.url}/{path}")
        settle(page)
        main = page.get_by_test_id("stMain")
        wide, seen = main.evaluate("main => [main.scrollWidth, main.clientWidth]")
        assert wide <= seen, path
        assert page.get_by_test_id("stException").count() == 0
    assert_sound(reading, console)


def test_every_page_gives_what_can_be_taken_away(reading, open_page, console, phantoms) -> None:
    run = trained(phantoms, LONG).run
    page = open_page(f"{reading.url}/evaluate?run={run}")
    name, content = download(page, "PNG")
    assert name == "matrix.png" and Image.open(BytesIO(content)).size[0] > 300
    name, content = download(page, "SVG")
    assert name == "matrix.svg" and b"</svg>" in content
    page.goto(f"{reading.url}/explore?view=Split")
    name, content = download(page, "Download as CSV")
    assert name.endswith(".csv") and len(content.splitlines()) == 37  # a heading and 36 phantoms
    page.goto(f"{reading.url}/predict?run={run}")
    page.get_by_text("Take this model away").click()
    name, content = download(page, "Checkpoint (.zip)")
    assert name == f"model-{run[:8]}.zip"
    with ZipFile(BytesIO(content)) as files:
        contract = next(one for one in files.namelist() if one.endswith("contract.json"))
        assert json.loads(files.read(contract))["classes"]
    name, shared = download(page, "Checkpoint to share (.zip)")
    assert name == f"model-{run[:8]}.share.zip" and len(shared) < len(content)
    exchange = page.get_by_test_id("stDownloadButton").get_by_role("button", name="ONNX (.onnx)")
    if find_spec("onnx"):
        name, content = download(page, "ONNX (.onnx)")
        assert name == f"model-{run[:8]}.onnx"
        session = import_module("onnxruntime").InferenceSession(content)
        assert session.get_inputs()[0].shape[1:] == [3, LONG.image_size, LONG.image_size]
    else:  # requirements-onnx.txt; the page says so
        expect(exchange).to_be_disabled()
    assert_sound(reading, console)


def test_a_test_image_stands_for_an_upload(reading, open_page, console, phantoms) -> None:
    one = trained(phantoms, LONG)
    table = one.store.predictions(one.run)
    table = table[table["split"] == "test"].set_index("file")
    page = open_page(f"{reading.url}/predict?run={one.run}")
    page.get_by_role("button", name="Take a test image").click()
    expect(page).to_have_url(re.compile("sample="))
    told = page.get_by_text("In truth it is")
    expect(told).to_be_visible()
    file = page.evaluate("new URLSearchParams(location.search).get('sample')")
    expect(told).to_contain_text(f"In truth it is {table.at[file, 'label']}")
    answer = table.at[file, "predicted"]
    expect(page.get_by_role("heading", name=re.compile(rf"^{answer}, [\d.]+ %$"))).to_be_visible()
    page.reload()  # the link leads to the same answer
    expect(told).to_be_visible()
    assert_sound(reading, console)


def test_a_file_beyond_the_limit_is_refused_before_it_is_sent(
    reading, open_page, console, tmp_path: Path
) -> None:
    page = open_page(f"{reading.url}/predict")
    uploader = page.get_by_test_id("stFileUploaderDropzoneInput").first
    (tmp_path / "large.png").touch()
    os.truncate(tmp_path / "large.png", 26_300_000)
    uploader.set_input_files(tmp_path / "large.png")
    expect(page.get_by_text(re.compile("25.*MB or smaller"))).to_be_visible()
    assert_sound(reading, console)
