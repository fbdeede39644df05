"""What each corruption does to a square, and that it does the same each time."""

import numpy as np
import pytest

from covidcore.evaluation.corruptions import CORRUPTIONS, corrupt


@pytest.fixture(scope="module")
def squares() -> np.ndarray:
    """Six smooth grey squares of middle brightness, one bright corner each."""
    y, x = np.mgrid[:64, :64]
    ramp = 80 + x + y / 2
    found = np.stack([ramp + 4 * number for number in range(6)]).astype(np.uint8)
    found[:, :10, :10] = 250
    return found


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_it_is_the_same_each_time_and_leaves_its_input_alone(kind: str, squares) -> None:
    before = squares.copy()
    for level in CORRUPTIONS[kind].levels:
        changed = corrupt(squares, kind, level, 3)
        assert (changed.shape, changed.dtype) == (squares.shape, np.uint8)
        assert (changed == corrupt(squares, kind, level, 3)).all()
        assert (changed != squares).any(axis=(1, 2)).all()
    assert (squares == before).all()


@pytest.mark.parametrize("kind", [name for name, one in CORRUPTIONS.items() if len(one.levels) > 1])
def test_each_level_changes_more_than_the_one_before(kind: str, squares) -> None:
    levels = CORRUPTIONS[kind].levels
    far = [np.abs(corrupt(squares, kind, at, 1) - squares.astype(float)).mean() for at in levels]
    assert far == sorted(far) and len(set(far)) == len(far)


def test_nothing_to_change_is_no_error() -> None:
    for one in CORRUPTIONS.values():
        assert corrupt(np.zeros((0, 32, 32), np.uint8), one.kind, one.levels[0]).shape == (
            0,
            32,
            32,
        )


def test_brightness_goes_both_ways_by_its_level(squares) -> None:
    change = corrupt(squares, "brightness", 0.1, 0).astype(int) - squares
    by_image = change[:, 40, 40]
    assert sorted(by_image.tolist()) == pytest.approx([-26] * 3 + [26] * 3, abs=1)
    # An image that is made lighter at one level is made lighter at every level.
    more = corrupt(squares, "brightness", 0.2, 0).astype(int) - squares
    assert (np.sign(more[:, 40, 40]) == np.sign(by_image)).all()


def test_contrast_leaves_the_mean_and_takes_the_rest(squares) -> None:
    changed = corrupt(squares, "contrast", 0.6, 0)
    assert changed.mean(axis=(1, 2)) == pytest.approx(squares.mean(axis=(1, 2)), abs=1)
    assert changed[0].std() / squares[0].std() == pytest.approx(0.4, abs=0.02)


def test_noise_has_the_deviation_it_says() -> None:
    flat = np.full((2, 100, 100), 128, np.uint8)
    assert corrupt(flat, "noise", 0.05, 0).std() == pytest.approx(0.05 * 255, rel=0.05)


def test_inversion_twice_is_nothing(squares) -> None:
    once = corrupt(squares, "inversion", 1)
    assert (once.astype(int) + squares == 255).all()
    assert (corrupt(once, "inversion", 1) == squares).all()


def test_blur_is_measured_by_the_side() -> None:
    """A line gets as wide, as a share of the picture, at any size."""
    for side in (64, 256):
        line = np.zeros((1, side, side), np.uint8)
        line[0, side // 2] = 255
        profile = corrupt(line, "blur", 2.0)[0, :, side // 2].astype(float)
        places = np.arange(side) - side // 2
        wide = np.sqrt((profile * places**2).sum() / profile.sum())
        assert wide == pytest.approx(0.02 * side, rel=0.25)


def test_rotation_and_scale_move_a_spot_as_far_as_they_say() -> None:
    spot = np.zeros((2, 101, 101), np.uint8)
    spot[:, 49:52, 79:82] = 255  # 30 to the right of the middle

    def place(square: np.ndarray) -> tuple[float, float]:
        y, x = np.nonzero(square > 60)
        return float(y.mean()) - 50, float(x.mean()) - 50

    turned = sorted(place(one) for one in corrupt(spot, "rotation", 30))
    assert turned[0] == pytest.approx((-15, 26), abs=1)
    assert turned[1] == pytest.approx((15, 26), abs=1)
    moved = sorted(place(one)[1] for one in corrupt(spot, "scale", 30))
    assert moved == pytest.approx([21, 39], abs=1)


def test_what_is_beyond_the_edge_is_black() -> None:
    smaller = corrupt(np.full((2, 60, 60), 200, np.uint8), "scale", 30)
    corners = sorted(smaller[:, 0, 0].tolist())
    assert corners == [0, 200]
    assert smaller[:, 30, 30].tolist() == [200, 200]


def test_markers_stand_in_so_many_corners_and_nowhere_else() -> None:
    dark = np.zeros((3, 64, 64), np.uint8)
    for level in (1, 2, 4):
        marked = corrupt(dark, "markers", level, 0) > 0
        corners = [marked[:, y, x] for y in (slice(0, 16), slice(48, 64))
                   for x in (slice(0, 16), slice(48, 64))]  # fmt: skip
        assert sum(one.any(axis=(1, 2)).astype(int) for one in corners).tolist() == [level] * 3
        assert not marked[:, 16:48].any() and not marked[:, :, 16:48].any()


def test_jpeg_keeps_the_picture_and_blocks_it() -> None:
    rng = np.random.default_rng(0)
    rough = rng.integers(100, 156, (1, 64, 64)).astype(np.uint8)
    changed = corrupt(rough, "JPEG", 5)
    assert abs(changed.mean() - rough.mean()) < 3
    assert changed.std() < rough.std() / 2
