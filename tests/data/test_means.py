"""Means of classes are what numpy makes of all pixels at once; kept; a planted corner shows."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from hypothesis.extra import numpy as arrays

from covidcore.data import means
from covidcore.data.index import Dataset, scan
from covidcore.data.means import (
    border_and_inside,
    difference,
    file_of,
    measure,
    pixel_statistics,
    stored,
)
from covidcore.data.phantoms import PhantomSpec, write
from covidcore.errors import DataError, Stopped


@settings(deadline=None, max_examples=30)
@given(arrays.arrays(np.uint8, (9, 4, 4)), some.integers(1, 9), some.integers(0, 2**20))
def test_blocks_make_no_difference(pixels: np.ndarray, block: int, seed: int) -> None:
    labels = np.random.default_rng(seed).integers(0, 3, len(pixels))
    before, means._BLOCK = means._BLOCK, block
    try:
        found = measure(pixels, labels, 3)
    finally:
        means._BLOCK = before
    np.testing.assert_array_equal(found.images, np.bincount(labels, minlength=3))
    np.testing.assert_allclose(found.brightness, pixels.mean(axis=(1, 2)))
    for number in range(3):
        mine = pixels[labels == number]
        if len(mine):
            np.testing.assert_allclose(found.mean[number], mine.mean(axis=0), atol=1e-9)
            np.testing.assert_allclose(found.deviation[number], mine.std(axis=0), atol=1e-4)
        counts = np.bincount(mine[:, ::2, ::2].ravel(), minlength=256)
        np.testing.assert_array_equal(found.levels[number], counts)


def test_sums_of_a_full_block_of_white_are_exact() -> None:
    white = np.full((300, 4, 4), 255, dtype=np.uint8)
    white[:, 0, 0] = np.arange(300) % 256
    found = measure(white, np.zeros(300, dtype=np.int64), 1)
    assert (found.mean[0, 1] == 255).all()
    assert not found.deviation[0, 1].any()
    assert found.deviation[0, 0, 0] == pytest.approx(white[:, 0, 0].std())


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, Path]:
    """Phantoms one class of which has a marker in a corner."""
    place = tmp_path_factory.mktemp("means")
    spec = PhantomSpec(images=45, size=64, signal=0.0, cue="corner", cue_share=1.0)
    return scan(write(spec, place / "set"), place / "home"), place / "home"


def test_a_planted_corner_lights_up(marked: tuple[Dataset, Path]) -> None:
    dataset, home = marked
    found = pixel_statistics(dataset, home)
    cued = [difference(found, one, [0, 1, 2]).deviations for one in range(3)]
    strongest = max(cued, key=lambda values: float(np.abs(values).max()))
    y, x = np.unravel_index(np.abs(strongest).argmax(), strongest.shape)
    side = strongest.shape[0]
    assert min(y, side - 1 - y) < side / 4 and min(x, side - 1 - x) < side / 4


def test_what_was_measured_is_read_again_and_made_anew_where_damaged(
    marked: tuple[Dataset, Path],
) -> None:
    dataset, home = marked
    first = pixel_statistics(dataset, home)
    again = stored(dataset, home)
    assert again is not None
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype
    path = file_of(dataset, home)
    whole = path.read_bytes()
    for broken in (whole[: len(whole) // 2], b"", whole[:4000] + b"\xff" * 40 + whole[4040:]):
        path.write_bytes(broken)
        assert stored(dataset, home) is None
        np.testing.assert_array_equal(pixel_statistics(dataset, home).mean, first.mean)
        assert stored(dataset, home) is not None


def test_figures_of_other_images_are_not_taken_for_these(marked: tuple[Dataset, Path]) -> None:
    dataset, home = marked
    pixel_statistics(dataset, home)
    file = file_of(dataset, home)
    fewer = type(dataset)(**{**dataset.__dict__, "index": dataset.index[:-1]})
    assert file_of(fewer, home) == file
    assert stored(fewer, home) is None


def test_stopped_work_leaves_nothing(marked: tuple[Dataset, Path], tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise Stopped("enough")

    dataset, _ = marked
    with pytest.raises(Stopped):
        pixel_statistics(dataset, tmp_path, stop)
    assert not file_of(dataset, tmp_path).exists()


def test_a_difference_is_signed_and_weighs_the_others_by_their_images() -> None:
    pixels = np.zeros((6, 2, 2), dtype=np.uint8)
    pixels[:2], pixels[2:5], pixels[5] = 100, 40, 80
    found = measure(pixels, np.array([0, 0, 1, 1, 1, 2]), 3)
    apart = difference(found, 0, [0, 1, 2])
    np.testing.assert_allclose(apart.levels, 50)
    # The others vary by their own means: 40 three times and 80 once have a variance of 300.
    np.testing.assert_allclose(apart.deviations, 50 / np.sqrt(150))
    np.testing.assert_allclose(difference(found, 1, [0]).levels, -60)
    np.testing.assert_allclose(difference(found, 1, [0]).deviations, -60)
    with pytest.raises(DataError, match="Two classes"):
        difference(found, 0, [0])
    with pytest.raises(DataError, match="Two classes"):
        difference(measure(pixels, np.zeros(6, dtype=np.int64), 2), 0, [1])


def test_border_and_inside_part_the_picture() -> None:
    values = np.zeros((40, 40))
    values[:2], values[-2:], values[:, :2], values[:, -2:] = -3, 3, 3, -3
    assert border_and_inside(values) == (3, 0)
    values = np.zeros((40, 40))
    values[2, 2] = 36 * 36
    assert border_and_inside(values) == (0, 1)
