"""The view Split: sets by class and source, leaks, and the way to the train page."""

import csv
import io
from pathlib import Path

import pytest

from covidcore.config import Settings
from covidcore.data.audit_leaks import SplitSettings, deal, leaks
from covidcore.data.duplicates import near_duplicate_groups
from covidcore.data.index import Dataset, scan
from covidcore.data.phantoms import PhantomSpec, write
from pages import explore_split
from tests.pages.conftest import click, texts


@pytest.fixture
def dataset(home: Path, tmp_path: Path) -> Dataset:
    """Phantoms with copies, half of which claim to be of other patients."""
    spec = PhantomSpec(images=90, size=64, duplicates=6, near_duplicates=6, seed=3)
    return scan(write(spec, tmp_path / "set"), Settings(home=home).home)


def shown(app) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def test_the_sets_are_those_of_a_run(dataset: Dataset, open_page) -> None:
    app = open_page("explore", view="Split")
    settings = SplitSettings()
    table = deal(dataset, settings)
    assert shown(app)["Training"] == str((table["split"] == "train").sum())
    by_class, by_source = (one.value for one in app.dataframe[:2])
    assert (
        by_class.loc["NORMAL", "test"]
        == ((table["split"] == "test") & (table["label"] == "NORMAL")).sum()
    )
    assert by_source["validation"].sum() == (table["split"] == "val").sum()
    found = leaks(dataset.index, table, near_duplicate_groups(dataset.index))
    assert shown(app)["Leaks"] == str(found["any"])


def test_what_is_chosen_changes_the_split_and_the_link(dataset: Dataset, open_page) -> None:
    app = open_page("explore", view="Split", together="none", split_seed="2")
    at_random = deal(dataset, SplitSettings(seed=2, group_by="none"))
    found = leaks(dataset.index, at_random, near_duplicate_groups(dataset.index))
    assert int(shown(app)["Leaks"]) == found["any"] > 0
    app.selectbox(key="together").set_value("both").run()
    assert shown(app)["Leaks"] == "0"
    assert f"{found['any']} of" in texts(app)  # beside a random split
    app.multiselect(key="without").set_value(["Hospital B"]).run()
    assert list(app.dataframe[1].value.index) == ["Hospital A"]
    app.text_input(key="fractions").set_value("70/30").run()
    assert "“70/30” is not a split" in app.error[0].value.replace("\\", "")


def test_a_class_without_images_is_a_sentence(home: Path, tmp_path: Path, open_page) -> None:
    scan(write(PhantomSpec(images=36, size=64, cue="source"), tmp_path / "set"), home)
    app = open_page("explore", view="Split")
    app.multiselect(key="without").set_value(["Hospital C"]).run()
    assert "class “COVID-19” has no images left" in app.error[0].value.replace("\\", "")


def test_the_split_goes_along_to_the_train_page(dataset: Dataset, open_page) -> None:
    query = {
        "fractions": "60/20/20",
        "together": "both",
        "split_seed": "7",
        "without": "Hospital B",
    }
    app = open_page("explore", view="Split", **query)
    click(app, "Train with this split")
    assert app.title[0].value == "Train"
    assert typed(app, app.session_state["preset"]) == ["60/20/20", "both", "7", ["Hospital B"]]


def test_a_link_fills_in_every_preset_once(dataset: Dataset, open_page) -> None:
    settings = SplitSettings("60/20/20", 7, "both", ("Hospital B", "Mars"))
    app = open_page("train", **explore_split.for_training(dataset, settings))
    for preset in ("writeup", "quick"):
        app.button(key=f"choose-{preset}").click().run()
        assert not app.exception and not app.error
        assert typed(app, preset) == ["60/20/20", "both", "7", ["Hospital B"]]
    field(app, "quick", "seed").set_value("8").run()
    assert typed(app, "quick") == ["60/20/20", "both", "8", ["Hospital B"]]
    assert set(app.query_params) == {"dataset"}  # a changed field is not what the link said


def field(app, preset: str, name: str):
    """A field of the train page, whether a link has filled it in or not."""
    fields = (*app.text_input, *app.selectbox, *app.multiselect)
    (found,) = (one for one in fields if (one.key or "").startswith(f"{preset}-{name}"))
    return found


def typed(app, preset: str) -> list[object]:
    names = ("split", "group_by", "seed", "exclude_sources")
    return [field(app, preset, name).value for name in names]


def test_a_link_with_nonsense_is_refused_by_the_fields(dataset: Dataset, open_page) -> None:
    app = open_page("train", split="x", group_by="hospital", seed="many", exclude_sources="Mars")
    said = " ".join(error.value.replace("\\", "") for error in app.error)
    assert "“x” is not a split" in said and "seed" in said
    assert field(app, app.session_state["preset"], "group_by").value == "patient"
    assert field(app, app.session_state["preset"], "exclude_sources").value == []


def test_the_table_is_to_be_had(dataset: Dataset, open_page) -> None:
    (button,) = open_page("explore", view="Split").get("download_button")
    assert button.proto.label == "Download as CSV"
    table = deal(dataset, SplitSettings())
    rows = list(csv.DictReader(io.StringIO(explore_split.as_text(table))))
    assert [row["split"] for row in rows] == list(table["split"])
    assert list(rows[0]) == ["file", "label", "source", "group", "split"]
