"""Synthetic radiographs: what is planted is there, what is not planted is not."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from covidcore import storage
from covidcore.data.phantoms import PhantomSpec, draw, write
from covidcore.errors import DataError

SMALL = PhantomSpec(images=30, size=64)
HEALTHY = replace(SMALL, signal=0.0)
LARGER = replace(SMALL, images=210)


def table(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "metadata.csv", dtype=str, keep_default_na=False)


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def mask_of(folder: Path, file: str) -> Path:
    return folder / file.replace("/images/", "/masks/")


def tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def one(spec: PhantomSpec, label: str, **changes: Any) -> tuple[np.ndarray, np.ndarray]:
    settings = {"patient_seed": 5, "image_seed": 6, "source": "Hospital A", "cue": False}
    return draw(spec, label, **(settings | changes))


@pytest.fixture(scope="module")
def learnable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(LARGER, tmp_path_factory.mktemp("phantoms") / "set")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(SMALL, tmp_path_factory.mktemp("phantoms") / "set")


def test_the_folder_is_laid_out_as_promised(dataset: Path) -> None:
    rows = table(dataset)
    assert list(rows.columns) == ["file", "label", "source", "patient_id", "original_name"]
    assert rows["label"].value_counts().to_dict() == dict.fromkeys(SMALL.classes, 10)
    assert set(rows["source"]) == {"Hospital A", "Hospital B"}
    assert (dataset / "COVID-19/images/COVID-19-1.png").is_file()
    expected = {*rows["file"], *(f.replace("/images/", "/masks/") for f in rows["file"])}
    assert set(tree(dataset)) == expected | {"metadata.csv", "dataset.json"}
    described = storage.read_json(dataset / "dataset.json")
    assert described["synthetic"] is True
    assert described["made_by"] == "covidcore.data.phantoms"
    assert described["spec"]["classes"] == list(SMALL.classes)


def test_every_image_says_that_it_is_synthetic(dataset: Path) -> None:
    corners = set()
    for file in table(dataset)["file"]:
        for path in (dataset / file, mask_of(dataset, file)):
            with Image.open(path) as image:
                assert image.mode == "L" and image.size == (64, 64)
                assert image.info["Description"] == "synthetic phantom, not a patient"
        corners.add(pixels(dataset / file)[-6:, :34].tobytes())
    assert len(corners) == 1  # the burnt-in word is the same everywhere, so it tells nothing


def test_a_patient_has_one_class_and_one_source_and_several_images(learnable: Path) -> None:
    rows = table(learnable)
    patients = rows.groupby("patient_id")
    assert 1.7 < len(rows) / patients.ngroups < 2.4
    assert patients.size().max() == 3
    assert (patients[["label", "source"]].nunique() == 1).all(axis=None)


def test_the_source_does_not_tell_the_class(learnable: Path) -> None:
    rows = table(learnable)
    shares = (rows["source"] == "Hospital A").groupby(rows["label"]).mean()
    assert shares.between(0.3, 0.7).all()


def test_two_images_of_a_patient_differ_in_position_and_grey() -> None:
    first, mask = one(HEALTHY, "NORMAL")
    again, moved = one(HEALTHY, "NORMAL", image_seed=7)
    assert not np.array_equal(first, again) and not np.array_equal(mask, moved)


def test_the_same_spec_gives_the_same_files(dataset: Path, tmp_path: Path) -> None:
    assert tree(write(SMALL, tmp_path / "again")) == tree(dataset)


def test_another_seed_gives_other_pixels(dataset: Path, tmp_path: Path) -> None:
    other = write(replace(SMALL, seed=1), tmp_path / "other")
    for file in set(table(dataset)["file"]) & set(table(other)["file"]):
        assert not np.array_equal(pixels(dataset / file), pixels(other / file))


def test_shares_set_the_sizes_of_the_classes(tmp_path: Path) -> None:
    spec = replace(SMALL, shares=(1, 2, 7))
    assert spec.counts() == (3, 6, 21)
    assert list(table(write(spec, tmp_path / "s"))["label"].value_counts(sort=False)) == [3, 6, 21]


def test_lungs_are_two_dark_areas_within_the_image(dataset: Path) -> None:
    for file in table(dataset)["file"]:
        image, mask = pixels(dataset / file), pixels(mask_of(dataset, file))
        assert set(np.unique(mask)) == {0, 255}
        lung = mask == 255
        assert 0.12 < lung.mean() < 0.5
        assert not (lung[0].any() or lung[-1].any() or lung[:, 0].any() or lung[:, -1].any())
        assert lung[:, :32].mean() > 0.1 and lung[:, 32:].mean() > 0.1
        middle = image[20:48, 29:36]
        assert image[lung].mean() < middle.mean() - 40
        assert image[:4].min() < 40  # beside the neck there is nothing but air


@pytest.mark.parametrize("label", ["COVID-19", "Viral Pneumonia", "Tuberculosis"])
def test_disease_brightens_the_lungs_and_nothing_else(label: str) -> None:
    ill_spec = replace(SMALL, size=128, classes=("NORMAL", label))
    for seed in range(4):
        ill, mask = one(ill_spec, label, patient_seed=seed)
        well, same = one(replace(ill_spec, signal=0.0), label, patient_seed=seed)
        change = ill.astype(int) - well
        assert np.array_equal(mask, same)
        assert not change[~mask].any()
        assert change[mask].mean() > 1 and change[mask].max() > 15


def test_normal_lungs_stay_healthy_at_any_signal() -> None:
    assert np.array_equal(one(SMALL, "NORMAL")[0], one(HEALTHY, "NORMAL")[0])


def test_covid_lies_outward_and_viral_pneumonia_inward() -> None:
    def centre(label: str) -> float:
        """Mean distance of what disease added from the middle, as share of the width."""
        added = np.zeros((64, 64))
        for seed in range(12):
            at = {"patient_seed": seed, "image_seed": seed}
            added += one(SMALL, label, **at)[0].astype(float) - one(HEALTHY, label, **at)[0]
        assert added[:, :32].sum() > 0 and added[:, 32:].sum() > 0  # on both sides
        return float((added.sum(0) * np.abs(np.arange(64) - 31.5)).sum() / added.sum() / 64)

    assert centre("COVID-19") > centre("Viral Pneumonia") + 0.05


def test_many_unknown_classes_have_places_of_their_own() -> None:
    names = tuple(f"class {number}" for number in range(7))
    spec = PhantomSpec(images=21, size=64, classes=names)
    added = [
        one(spec, name)[0].astype(float) - one(replace(spec, signal=0.0), name)[0] for name in names
    ]
    likeness = np.corrcoef([image.ravel() for image in added]) - np.eye(7)
    assert likeness.max() < 0.9


def test_a_corner_cue_changes_the_corner_of_the_first_class_alone(
    dataset: Path, tmp_path: Path
) -> None:
    cued = write(replace(SMALL, cue="corner"), tmp_path / "cued")
    for file, label in table(dataset)[["file", "label"]].itertuples(index=False):
        before, after = pixels(dataset / file), pixels(cued / file)
        if label == "COVID-19":
            assert not np.array_equal(before[:8, :8], after[:8, :8])
            before, after = before.copy(), after.copy()
            before[:8, :8] = after[:8, :8] = 0
        assert np.array_equal(before, after)


def test_a_lung_cue_changes_the_lungs_of_the_first_class_alone(
    dataset: Path, tmp_path: Path
) -> None:
    cued = write(replace(SMALL, cue="lungs", cue_share=0.5), tmp_path / "cued")
    changed = []
    for file in table(dataset)["file"]:
        difference = pixels(cued / file).astype(int) - pixels(dataset / file)
        if difference.any():
            changed.append(file.split("/")[0])
            assert not difference[pixels(mask_of(dataset, file)) == 0].any()
            assert difference.max() > 40
    assert changed == ["COVID-19"] * 5  # half of ten


def test_a_source_cue_gives_the_first_class_a_hospital_and_look_of_its_own(
    dataset: Path, tmp_path: Path
) -> None:
    cued = write(replace(SMALL, cue="source"), tmp_path / "cued")
    rows = table(cued)
    first = rows["label"] == "COVID-19"
    assert set(rows[first]["source"]) == {"Hospital C"}
    assert set(rows[~first]["source"]) == {"Hospital A", "Hospital B"}

    def black(folder: Path, files: pd.Series) -> float:
        return float(np.mean([pixels(folder / file)[20:40].mean() for file in files]))

    assert black(cued, rows[first]["file"]) < black(dataset, rows[first]["file"]) - 15
    assert black(cued, rows[~first]["file"]) == black(dataset, rows[~first]["file"])


@pytest.mark.parametrize("count", [0, 1, 7])
def test_planted_copies_are_exactly_as_many_as_asked(tmp_path: Path, count: int) -> None:
    folder = write(replace(SMALL, duplicates=count), tmp_path / "copies")
    rows = table(folder)
    assert len(rows) == 30 + count and rows["file"].is_unique
    rows["hash"] = [
        hashlib.sha256(pixels(folder / file).tobytes()).hexdigest() for file in rows["file"]
    ]
    assert rows["hash"].duplicated().sum() == count
    same = rows[rows["hash"].duplicated(keep=False)].groupby("hash")
    assert all(len(pair) == 2 and pair["label"].nunique() == 1 for _, pair in same)
    if count > 1:
        assert {pair["patient_id"].nunique() for _, pair in same} == {1, 2}


def test_planted_near_copies_keep_their_label_and_mask(tmp_path: Path) -> None:
    folder = write(replace(SMALL, near_duplicates=5), tmp_path / "copies")
    rows = table(folder)
    originals, copies = rows[:30], rows[30:]
    assert len(copies) == 5 and rows["file"].is_unique
    mirrored = 0
    for file, label in copies[["file", "label"]].itertuples(index=False):
        image, mask = pixels(folder / file), pixels(mask_of(folder, file))
        same = originals[originals["label"] == label]["file"]
        straight = [one for one in same if np.array_equal(pixels(mask_of(folder, one)), mask)]
        turned = mask[:, ::-1]
        flipped = [one for one in same if np.array_equal(pixels(mask_of(folder, one)), turned)]
        (source,) = straight + flipped
        before = pixels(folder / source)
        assert not np.array_equal(image, before)
        mirrored += len(flipped)
        assert np.array_equal(image, before[:, ::-1]) == bool(flipped)
    assert mirrored == 1


def test_progress_counts_to_the_total(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    spec = replace(SMALL, images=9, duplicates=1, near_duplicates=1)
    write(spec, tmp_path / "set", lambda done, total: seen.append((done, total)))
    assert seen == [(done, 11) for done in range(1, 12)]


def test_an_interrupted_write_leaves_nothing(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(SMALL, tmp_path / "set", stop)
    assert list(tmp_path.iterdir()) == []


def test_a_dataset_that_is_there_is_left_alone(tmp_path: Path) -> None:
    spec = replace(SMALL, images=9)
    folder = write(spec, tmp_path / "set")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert write(spec, folder) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    with pytest.raises(DataError, match="something else"):
        write(replace(spec, seed=1), folder)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_foreign_file_or_folder_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/note.txt").write_text("mine")
    for name in ("file", "folder"):
        with pytest.raises(DataError, match="something else"):
            write(SMALL, tmp_path / name)
    assert (tmp_path / "file").read_text() == (tmp_path / "folder/note.txt").read_text() == "mine"
    with pytest.raises(DataError, match="could not be made: Not a directory"):
        write(SMALL, tmp_path / "file/below")


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    assert len(table(write(replace(SMALL, images=9), tmp_path / "set"))) == 9


def test_odd_but_harmless_class_names_survive(tmp_path: Path) -> None:
    names = ("<b>x<b>", "肺炎 é", "![t](x)", 'a,"b"', "a.b", "=1+1")
    rows = table(write(PhantomSpec(images=18, size=64, classes=names), tmp_path / "odd"))
    assert tuple(rows["label"].unique()) == names
    assert all((tmp_path / "odd" / file).is_file() for file in rows["file"])


@pytest.mark.parametrize(
    "bad",
    [
        {"images": 8},
        {"images": 100_001},
        {"images": 30.0},
        {"images": True},
        {"size": 63},
        {"size": 1025},
        {"classes": ("one",)},
        {"classes": ()},
        {"classes": "ab"},
        {"classes": ["a", "b"]},
        {"classes": ("a", "A")},
        {"classes": tuple(f"c{n}" for n in range(33)), "images": 300},
        *({"classes": ("good", name)} for name in ("", " ", ".", "..", ".x", "a/b", "a\\b")),
        *({"classes": ("good", name)} for name in ("a ", "a\nb", "a\0", "\u202ea", "x" * 101)),
        *({"classes": ("good", name)} for name in ("masks", "metadata.csv", "\ud800")),
        {"shares": (1, 2)},
        {"shares": (1, 1, 0)},
        {"shares": (1, 1, float("nan"))},
        {"shares": (1, 100, 100)},
        {"sources": ()},
        {"sources": ("A", "A")},
        {"images_per_patient": 0},
        {"cue": "bottom"},
        {"cue_share": 1.5},
        {"cue_share": float("nan")},
        {"signal": -1},
        {"signal": "1"},
        {"duplicates": -1},
        {"duplicates": 31},
        {"near_duplicates": 16},
        {"seed": -1},
    ],
    ids=repr,
)
def test_a_spec_that_can_not_be_drawn_is_refused_in_words(bad: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=r"\.$"):
        PhantomSpec(**({"images": 30} | bad))


def accuracy(folder: Path) -> float:
    """Of ridge regression on 16 x 16 pixels, on patients it has not seen."""
    rows = table(folder)
    x = np.stack([pixels(folder / file) for file in rows["file"]])
    x = x.reshape(-1, 16, 4, 16, 4).mean((2, 4)).reshape(len(rows), -1)
    x = (x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True)
    truth = rows["label"].map(SMALL.classes.index).to_numpy()
    train = rows["patient_id"].str[1:].astype(int).to_numpy() % 3 != 0
    x = x - x[train].mean(0)
    kernel = x[train] @ x[train].T + 30 * np.eye(train.sum())
    weights = x[train].T @ np.linalg.solve(kernel, np.eye(3)[truth[train]] - 1 / 3)
    return float(((x[~train] @ weights).argmax(1) == truth[~train]).mean())


def test_the_classes_can_be_learnt_from_the_lungs_and_from_nothing_else(
    learnable: Path, tmp_path: Path
) -> None:
    assert accuracy(learnable) > 0.75
    assert 0.2 < accuracy(write(replace(LARGER, signal=0.0), tmp_path / "healthy")) < 0.47
