"""The evaluate page in a real browser: what is behind a cell, thresholds, two runs, the report."""

import csv
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from covidcore.data.index import scan
from covidcore.data.phantoms import PhantomSpec, write
from covidcore.evaluation import compare
from covidcore.evaluation.metrics import confusion
from covidcore.evaluation.report_answers import NOT_REPORTED
from covidcore.jobs.openings import times_opened
from covidcore.jobs.outside import outside_study
from tests.browser.conftest import Server, assert_sound, download
from tests.browser.test_journey import ANSWERED, click_cell, heading
from tests.evaluation.test_report import Tags
from tests.runs import LONG, SHORT, trained

expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect
pytestmark = pytest.mark.browser


@pytest.fixture
def view(reading: Server, phantoms: Path, open_page, console):
    """Open a view for the longer trained run; at the end nobody has complained."""
    run = trained(phantoms, LONG).run

    def open_view(name: str, **query: str):
        asked = "".join(f"&{key}={value}" for key, value in query.items())
        page = open_page(f"{reading.url}/evaluate?run={run}&view={name}{asked}")
        expect(heading(page, "Evaluate")).to_be_visible()
        return page

    yield open_view
    assert_sound(reading, console)


def rows_of(phantoms: Path, recipe=LONG) -> pd.DataFrame:
    one = trained(phantoms, recipe)
    table = one.store.predictions(one.run)
    return table[table["split"] == "test"]


def download_text(page, label: str) -> tuple[str, str]:
    name, content = download(page, label)
    return name, content.decode("utf-8")


def test_a_cell_lists_its_images_and_gives_them_as_csv(view, phantoms: Path) -> None:
    table = rows_of(phantoms)
    cells = table.groupby(["label", "predicted"]).size().sort_values()
    truth, answer = cells.index[-1]
    files = table[(table["label"] == truth) & (table["predicted"] == answer)]
    page = view("Matrix")
    expect(page.get_by_text(ANSWERED)).to_be_visible()  # nothing moves then
    click_cell(page, truth, answer)
    said = f"{len(files)} images of {truth} are answered {answer}"
    expect(page.get_by_text(said)).to_be_visible()
    for file in files["file"]:
        expect(page.get_by_role("img", name=file, exact=True)).to_be_visible()
    name, text = download_text(page, "Download as CSV")
    assert name == "cell.csv"
    rows = list(csv.DictReader(text.splitlines()))
    assert {row["file"] for row in rows} == set(files["file"])
    losses = [float(row["loss"]) for row in rows]
    assert losses == sorted(losses, reverse=True)


def test_a_threshold_moves_the_matrix(view, phantoms: Path) -> None:
    table, classes = rows_of(phantoms), list(trained(phantoms, LONG).dataset.classes)
    before = confusion(table["label"].tolist(), table["predicted"].tolist(), classes)
    page = view("Operating+point")
    sentence = page.get_by_text("people are alarmed for nothing")
    expect(sentence).to_be_visible()
    shown = sentence.inner_text()
    sliders = page.get_by_test_id("stSlider").filter(has_text=f"{classes[0]}: answered from")
    slider = sliders.get_by_role("slider")
    slider.focus()
    page.keyboard.press("ArrowRight")  # answered from 0.5 % on: nearly always
    expect(sentence).not_to_have_text(shown)
    page.get_by_role("radio", name="Matrix").click()
    right = page.get_by_text(re.compile(r"test images are answered right with"))
    expect(right).to_contain_text(f"{classes[0]} from 0.5 % on")
    every = before[1].sum()  # images of the second class: all are answered the first one now
    assert every > before[1, 0]
    moved = page.get_by_role("button", name=f"{classes[1]} → {classes[0]}: {every}")
    expect(moved).to_be_visible()


def test_two_runs_are_compared(view, phantoms: Path) -> None:
    one, other = (trained(phantoms, recipe) for recipe in (LONG, SHORT))
    tables = {each.run: each.store.predictions(each.run) for each in (one, other)}
    (pair,) = compare.compare(tables, one.dataset.classes)["pairs"]
    assert pair["verdict"] == compare.SAME  # on so few images
    page = view("Compare", **{"with": other.run[:12]})
    expect(page.get_by_text(f"{pair['n']} test images are common")).to_be_visible()
    table = page.get_by_test_id("stDataFrame")  # drawn on a canvas; its words are within
    table.scroll_into_view_if_needed()
    expect(table.locator("[role=gridcell]").filter(has_text=compare.SAME)).to_have_count(1)
    expect(page.locator("svg text").filter(has_text=re.compile("^=1 "))).to_have_count(2)
    apart = pair["n"] - sum(
        first == second
        for first, second in zip(
            *(table[table["split"] == "test"].sort_values("file")["predicted"]
              for table in tables.values()), strict=True,
        )
    )  # fmt: skip
    expect(page.get_by_text(f"{apart} images are answered differently")).to_be_visible()
    name, text = download_text(page, "Download as CSV")
    assert name == "disagreements.csv" and len(text.splitlines()) == apart + 1


def test_the_report_is_taken_away_and_opens(view, open_page, phantoms: Path, reading, tmp_path):
    run = trained(phantoms, LONG).run
    page = view("Report")
    expect(page.get_by_text(f"are {NOT_REPORTED}")).to_be_visible()
    name, markdown = download_text(page, "Report as Markdown")
    assert name == f"report-{run[:8]}.md" and markdown.startswith("# Report of ")
    name, text = download_text(page, "Report as HTML")
    assert name == f"report-{run[:8]}.html"
    tags = Tags(text)
    assert not tags.open and not tags.others
    assert all(link.startswith("#") for link in tags.links)
    file = tmp_path / name
    file.write_text(text, "utf-8")

    asked: list[str] = []
    page.context.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    expect(page.get_by_role("heading", name="TRIPOD+AI")).to_be_visible()
    opened = times_opened(reading.store.path(run))
    expect(page.get_by_text(f"were opened {opened} time").first).to_be_visible()
    page.locator("sup a").first.click()
    expect(page.locator("#commands li:target code")).to_have_text(
        f"python -m covidcore evaluate {run[:12]}"
    )
    assert {url.partition("#")[0] for url in asked} == {file.as_uri()}


def test_what_was_scored_elsewhere_is_taken_away(view, reading, phantoms: Path, tmp_path) -> None:
    one = trained(phantoms, LONG)
    split = one.store.split(one.run)
    known = split[split["split"] == "train"]["file"].iloc[0]
    folder = write(PhantomSpec(images=9, size=64, seed=9), tmp_path / "elsewhere")
    shutil.copy(one.dataset.root / known, (folder / known).with_name("copy.png"))
    study = outside_study(reading.store, one.run, scan(folder, reading.home))
    found = study.follow(lambda *_: None)
    aside = found["set_aside"]["files"]
    assert any(row["file"].endswith("copy.png") for row in aside)
    page = view("Another+dataset")
    page.get_by_text("Images set aside").click()
    buttons = page.get_by_test_id("stDownloadButton")
    expect(buttons).to_have_count(2)
    for at, name in enumerate(("set-aside.csv", "cell.csv")):
        with page.expect_download() as waiting:
            buttons.nth(at).get_by_role("button").click()
        assert waiting.value.suggested_filename == name
        rows = list(csv.DictReader(Path(waiting.value.path()).read_text("utf-8").splitlines()))
        assert rows and "file" in rows[0]
        assert name != "set-aside.csv" or {row["file"] for row in rows} == {
            row["file"] for row in aside
        }
