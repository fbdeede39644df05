"""The report of an import on the explore page, and its button."""

from pathlib import Path

from covidcore.config import Settings
from covidcore.data.index import known
from covidcore.data.sources import resolve
from tests.conftest import MakeDataset
from tests.pages.conftest import OpenPage
from tests.pages.test_pages import click, texts


def test_two_spellings_are_joined_by_a_button(
    make_dataset: MakeDataset, home: Path, open_page: OpenPage
) -> None:
    folder = make_dataset({"COVID": 3, "COVID-19": 2, "Normal": 3}, name="mine")
    (folder / "Normal/<b>notes.txt").touch()
    resolve(str(folder), Settings(home=home))
    app = open_page("explore")
    assert "8 images of 3 classes were read" in texts(app)
    assert any("import " in code.value and "COVID-19=COVID" in code.value for code in app.code)
    click(app, "Join the spellings as a new dataset")
    assert not app.error
    assert known(home)[0].classes == {"COVID": 5, "Normal": 3}
    assert "8 images of 2 classes were read" in texts(app)
    assert not any(button.label.startswith("Join the spellings") for button in app.button)
