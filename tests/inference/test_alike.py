"""The images most alike in feature space, and the file that keeps the features."""

from pathlib import Path

import numpy as np
import pytest

from covidcore.inference import alike
from covidcore.inference.alike import Alike


@pytest.fixture
def found() -> Alike:
    """Three groups of directions on a large common part, as features after a ReLU have."""
    noise = np.random.default_rng(0)
    centres = np.eye(3, 16, dtype=np.float32)
    rows = np.repeat(centres, 10, axis=0) + noise.normal(0, 0.02, (30, 16))
    return Alike(tuple(f"{at}.png" for at in range(30)), (rows + 5).astype(np.float32))


def test_the_nearest_are_of_the_same_kind_the_nearest_first(found: Alike) -> None:
    asked = 5 + np.eye(3, 16, dtype=np.float32)[1]
    near = found.nearest(asked, 10)
    assert {int(file.removesuffix(".png")) // 10 for file, _ in near} == {1}
    likeness = [value for _, value in near]
    assert likeness == sorted(likeness, reverse=True)
    assert 0.8 < likeness[-1] <= likeness[0] <= 1
    every = dict(found.nearest(asked, 30))
    assert max(every[f"{at}.png"] for at in range(10)) < 0  # plain cosines would be near 1


def test_an_image_is_most_like_itself(found: Alike) -> None:
    for at in (0, 7, 29):
        (file, likeness), *_ = found.nearest(found.features[at], 1)
        assert file == f"{at}.png" and likeness == pytest.approx(1, abs=1e-5)


def test_what_is_kept_comes_back_for_that_checkpoint_alone(found: Alike, tmp_path: Path) -> None:
    assert alike.stored(tmp_path, "abc") is None
    alike.save(tmp_path, found, "abc")
    back = alike.stored(tmp_path, "abc")
    assert back is not None and back.files == found.files
    assert np.abs(back.features - found.features).max() < 0.01
    assert alike.stored(tmp_path, "abd") is None


def test_a_damaged_file_is_none(found: Alike, tmp_path: Path) -> None:
    alike.save(tmp_path, found, "abc")
    file = tmp_path / alike.FILE
    whole = file.read_bytes()
    for broken in (b"", whole[:40], whole[:-7], b"\0" * len(whole)):
        file.write_bytes(broken)
        assert alike.stored(tmp_path, "abc") is None


def test_many_images_are_walked_through_evenly() -> None:
    files = [f"{at}" for at in range(10)]
    assert alike.chosen(files) == files
    assert alike.chosen(files, 5) == ["0", "2", "4", "6", "8"]
