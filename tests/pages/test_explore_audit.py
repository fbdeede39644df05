"""The view Audit: made in a process of its own, read at once ever after."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from covidcore.config import Settings
from covidcore.data import audit_process
from covidcore.data.audit import SplitSettings, audit, stored
from covidcore.data.index import Dataset, scan
from covidcore.data.phantoms import PhantomSpec, write
from tests.pages.conftest import click, texts
from tests.runs import wait_until


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, Dataset]:
    """Phantoms with a source of their own for COVID-19, copies, a label conflict and a negative."""
    place = tmp_path_factory.mktemp("planted")
    spec = PhantomSpec(images=60, size=64, cue="source", duplicates=3, near_duplicates=9, seed=5)
    folder = write(spec, place / "set")
    normal, *_ = sorted(folder.glob("NORMAL/images/*.png"))
    pneumonia, negative, *_ = sorted(folder.glob("Viral Pneumonia/images/*.png"))
    pneumonia.write_bytes(normal.read_bytes())
    Image.fromarray(255 - np.asarray(Image.open(negative))).save(negative)
    settings = Settings(home=place / "home")
    dataset = scan(folder, settings.home)
    audit(dataset, settings.home)
    return settings, dataset


@pytest.fixture
def page(planted: tuple[Settings, Dataset], home: Path, open_page, monkeypatch):
    monkeypatch.setenv("COVIDCORE_HOME", str(planted[0].home))
    return open_page("explore", view="Audit")


def plain(app) -> str:
    return texts(app).replace("\\", "")


def labels(app) -> set[str]:
    return {button.label for button in app.button}


def test_every_finding_with_consequence_and_cure(planted: tuple[Settings, Dataset], page) -> None:
    document = stored(planted[1], planted[0].home)
    assert document is not None
    seen = plain(page)
    kinds = {one["kind"] for one in document["findings"]}
    assert {"own_sources", "label_conflicts", "exact_duplicates", "inverted"} <= kinds
    for one in document["findings"]:
        for part in ("title", "consequence", "action"):
            assert one[part] in seen
    assert len(page.get("plotly_chart")) == 3  # no image is proven to be of a child
    assert "No image is proven to be of a child" in seen
    metrics = {metric.label: metric.value for metric in page.metric}
    assert metrics["Cramér's V"] == f"{document['cramers_v']:.2f}"
    assert labels(page) & {"Run the audit", "Run it again", "Stop the audit"} == set()


def test_from_a_finding_to_its_images(planted: tuple[Settings, Dataset], page) -> None:
    document = stored(planted[1], planted[0].home)
    assert document is not None
    files = {file for group in document["label_conflicts"] for file in group}
    page.button(key="see-label_conflicts").click().run()
    assert not page.exception
    assert page.segmented_control(key="view").value == "Images"
    assert page.selectbox(key="finding").value == "label_conflicts"
    assert f"**{len(files)}** of {len(planted[1].index)} images" in plain(page)
    assert {one["kind"] for one in document["findings"]} > {"source_class", "label_conflicts"}
    assert not [one for one in page.button if one.key == "see-source_class"]


def test_leaks_under_both_splits(planted: tuple[Settings, Dataset], page) -> None:
    document = stored(planted[1], planted[0].home)
    assert document is not None
    (table,) = (one.value for one in page.dataframe if "known" in one.value.columns)
    assert list(table["known"]) == list(document["leaks"].values())
    click(page, "Choose another split")
    page.selectbox(key="together").set_value("both").run()
    page.segmented_control(key="view").set_value("Audit").run()
    assert not page.exception
    wait_until(lambda: audit_process_ended(planted), "the other split")
    page.run()
    (table,) = (one.value for one in page.dataframe if "known" in one.value.columns)
    assert table.loc["by patient and near duplicates", "known"] == 0


def audit_process_ended(planted: tuple[Settings, Dataset]) -> bool:
    settings, dataset = planted
    chosen = SplitSettings(group_by="both")
    return audit_process.state(dataset, settings.home, chosen).phase == "done"


def test_pairs_stand_side_by_side(planted: tuple[Settings, Dataset], page) -> None:
    document = stored(planted[1], planted[0].home)
    assert document is not None
    first, second = document["exact_duplicates"][0][:2]
    caption = page.get("image")[0].proto.imgs[0].caption.replace("\\", "")
    for line, file in zip(caption.split("  \n"), (first, second), strict=False):
        assert line.startswith(file.rpartition("/")[2])
    page.segmented_control(key="audit_copies").set_value("near").run()
    assert not page.exception
    assert plain(page).count("correlation 0.9") + plain(page).count("correlation 1.0") == 6
    page.segmented_control(key="audit_copies").set_value("conflicts").run()
    assert plain(page).count("one picture, two labels") == 1
    assert "This is a negative." in plain(page)


def test_it_is_made_in_a_process_and_followed(home: Path, open_page, phantoms: Path) -> None:
    dataset = scan(phantoms, home)
    app = open_page("explore", view="Audit")
    assert stored(dataset, home) is None
    click(app, "Run the audit")
    work = audit_process.task(dataset.fingerprint, home)
    wait_until(lambda: not work.running, "the audit's end")
    assert work.log.read_text() == ""
    app.run()
    assert not app.exception
    assert "What is told without lungs" in texts(app)


def test_one_that_goes_on_is_shown_and_can_be_stopped(
    home: Path, open_page, phantoms: Path
) -> None:
    dataset = scan(phantoms, home)
    work = audit_process.task(dataset.fingerprint, home)
    work.path.mkdir(parents=True)
    with work.lock.open("wb") as lock:
        audit_process_holds(lock)
        work.write_status(done=560, seconds=70)
        app = open_page("explore", view="Audit")
        (bar,) = app.get("progress")
        assert (bar.proto.value, bar.proto.text) == (56, "Looking for colour · 1 min 10 s")
        click(app, "Stop the audit")
        assert work.cancel.exists()
    app.run()
    assert "was stopped" in texts(app)
    assert "Run it again" in labels(app)


def audit_process_holds(lock) -> None:
    import fcntl

    fcntl.flock(lock, fcntl.LOCK_EX)


def test_why_it_failed_is_told(home: Path, open_page, phantoms: Path) -> None:
    dataset = scan(phantoms, home)
    work = audit_process.task(dataset.fingerprint, home)
    work.write_status(message="The disk is *full*.")
    app = open_page("explore", view="Audit")
    assert app.error[0].value == "The disk is \\*full\\*\\."
    assert "Run it again" in labels(app)
