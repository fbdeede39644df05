"""Planted oddities are listed, each under its rule; ordinary phantoms are not."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from covidcore.data.audit_orientation import orientation, unframed
from covidcore.data.audit_pictures import RULES, look, outliers
from covidcore.data.duplicates import thumbnail
from covidcore.data.index import Dataset, scan
from covidcore.data.phantoms import PhantomSpec, write
from covidcore.data.pixels import pixel_array

ODD: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "blank": lambda image: np.full_like(image, 90),
    "too_dark": lambda image: image // 8,
    "too_bright": lambda image: 235 + image // 13,
    "inverted": lambda image: 255 - image,
    "rotated": lambda image: np.ascontiguousarray(np.rot90(image)),
    "colour": lambda image: np.stack([image, image // 2, image // 3], axis=2),
    "odd_shape": lambda image: np.hstack([image, image]),
    "small": lambda image: np.ascontiguousarray(image[::3, ::3]),
}


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[str]]]:
    """40 phantoms, one odd in each way, and the file of each."""
    folder = write(PhantomSpec(images=40, size=128), tmp_path_factory.mktemp("odd") / "set")
    files = sorted(folder.glob("NORMAL/images/*.png"))
    where = {}
    for file, (rule, change) in zip(files, ODD.items(), strict=False):
        Image.fromarray(change(np.asarray(Image.open(file)))).save(file)
        where[rule] = [file.relative_to(folder).as_posix()]
    return folder, where


def audited(folder: Path, home: Path) -> tuple[Dataset, dict[str, list[str]]]:
    dataset = scan(folder, home)
    found = outliers(dataset, look(pixel_array(dataset, 224, home)))
    assert {one["rule"] for one in found} <= set(RULES)
    return dataset, {
        rule: [one["file"] for one in found if one["rule"] == rule]
        for rule in RULES
        if any(one["rule"] == rule for one in found)
    }


def test_each_odd_picture_is_listed_under_its_rule_and_no_other_is(
    planted: tuple[Path, dict[str, list[str]]], home: Path
) -> None:
    folder, where = planted
    _, found = audited(folder, home)
    # Two chests side by side are unlike one chest: that is said as well.
    assert set(found.pop("unlike", [])) <= set(where["odd_shape"])
    assert found == where


def test_ordinary_phantoms_are_in_order(phantoms: Path, home: Path) -> None:
    assert audited(phantoms, home)[1] == {}


def test_grey_stored_as_colour_is_not_coloured(tmp_path: Path, home: Path) -> None:
    folder = write(PhantomSpec(images=12, size=64), tmp_path / "set")
    for file in folder.glob("*/images/*.png"):
        Image.open(file).convert("RGB").save(file)
    dataset, found = audited(folder, home)
    assert set(dataset.index["mode"]) == {"RGB"}
    assert "colour" not in found


@pytest.fixture(scope="module")
def levels(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """Thumbnails of 90 phantoms, (90, 16, 16)."""
    spec = PhantomSpec(images=90, size=64, seed=7)
    folder = write(spec, tmp_path_factory.mktemp("upright") / "set")
    files = sorted(folder.glob("*/images/*.png"))
    rows = [np.frombuffer(thumbnail(np.asarray(Image.open(file))), np.uint8) for file in files]
    return np.stack(rows).reshape(-1, 16, 16)


def listed(rule: str, levels: np.ndarray, change: Callable[[np.ndarray], np.ndarray]) -> list[bool]:
    """Whether each of 40 pictures is listed when it is changed, four at a time; others never."""
    found = []
    for start in range(0, 40, 4):
        changed = levels.copy()
        changed[start : start + 4] = change(levels[start : start + 4])
        rows = orientation(changed, np.ones(len(levels), bool))[rule][0]
        found += rows[start : start + 4].tolist()
        assert rows.sum() == rows[start : start + 4].sum()
    return found


@pytest.mark.parametrize(("turns", "least"), [(1, 34), (2, 32), (3, 34)])
def test_most_turned_phantoms_are_found(levels: np.ndarray, turns: int, least: int) -> None:
    found = listed("rotated", levels, lambda some: np.rot90(some, turns, axes=(1, 2)))
    assert sum(found) >= least


def test_most_negatives_are_found(levels: np.ndarray) -> None:
    assert sum(listed("inverted", levels, lambda some: 255 - some)) >= 36


def test_pictures_of_anything_have_no_typical_one() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (50, 16, 16), dtype=np.uint8)
    for usable in (np.ones(50, bool), np.zeros(50, bool)):
        assert not any(rows.any() for rows, _ in orientation(noise, usable).values())
    flat = np.full((5, 16, 16), 7, np.uint8)
    assert not any(rows.any() for rows, _ in orientation(flat, np.ones(5, bool)).values())


def test_frames_are_cut_off(levels: np.ndarray) -> None:
    inner = np.asarray(Image.fromarray(levels[0]).resize((13, 11), Image.Resampling.BOX))
    inner = np.maximum(inner, 40)
    for frame in (0, 255):
        framed = np.full((1, 16, 16), frame, np.uint8)
        framed[0, 5:, 3:] = inner
        expected = Image.fromarray(inner).resize((16, 16), Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(unframed(framed)[0], np.asarray(expected))
    np.testing.assert_array_equal(unframed(np.maximum(levels, 13)), np.maximum(levels, 13))
    black = np.zeros((1, 16, 16), np.uint8)
    np.testing.assert_array_equal(unframed(black), black)


def test_one_look_reads_every_image_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (11, 64, 64), dtype=np.uint8)
    seen: list[tuple[int, int]] = []
    monkeypatch.setattr("covidcore.data.audit_pictures._CHUNK", 4)
    found = look(pixels, lambda done, total: seen.append((done, total)))
    assert seen == [(4, 11), (8, 11), (11, 11)]
    np.testing.assert_allclose(found.mean, pixels.mean(axis=(1, 2)), rtol=1e-5)
    assert found.spread.shape == (11,) and found.border.shape == (11, 112)
