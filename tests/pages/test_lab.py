"""The shortcut lab on the train page: asked for, followed, and read."""

import shutil

from covidcore.jobs.lab import Lab, lab_study
from covidcore.jobs.store import RunStore
from tests.jobs.test_lab import answered
from tests.pages.conftest import texts


def opened(open_page):
    return open_page("train", lab="true")


def test_the_lab_is_offered_without_any_data(home, open_page) -> None:
    app = opened(open_page)
    assert "Plant the shortcut and train" in [one.label for one in app.button]
    assert not app.error


def test_what_it_found_is_read(home, open_page) -> None:
    settings, document = answered()
    shutil.copytree(settings.home, home, dirs_exist_ok=True)
    study = lab_study(RunStore(settings), Lab().share)
    assert study.result.is_file()
    app = opened(open_page)
    words = texts(app).replace("\\", "")
    for sentence in document["conclusions"]:
        assert sentence in words
    shown = [one.value for one in app.metric]
    for arm in document["arms"].values():
        assert f"{arm['accuracy']:.1%}".replace("%", " %") in shown
        assert f"{arm['border']['accuracy']:.1%}".replace("%", " %") in shown
    red = document["arms"]["marked"]["border"]["red"]
    assert ("Beats chance" in words) >= red
