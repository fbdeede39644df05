"""What a person does on a first visit, in a real browser, on synthetic phantoms."""

import contextlib
import re
import signal
from pathlib import Path

import pytest

from covidcore.config import DISCLAIMER
from covidcore.data.phantoms import PhantomSpec, write
from covidcore.jobs.folder import State
from tests.browser.conftest import assert_sound

expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect
pytestmark = pytest.mark.browser

PAGES = {"": "covidcore", "explore": "Explore", "train": "Train", "evaluate": "Evaluate",
         "predict": "Predict"}  # fmt: skip
ANSWERED = re.compile(r"images? of .* answered ")
"""The sentence above the images behind a cell of the matrix."""


def heading(page, name: str):
    return page.get_by_role("heading", name=name, exact=True)


def run_that_is(page, state: str):
    """The heading of the run that is followed, with its state at the end."""
    return page.get_by_role("heading", name=re.compile(rf" {state}$"))


def go(page, name: str) -> None:
    page.get_by_test_id("stSidebarNavLink").filter(has_text=name).click()
    expect(heading(page, name)).to_be_visible()


def train(page, epochs: int) -> None:
    """Submit the quick preset without pretrained weights."""
    page.get_by_text("Advanced", exact=True).click()
    field = page.get_by_role("textbox", name="Epochs")
    field.fill(str(epochs))
    field.press("Enter")
    weights = page.get_by_role("combobox", name="Starting weights")
    weights.fill("none")
    weights.press("Enter")
    expect(weights).to_have_value("none")
    page.get_by_role("button", name="Train", exact=True).click()


def test_journey(server, open_page, console, tmp_path: Path) -> None:
    folder = write(PhantomSpec(images=60), tmp_path / "radiographs")
    page = open_page(server.url)
    expect(page.get_by_text(DISCLAIMER)).to_be_visible()

    path = page.get_by_label("Path of the folder")
    path.fill("/no/such/folder")
    page.get_by_role("button", name="Read the folder").click()
    expect(page.get_by_text("There is no folder /no/such/folder.")).to_be_visible()
    path.fill(str(folder))
    page.get_by_role("button", name="Read the folder").click()
    expect(page.get_by_text("60 images in")).to_be_visible()
    expect(page.locator(".stMarkdownBadge", has_text="synthetic phantoms")).to_be_visible()

    go(page, "Explore")
    expect(page.get_by_text("COVID-19-1.png")).to_be_visible()
    go(page, "Train")
    train(page, epochs=4)
    expect(page.get_by_test_id("stMetricValue").get_by_text("4 of 4")).to_be_visible()
    page.get_by_role("button", name="Read the evaluation").click()

    expect(heading(page, "Evaluate")).to_be_visible()
    table = server.store.predictions(server.store.find("latest"))
    table = table[table["split"] == "test"]
    shown = page.get_by_text(ANSWERED).inner_text()
    named = zip(table["label"], table["predicted"], strict=True)
    others = table[[not re.search(f"of {t} (is|are) answered {a}", shown) for t, a in named]]
    surest = others.loc[others.filter(like="p:").max(axis=1).idxmax()]
    truth, answer = surest["label"], surest["predicted"]
    images = int(((table["label"] == truth) & (table["predicted"] == answer)).sum())
    click_cell(page, truth, answer)
    expect(page.get_by_text(ANSWERED)).to_have_text(
        re.compile(rf"{images} images? of {re.escape(truth)} (is|are) answered {re.escape(answer)}")
    )
    expect(page.get_by_text(Path(surest["file"]).name)).to_be_visible()
    expect(page).to_have_url(re.compile(r"run=[0-9a-f]+"))

    go(page, "Predict")
    fake = tmp_path / "letter.png"
    fake.write_text("Dear Sir, this is not an image.")
    uploader = page.get_by_test_id("stFileUploaderDropzoneInput").first
    uploader.set_input_files([folder / surest["file"], fake])
    told = page.get_by_role("heading", name=re.compile(rf"^{answer}, [\d.]+ %$"))
    expect(told).to_be_visible()
    chance = float(told.inner_text().removeprefix(f"{answer}, ").removesuffix(" %")) / 100
    assert chance == pytest.approx(surest[f"p:{answer}"], abs=0.02)  # bf16 may be used in training
    page.get_by_text("refused: unsupported format (1)").click()
    expect(page.get_by_text(re.compile(r"^No answer\. .+\.$"))).to_be_visible()
    expect(page.get_by_text(DISCLAIMER)).to_be_visible()

    assert_sound(server, console)


def click_cell(page, truth: str, predicted: str) -> None:
    """Click the middle of one cell of the matrix, found by the axes' names."""
    expect(page.locator(".ytick text").first).to_be_visible()
    # A name of two words stands on two lines, and the text of a chart has no space between lines.
    below = page.locator(".xtick text", has_text=re.compile(r"\s*".join(predicted.split())))
    below.scroll_into_view_if_needed()
    for _ in range(60):  # until nothing moves any more, and the chart knows where the pointer is
        x = below.bounding_box()
        y = page.locator(".ytick text", has_text=truth).bounding_box()
        place = x["x"] + x["width"] / 2, y["y"] + y["height"] / 2
        page.mouse.move(0, 0)
        page.mouse.move(*place)
        shown = page.locator(".hovertext").filter(has_text=truth).filter(has_text=predicted)
        with contextlib.suppress(AssertionError):
            expect(shown).to_be_visible(timeout=1000)
            page.mouse.click(*place)
            return
    raise AssertionError(f"The cell {truth}, {predicted} was not found.")


@pytest.mark.parametrize("path", PAGES)
def test_deep_link_into_a_cold_server(server, open_page, console, path: str) -> None:
    page = open_page(f"{server.url}/{path}")
    expect(heading(page, PAGES[path])).to_be_visible()
    expect(page.get_by_text(DISCLAIMER)).to_be_visible()
    expect(page.get_by_test_id("stSidebarNavLink")).to_have_count(len(PAGES))
    assert page.get_by_test_id("stException").count() == 0
    assert_sound(server, console)


def test_first_click_on_a_cold_server_counts(server, open_page, console) -> None:
    page = open_page(f"{server.url}/explore")
    page.get_by_label("Path of the folder").fill("/no/such/folder")
    page.get_by_role("button", name="Read the folder").click()
    expect(page.get_by_text("There is no folder /no/such/folder.")).to_be_visible()
    assert console == []


def test_job_outlives_tab_and_server(server, open_page, console) -> None:
    page = open_page(server.url)
    page.get_by_label("How many").fill("60")
    page.get_by_role("button", name="Make synthetic phantoms").click()
    expect(page.get_by_text("60 images in")).to_be_visible()
    go(page, "Train")
    train(page, epochs=1000)
    counted = page.get_by_test_id("stMetricValue").get_by_text(re.compile(r"^[1-9]\d* of 1000$"))
    expect(counted).to_be_visible()
    address = page.url
    page.context.close()
    server.stop(signal.SIGKILL)  # it can not tell its jobs to end, nor to go on
    (run,) = server.store.list()
    assert run.state is State.RUNNING
    began = run.epoch
    while server.store.info(run.run).epoch == began:
        assert server.store.info(run.run).state is State.RUNNING

    server.start()
    page = open_page(address)
    expect(run_that_is(page, "running")).to_be_visible()
    page.get_by_role("button", name="Cancel").first.click()
    expect(run_that_is(page, "cancelled")).to_be_visible()
    expect(page.get_by_test_id("stToast").filter(has_text="is cancelled")).to_be_visible()
    assert server.store.info(run.run).state is State.CANCELLED
    page.get_by_role("button", name="Resume", exact=True).click()
    expect(run_that_is(page, "running")).to_be_visible()
    assert_sound(server, console)
