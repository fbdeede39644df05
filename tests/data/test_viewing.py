"""One image in full: its pixels and levels, its mask's outline, and what a broken file leads to."""

import numpy as np
import pytest

from covidcore.data.index import scan
from covidcore.data.viewing import LARGEST, OUTLINE, mask, outlined, view
from covidcore.errors import DataError
from tests.hostile import saved
from tests.pictures import picture


def test_an_image_is_shown_as_it_is_with_all_its_levels(make_dataset, home) -> None:
    dataset = scan(make_dataset(), home)
    seen = view(dataset, 2)
    assert seen.pixels.shape == (48, 48)
    np.testing.assert_array_equal(seen.levels, np.bincount(seen.pixels.ravel(), minlength=256))
    assert not seen.changed


def test_a_large_image_is_reduced_but_all_its_pixels_are_counted(make_dataset, home) -> None:
    folder = make_dataset()
    (folder / "a/large.png").write_bytes(saved(picture(70, 600, 2 * LARGEST)))
    dataset = scan(folder, home)
    row = dataset.index.index[dataset.index["file"] == "a/large.png"][0]
    seen = view(dataset, row)
    assert seen.pixels.shape == (300, LARGEST)
    assert seen.levels.sum() == 600 * 2 * LARGEST


def test_a_changed_a_broken_and_a_missing_file(make_dataset, home) -> None:
    dataset = scan(make_dataset(), home)
    file = dataset.root / dataset.index["file"][0]
    file.write_bytes(saved(picture(80)))
    assert view(dataset, 0).changed
    file.write_bytes(b"no image")
    with pytest.raises(DataError, match=r"a/a-1.png can not be shown\. "):
        view(dataset, 0)
    file.unlink()
    with pytest.raises(DataError, match=r"a/a-1.png can not be shown\. This file is not there"):
        view(dataset, 0)


def test_masks_where_they_are_linked(make_dataset, home) -> None:
    dataset = scan(make_dataset(inner="images", masks=True), home)
    lungs = mask(dataset, 1)
    assert lungs is not None
    assert lungs.shape == (48, 48)
    assert 0 < lungs.mean() < 1
    (dataset.root / dataset.index["mask"][1]).write_bytes(b"")
    with pytest.raises(DataError, match=r"masks/a-2.png can not be shown"):
        mask(dataset, 1)
    assert mask(scan(make_dataset(name="bare"), home), 0) is None


@pytest.mark.parametrize("side", [30, 120, 900])
def test_the_outline_lies_inside_the_mask_and_nothing_else_is_touched(side: int) -> None:
    image = picture(3, side)
    lungs = np.zeros((30, 30), dtype=bool)
    lungs[6:24, 9:21] = True
    drawn = outlined(image, lungs)
    assert drawn.shape == (side, side, 3)
    coloured = (drawn == OUTLINE).all(axis=2)
    whole = np.repeat(np.repeat(lungs, side // 30, axis=0), side // 30, axis=1)
    assert coloured.any()
    assert not (coloured & ~whole).any()
    # Every pixel of the mask that touches the outside is drawn, and its middle is not.
    padded = np.pad(whole, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    assert coloured[whole & ~inner].all()
    assert not coloured[side // 2, side // 2]
    np.testing.assert_array_equal(drawn[~coloured], np.repeat(image[~coloured][:, None], 3, 1))


def test_an_empty_mask_draws_nothing() -> None:
    image = picture(4, 40)
    drawn = outlined(image, np.zeros((8, 8), dtype=bool))
    np.testing.assert_array_equal(drawn, np.repeat(image[..., None], 3, axis=2))
