"""Which test images the training images hold too: to the pixel, or nearly.

An answer about such an image proves little, so it is marked wherever the image is shown.
"""

from typing import TYPE_CHECKING

import numpy as np

from covidcore.data.duplicates import near_duplicate_pairs

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

_PLACES = {"train": "training", "val": "validation", "test": "test"}


def copies(
    index: "pd.DataFrame", split: "pd.DataFrame", kept: "Path | None" = None
) -> dict[str, str]:
    """A few words for every file that is the same picture as another one of the run, or nearly.

    ``index`` is a dataset's, ``split`` has the columns file and split. A copy in training counts
    before others, an exact one before a near one. Files without a copy are left out. ``kept``:
    see `duplicates.near_duplicate_pairs`.
    """
    of_file = dict(zip(split["file"], split["split"], strict=True))
    index = index[index["file"].isin(of_file)].reset_index(drop=True)
    places = index["file"].map(of_file)
    found: dict[str, str] = {}
    # From the least to the most telling: later words replace earlier ones.
    pairs = near_duplicate_pairs(index, kept=kept)
    same = index["pixel_sha256"].to_numpy()
    exact = same[pairs.first] == same[pairs.second]
    ends = np.concatenate([pairs.first, pairs.second])
    others = np.concatenate([pairs.second, pairs.first])
    alike = np.concatenate([exact, exact])
    for place in ("test", "val", "train"):
        for is_exact, words in ((False, "nearly the same"), (True, "the same picture")):
            chosen = (places.to_numpy()[others] == place) & (alike == is_exact)
            for file in index["file"].to_numpy()[np.unique(ends[chosen])]:
                found[str(file)] = f"{words} in {_PLACES[place]}"
    return found
