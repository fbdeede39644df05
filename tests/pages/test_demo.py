"""The app as a public demo: what is in view, what is not offered, whose turn it is."""

import shutil
from collections.abc import Iterator

import pytest
import streamlit as st
from streamlit.proto.WidgetStates_pb2 import WidgetStates
from streamlit.testing.v1 import AppTest

from covidcore.config import DISCLAIMER, PRIVACY
from covidcore.data.index import dataset_folder, known
from covidcore.errors import Busy
from covidcore.inference.turns import Line
from covidcore.jobs import demo_process
from covidcore.jobs.store import RunStore
from covidcore.limits import Limit, Rate, Seats
from covidcore.wording import markdown
from pages import shared_demo
from tests.conftest import MakeDataset
from tests.hostile import saved
from tests.pages.conftest import ENTRY
from tests.pages.test_pages import texts
from tests.pictures import picture

PAGES = ("", "explore", "train", "evaluate", "predict")


@pytest.fixture
def demo(trained: RunStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunStore]:
    """The trained home as a public demo that is prepared."""
    monkeypatch.setenv("COVIDCORE_DEMO", "1")
    monkeypatch.delenv("COVIDCORE_TRAINING", raising=False)
    st.cache_resource.clear()
    shared_demo.close_desk()
    demo_process.task(trained.settings.home).write_status(ready=True)
    yield trained
    st.cache_resource.clear()
    shared_demo.close_desk()


def captions(app) -> str:
    return "\n".join(one.value for one in app.caption)


@pytest.mark.parametrize("name", PAGES)
def test_both_lines_are_on_every_page(demo: RunStore, open_page, name: str) -> None:
    app = open_page(name)
    assert f"**{DISCLAIMER}** {PRIVACY}" in captions(app)
    assert not app.error


def test_they_are_not_where_it_is_no_demo(trained: RunStore, open_page) -> None:
    assert PRIVACY not in captions(open_page())


def test_no_path_can_be_typed_and_nothing_sent_but_images(demo: RunStore, open_page) -> None:
    for page, query in (("explore", {}), ("evaluate", {"view": "Another dataset"})):
        app = open_page(page, **query)
        labels = [one.label for one in app.text_input]
        assert not [label for label in labels if "older" in label or "Kaggle" in label]
        assert not app.file_uploader
        assert str(demo.settings.home) not in texts(app) + "".join(t.value for t in app.text)
    (upload,) = open_page("predict").file_uploader
    assert upload.key == "uploads"
    assert upload.label.endswith("; 20 at once")


def test_one_preset_and_no_sweep(demo: RunStore, open_page) -> None:
    app = open_page("train")
    titles = [one.value.partition(" :")[0] for one in app.subheader]
    assert "Quick" in titles
    assert not {"Standard", "Full", "Write-up"} & set(titles)
    labels = {one.label for one in app.button}
    assert not [label for label in labels if label.startswith(("Remove", "Cancel"))]
    assert "start-sweep" not in {one.key for one in app.button}
    weights = next(one for one in app.selectbox if one.label == "Starting weights")
    assert weights.options == ["radiographs", "none"]
    app.text_input(key="quick-epochs").set_value("900").run()
    assert "epochs can be 60" in app.error[0].value


def test_an_answer_and_the_limit(demo: RunStore, open_page) -> None:
    import covidcore.inference.predictor  # noqa: F401  which takes longer than a page may

    app = open_page("predict")
    desk = shared_demo.desk()
    desk.limits["images"] = Limit("images", Rate(5, 60.0), Rate(100, 1.0), clock=lambda: 0.0)
    for number in range(5):
        app.file_uploader(key="uploads").upload(f"{number}.png", saved(picture(number)))
    app.run()
    assert not app.exception
    assert not app.error
    assert len(app.dataframe[0].value) == 5
    assert len(desk.line) == 0
    app.file_uploader(key="uploads").upload("more.png", saved(picture(9))).run()
    (error,) = app.error
    assert "try again in 60 seconds" in error.value


def test_a_few_images_at_a_time(demo: RunStore, open_page, monkeypatch) -> None:
    seen: list[int] = []
    turns: list[str] = []

    class Watched(Line):
        def _join(self, session):
            turns.append(session)
            return super()._join(session)

    monkeypatch.setattr(shared_demo, "is_demo", lambda: True)
    shared_demo.desk().line = Watched(5)

    def answer(items):
        assert len(shared_demo.desk().line) == 1
        seen.append(len(items))
        return [{"n": item} for item in items]

    said = shared_demo.in_turn(list(range(10)), answer)
    assert [one["n"] for one in said] == list(range(10))
    assert seen == [4, 4, 2]
    assert len(turns) == 3


def test_a_full_demo_says_when_to_come_again(demo: RunStore, open_page) -> None:
    shared_demo.desk().seats = Seats(1, 120.0)
    first = open_page()
    assert not first.warning
    second = open_page()
    assert "All 1 places of this demo are taken" in second.warning[0].value
    assert PRIVACY in captions(second)
    assert not second.button
    assert not first.run().warning


def test_pages_have_a_limit_too(demo: RunStore, open_page) -> None:
    shared_demo.desk().limits["pages"] = Limit("pages", Rate(2, 60.0), Rate(100, 1.0))
    app = open_page()
    assert not app.run().warning
    assert "try again in" in app.run().warning[0].value


def test_a_demo_that_could_not_be_prepared_says_so(demo: RunStore, open_page) -> None:
    work = demo_process.task(demo.settings.home)
    open_page()  # which has begun it
    work.write_status(message="There is no room.")
    assert "There is no room" in open_page().error[0].value


def test_what_a_visitor_began_is_known_to_its_session_only(demo: RunStore, open_page) -> None:
    mine, theirs = (open_page("train").session_state["_visitor"] for _ in range(2))
    settings = shared_demo.Settings.from_environment()
    RunStore(settings, mine).rules.note_begun("abc")
    assert RunStore(settings, mine).rules.owns("abc")
    assert not RunStore(settings, theirs).rules.owns("abc")


def test_a_visitor_trains_a_few_times(demo: RunStore, open_page) -> None:
    mine, theirs = (open_page("train").session_state["_visitor"] for _ in range(2))
    mine.spend("training")
    mine.spend("training")
    with pytest.raises(Busy, match=r"^You have asked for many runs: try again in 10 minutes"):
        mine.spend("training")
    theirs.spend("training")


@pytest.mark.parametrize("name", PAGES)
def test_a_login_is_asked_for_where_one_is_set_up(trained: RunStore, name: str) -> None:
    app = AppTest.from_file(str(ENTRY), default_timeout=30)
    app.secrets["auth"] = {"redirect_uri": "http://localhost:8501/oauth2callback"}
    if name:
        app.switch_page(f"pages/{name}.py")
    app.run()
    assert not app.exception
    assert [one.label for one in app.button] == ["Log in"]
    assert not app.file_uploader


def test_a_message_that_clears_streamlit_s_caches_clears_no_limit(demo: RunStore) -> None:
    desk = shared_demo.desk()
    st.cache_data.clear()
    st.cache_resource.clear()
    assert shared_demo.desk() is desk


def test_errors_name_no_folder_in_a_demo(demo: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    told = f"{demo.settings.home}/runs/x.json is damaged, as is /var/lib/thing.png."
    assert shared_demo.sentence(told) == markdown("…/runs/x.json is damaged, as is …/thing.png.")
    monkeypatch.delenv("COVIDCORE_DEMO")
    assert shared_demo.sentence(told) == markdown(told)


def test_a_worker_s_log_is_not_for_strangers(demo: RunStore, open_page, monkeypatch) -> None:
    assert "Log" not in [one.label for one in open_page("train").expander]
    monkeypatch.delenv("COVIDCORE_DEMO")
    assert "Log" in [one.label for one in open_page("train").expander]


def test_forged_widgets_bring_in_no_folder(
    demo: RunStore, open_page, make_dataset: MakeDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The widgets that take a path, as the page has them where it is no demo, sent to one."""
    canary = make_dataset({"a": 3, "b": 3})
    monkeypatch.delenv("COVIDCORE_DEMO")
    plain = open_page("explore")
    (path,) = (one for one in plain.text_input if one.label == "Path of the folder")
    (button,) = (one for one in plain.button if one.label == "Read the folder")
    forged = WidgetStates()
    forged.widgets.add(id=path.id, string_value=str(canary))
    forged.widgets.add(id=button.id, trigger_value=True)
    before = [info.fingerprint for info in known(demo.settings.home)]
    monkeypatch.setenv("COVIDCORE_DEMO", "1")
    app = open_page("explore")
    app._run(forged)
    assert not app.exception
    assert [info.fingerprint for info in known(demo.settings.home)] == before
    assert str(canary) not in texts(app)
    # The same two do it where they are widgets of the page.
    monkeypatch.delenv("COVIDCORE_DEMO")
    plain._run(forged)
    assert len(known(demo.settings.home)) == len(before) + 1
    shutil.rmtree(
        dataset_folder(
            demo.settings.home,
            ({one.fingerprint for one in known(demo.settings.home)} - {*before}).pop(),
        )
    )


def test_forged_weights_are_no_file_that_is_looked_at(
    demo: RunStore, open_page, tmp_path, monkeypatch
) -> None:
    secret = tmp_path / "secret.pth"
    secret.write_bytes(b"x")
    app = open_page("train")
    weights = next(one for one in app.selectbox if one.label == "Starting weights")
    looked: list[str] = []
    monkeypatch.setattr("pages.train_new.at_hand", lambda name, *_: looked.append(name))
    forged = WidgetStates()
    forged.widgets.add(id=weights.id, string_value=str(secret))
    app._run(forged)
    assert not app.exception
    assert str(secret) not in looked
    assert demo.waiting() == []
