"""Which images of a dataset are the same picture, to the pixel or nearly.

The difference hash alone will not do: radiographs are so alike that most of the 2,905 images of
the first Kaggle release lie within two bits of another patient's. So a pair with close hashes is
held to be a near duplicate only where its 16 x 16 thumbnails agree as well (docs/decisions.md).
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from covidcore.data.hashes import near_pairs

if TYPE_CHECKING:
    import pandas as pd

HASH_DISTANCE = 5
"""Bits of 64 in which the difference hashes of near duplicates may differ."""
CORRELATION = 0.985
"""Least correlation of their thumbnails; survives JPEG at quality 50, resizing and exposure."""
THUMBNAIL = 16
"""Pixels a side."""

_CHUNK = 1 << 16


def thumbnail(pixels: NDArray[np.uint8]) -> bytes:
    """A grey image ``(H, W)`` as 16 x 16 grey levels, row by row: 256 bytes."""
    size = (THUMBNAIL, THUMBNAIL)
    return Image.fromarray(pixels).resize(size, Image.Resampling.BOX).tobytes()


def near_duplicate_groups(index: "pd.DataFrame") -> NDArray[np.int64]:
    """A number an image ``(N,)``; images linked by near duplicates, in chains too, share one.

    ``index`` has the columns pixel_sha256, dhash and thumbnail. Exact duplicates are near ones.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    # Exact copies first: a thousand of them would be half a million pairs.
    picture, _ = index["pixel_sha256"].factorize()
    distinct = index.drop_duplicates("pixel_sha256")
    first, second = near_duplicate_pairs(distinct)
    shape = (len(distinct), len(distinct))
    links = coo_array((np.ones(len(first)), (first, second)), shape)  # type: ignore[no-untyped-call]
    groups = connected_components(links, directed=False)[1]
    return np.asarray(groups[picture], dtype=np.int64)


def near_duplicate_pairs(index: "pd.DataFrame") -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions ``i < j`` of the rows that are near duplicates of one another."""
    hashes = np.array([int(value, 16) for value in index["dhash"]], dtype=np.uint64)
    first, second = near_pairs(hashes, HASH_DISTANCE)
    levels = np.frombuffer(b"".join(index["thumbnail"]), np.uint8).reshape(len(index), -1)
    looks: NDArray[np.float32] = levels.astype(np.float32)
    looks -= looks.mean(axis=1, keepdims=True)
    looks /= np.maximum(np.sqrt(np.square(looks).sum(axis=1, keepdims=True)), 1e-6)
    alike = [
        np.einsum("ij,ij->i", looks[first[at : at + _CHUNK]], looks[second[at : at + _CHUNK]])
        >= CORRELATION
        for at in range(0, len(first), _CHUNK)
    ]
    kept = np.concatenate(alike) if alike else np.zeros(0, dtype=bool)
    return first[kept], second[kept]


def count_duplicates(index: "pd.DataFrame") -> dict[str, int]:
    """How many images repeat an earlier one: ``exact`` to the pixel, ``near`` all but exactly."""
    distinct = index.drop_duplicates("pixel_sha256")
    groups = len(np.unique(near_duplicate_groups(distinct)))
    return {"exact": len(index) - len(distinct), "near": len(distinct) - groups}
