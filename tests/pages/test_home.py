"""The home page as a guide: what is done, what is next, and the way there."""

from covidcore.jobs.openings import note_opened
from tests.once import phantoms_in
from tests.pages.conftest import texts


def suggested(app) -> list[str]:
    """The buttons that stand out."""
    return [one.label for one in app.button if one.proto.type == "primary"]


def headings(app) -> list[str]:
    return [str(one.value) for one in app.subheader]


def test_an_empty_home_offers_data_that_needs_nothing(home, open_page) -> None:
    app = open_page()
    assert suggested(app) == ["Make synthetic phantoms", "Read the folder"]
    assert "1 · a dataset" in texts(app)


def test_the_next_step_stands_out(home, open_page) -> None:
    phantoms_in(home, 30)
    app = open_page()
    assert suggested(app) == ["Explore the data"]
    app.switch_page("pages/explore.py").run()
    app.switch_page("pages/home.py").run()
    assert suggested(app) == ["Train a model"]
    assert headings(app)[0].endswith("done]") and headings(app)[1].endswith("next]")


def test_after_training_the_evaluation_is_next_and_then_an_image(trained, open_page) -> None:
    run = trained.path(trained.find("latest"))
    openings = run / "opened.json"
    before = openings.read_bytes() if openings.exists() else None
    openings.unlink(missing_ok=True)
    assert suggested(open_page()) == ["Read the evaluation"]
    note_opened(run)
    assert suggested(open_page()) == ["Try an image"]
    if before is not None:
        openings.write_bytes(before)
