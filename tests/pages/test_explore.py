"""The explore page: its views, the filters in the link, one image in full, and hostile names."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from covidcore.config import Settings
from covidcore.data.audit import audit
from covidcore.data.index import Dataset, dataset_folder, scan
from covidcore.data.means import file_of
from covidcore.data.phantoms import PhantomSpec, write
from covidcore.data.sources import resolve
from tests.pages.conftest import click, texts
from tests.pictures import picture

MARKUP = ("**bold**", ":red[", "![t]", "[link]", "$x$", "<b>", "\u202e")


def flat(folder: Path, sizes: tuple[int, ...] = (48,)) -> Path:
    """Two classes of four images, without masks or sources, of these sizes in turn."""
    for number in range(8):
        file = folder / "ab"[number % 2] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(number, sizes[number % len(sizes)])).save(file)
    return folder


def tile_names(app) -> list[str]:
    """The names below the pictures of the gallery, in order."""
    tiles = (one for one in app.button if str(one.key).startswith("gallery-"))
    return [one.label.replace("\\", "") for one in tiles]


def said(app) -> str:
    """All that a person can read of Markdown: text, captions, labels of buttons."""
    captions = [one.caption for image in app.get("image") for one in image.proto.imgs]
    return "\n".join([texts(app), *(one.label for one in app.button), str(captions)])


def counted(app) -> str:
    """The sentence that says how many images the filters leave."""
    return next(one.value for one in app.markdown if one.value.startswith("**"))


@pytest.fixture
def phantoms_here(trained) -> Dataset:
    return resolve("phantoms:60", trained.settings)


def test_overview_counts_by_class_source_and_set(trained, phantoms_here, open_page) -> None:
    app = open_page("explore")
    assert [metric.value for metric in app.metric][:2] == ["60", "3"]
    alts = " ".join(str(one.proto) for one in app.get("plotly_chart"))
    index = phantoms_here.index
    for name, count in index["label"].value_counts().items():
        assert f"{name} {count}" in alts
    for name in ("Hospital A", "Training", "Test"):
        assert f"{name}:" in alts
    assert len(app.get("image")) == 12


def test_a_class_too_small_to_be_split_is_told_and_the_rest_is_shown(
    home: Path, open_page, tmp_path: Path
) -> None:
    folder = flat(tmp_path / "few")
    for file in sorted((folder / "b").iterdir())[1:]:
        file.unlink()
    resolve(str(folder), Settings(home=home))
    app = open_page("explore")
    assert "a split into training, validation and test" in app.error[0].value
    assert app.metric[0].value == "5"
    app = open_page("explore", view="Images")
    assert not app.error
    assert app.selectbox(key="split").options == ["All sets"]


def test_filters_narrow_and_are_cleared(trained, phantoms_here, open_page) -> None:
    index = phantoms_here.index
    app = open_page("explore", view="Images")
    assert counted(app) == "**60** images"
    assert len(tile_names(app)) == 24
    app.selectbox(key="class").set_value("NORMAL").run()
    app.selectbox(key="source").set_value("Hospital B").run()
    assert not app.exception
    files = index["file"][(index["label"] == "NORMAL") & (index["source"] == "Hospital B")]
    assert tile_names(app) == [file.rpartition("/")[2] for file in files]
    assert counted(app) == f"**{len(files)}** of 60 images"
    click(app, "Clear the filters")
    assert counted(app) == "**60** images"


def test_the_sets_of_a_run_can_be_looked_at(trained, phantoms_here, open_page) -> None:
    run = trained.find("latest")
    dealt = trained.split(run)
    app = open_page("explore", view="Images")
    app.selectbox(key="dealt").set_value(run).run()
    app.selectbox(key="split").set_value("test").run()
    assert not app.exception
    expected = sorted(dealt["file"][dealt["split"] == "test"])
    assert tile_names(app) == [file.rpartition("/")[2] for file in expected][:24]


def test_a_link_opens_the_filters_and_the_page_it_names(trained, phantoms_here, open_page) -> None:
    index = phantoms_here.index
    files = index["file"][index["source"] == "Hospital A"]
    link = {"view": "Images", "source": "Hospital A", "page": "2"}
    assert len(files) > 24
    assert tile_names(open_page("explore", **link)) == [
        file.rpartition("/")[2] for file in files[24:48]
    ]
    wrong = {"view": "Nothing", "class": "gone", "page": "999", "size": "x", "finding": "Blank"}
    assert open_page("explore", **wrong).metric[0].value == "60"
    assert counted(open_page("explore", **wrong | {"view": "Images"})) == "**60** images"


def test_another_filter_begins_at_the_first_page(trained, phantoms_here, open_page) -> None:
    app = open_page("explore", view="Images", page="2")
    assert len(tile_names(app)) == 24
    app.selectbox(key="source").set_value("Hospital A").run()
    index = phantoms_here.index
    files = index["file"][index["source"] == "Hospital A"]
    assert len(files) > 24  # there is a second page, which is not shown
    assert tile_names(app)[0] == files.iloc[0].rpartition("/")[2]


def test_an_image_opens_goes_on_and_back(trained, phantoms_here, open_page) -> None:
    index = phantoms_here.index
    normal = index["file"][index["label"] == "NORMAL"].tolist()
    app = open_page("explore", **{"view": "Images", "class": "NORMAL"})
    app.button(key=f"gallery-{index.index[index['file'] == normal[0]][0]}").click().run()
    assert not app.exception
    assert app.query_params["image"] == normal[0]
    assert f"1 of {len(normal)}" in texts(app)
    assert app.button(key="previous").disabled
    click(app, "Next")
    assert app.query_params["image"] == normal[1]
    assert normal[1] in [one.value.replace("\\", "") for one in app.subheader]
    click(app, "All images")
    assert "image" not in app.query_params
    assert counted(app) == f"**{len(normal)}** of 60 images"


def test_going_back_leads_to_the_page_of_the_image(trained, phantoms_here, open_page) -> None:
    file = phantoms_here.index["file"][30]
    app = open_page("explore", view="Images", image=file)
    click(app, "All images")
    assert file.rpartition("/")[2] in tile_names(app)


def test_an_image_in_full_with_its_row_mask_and_neighbours(
    trained, phantoms_here, open_page
) -> None:
    one = phantoms_here.index.loc[4]
    app = open_page("explore", view="Images", image=one["file"])
    facts = dict(app.dataframe[0].value.to_numpy().tolist())
    assert facts["class"] == one["label"]
    assert facts["patient"] == one["group"]
    assert facts["file SHA-256"] == one["sha256"]
    assert facts["mask"] == one["mask"]
    assert "with the outline of its lung mask" in str(app.get("image")[0].proto)
    assert "The mask covers" in texts(app)
    app.toggle(key="outline").set_value(False).run()
    assert "with the outline" not in str(app.get("image")[0].proto)
    assert "Most similar images" in [one.value for one in app.subheader]
    assert len(app.get("image")) == 1 + 8
    assert app.get("plotly_chart")


def test_augmentation_is_shown_only_when_asked_for(trained, phantoms_here, open_page) -> None:
    file = phantoms_here.index["file"][0]
    app = open_page("explore", view="Images", image=file, augmented="true")
    shown = [str(image.proto) for image in app.get("image")]
    assert sum("varied, " in one for one in shown) == 8
    first = [one for one in shown if "varied, 1" in one]
    app.number_input(key="augment_seed").set_value(5).run()
    assert not app.exception
    again = [str(image.proto) for image in app.get("image")]
    assert [one for one in again if "varied, 1" in one] != first


def test_an_image_that_is_not_there_is_told_and_the_gallery_shown(
    trained, phantoms_here, open_page
) -> None:
    app = open_page("explore", view="Images", image="NORMAL/**gone**.png")
    assert "There is no image" in app.warning[-1].value
    assert "**gone**" not in app.warning[-1].value
    assert len(tile_names(app)) == 24


def test_copies_and_findings_of_an_audit(home: Path, open_page, tmp_path: Path) -> None:
    spec = PhantomSpec(images=30, size=64, duplicates=2, near_duplicates=2)
    dataset = scan(write(spec, tmp_path / "set"), home)
    app = open_page("explore", view="Images")
    assert app.selectbox(key="finding").disabled
    app.selectbox(key="copies").set_value("exact").run()
    exact = dataset.index["file"][dataset.index["pixel_sha256"].duplicated(keep=False)]
    assert sorted(tile_names(app)) == sorted(file.rpartition("/")[2] for file in exact)
    group = app.selectbox(key="group")
    assert len(group.options) == 3
    group.select_index(1).run()
    assert not app.exception
    first, second = tile_names(app)
    of_file = dataset.index.set_index(dataset.index["file"].str.rpartition("/")[2])["pixel_sha256"]
    assert of_file[first] == of_file[second]
    audit(dataset, home)
    app = open_page("explore", view="Images", finding="Exact copies")
    assert len(tile_names(app)) == len(exact)
    row = int(np.flatnonzero(dataset.index["pixel_sha256"].duplicated(keep=False))[0])
    app = open_page("explore", view="Images", image=dataset.index["file"][row])
    facts = dict(app.dataframe[0].value.to_numpy().tolist())
    assert "Exact copies" in facts["findings"]
    assert "Copies (1)" in [one.value for one in app.subheader]
    assert "exact copy" in texts(app)


def test_a_dataset_without_masks_or_sources_of_one_size(
    home: Path, open_page, tmp_path: Path
) -> None:
    dataset = resolve(str(flat(tmp_path / "bare")), Settings(home=home))
    app = open_page("explore", view="Images", source="not stated")
    assert len(tile_names(app)) == 8
    assert not app.slider
    app = open_page("explore", view="Images", image=dataset.index["file"][0])
    assert dict(app.dataframe[0].value.to_numpy().tolist())["mask"] == "none"
    assert not [one for one in app.toggle if one.key == "outline"]


def test_sizes_can_be_narrowed(home: Path, open_page, tmp_path: Path) -> None:
    folder = flat(tmp_path / "sizes", (48, 64, 80))
    dataset = resolve(str(folder), Settings(home=home))
    app = open_page("explore", view="Images")
    app.slider(key="size").set_value((60, 80)).run()
    assert not app.exception
    fits = dataset.index["file"][dataset.index["width"] >= 60]
    assert tile_names(app) == [file.rpartition("/")[2] for file in fits]
    click(app, "Clear the filters")
    assert len(tile_names(app)) == 8


def test_files_that_broke_since_the_scan(home: Path, open_page, tmp_path: Path) -> None:
    dataset = resolve(str(flat(tmp_path / "breaks")), Settings(home=home))
    for kept in dataset_folder(home, dataset.fingerprint).glob("pixels-*.npy"):
        kept.unlink()
    (dataset.root / "a/0.png").write_bytes(b"no image any more")
    Image.fromarray(picture(90)).save(dataset.root / "b/1.png")
    app = open_page("explore", view="Images")
    assert len(tile_names(app)) == 8
    assert len(app.get("image")) == 6
    assert texts(app).count("can not be read any more") == 2
    app = open_page("explore", view="Images", image="a/0.png")
    assert "can not be shown" in app.error[0].value
    assert app.dataframe[0].value is not None
    app = open_page("explore", view="Images", image="b/1.png")
    assert "has changed since the dataset was scanned" in app.warning[0].value
    for view in ("Overview", "Means"):
        app = open_page("explore", view=view)
        assert "scan" in app.error[-1].value


def test_means_are_shown_compared_and_kept(trained, phantoms_here, open_page) -> None:
    app = open_page("explore", view="Means")
    assert len(app.get("image")) == 3
    assert file_of(phantoms_here, trained.settings.home).is_file()
    before = app.metric[0].value
    assert before.endswith(" SD")
    app.selectbox(key="mean_minus").set_value("NORMAL").run()
    assert not app.exception
    assert "NORMAL" in str(app.get("plotly_chart")[0].proto)
    app = open_page("explore", view="Means", mean_of="NORMAL", mean_scale="Grey levels")
    assert app.metric[0].value.endswith(" grey levels")
    assert app.selectbox(key="mean_minus").options[0] == "All other classes"
    assert "NORMAL" not in app.selectbox(key="mean_minus").options


def test_markup_in_names_is_shown_letter_by_letter(home: Path, open_page, tmp_path: Path) -> None:
    folder = tmp_path / "<b>data"
    names = {"**bold** :red[x]": "![t](b).png", "$x$\u202e": "[link](c).png"}
    for number, (label, file) in enumerate(names.items()):
        (folder / label).mkdir(parents=True)
        for copy in range(3):
            Image.fromarray(picture(10 * number + copy)).save(folder / label / f"{copy}{file}")
    dataset = resolve(str(folder), Settings(home=home))
    links = (
        *({"view": view} for view in ("Overview", "Images", "Means")),
        *({"view": "Images", "image": file} for file in dataset.index["file"][[0, 5]]),
    )
    for link in links:
        seen = said(open_page("explore", **link))
        assert not [markup for markup in MARKUP if markup in seen], link
