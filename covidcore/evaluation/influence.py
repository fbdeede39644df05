"""How much each image moves a figure, and so how much its patient's other films add to it.

The influence of an image is what a figure changes by where the image counts a little more than
once; influences of all images add up to 0. The sum of their squares estimates the figure's
variance, that of the squares of whole groups where films of one patient go together. Source:
Hampel 1974; Obuchowski 1997 for areas under curves.
"""

import numpy as np
import numpy.typing as npt

from covidcore.evaluation.metrics import FloatArray, IntArray


def group_sums(values: npt.ArrayLike, codes: IntArray) -> FloatArray:
    """Sums over each group's rows, ``(N, K)`` -> ``(G, K)``; ``codes`` are those of groups."""
    table = np.asarray(values, dtype=np.float64)
    count = int(codes.max(initial=-1)) + 1
    columns = [np.bincount(codes, column, minlength=count) for column in table.T]
    return np.stack(columns, axis=1) if columns else np.zeros((count, 0))


def design_effects(
    influence: FloatArray, counted: npt.NDArray[np.bool_], codes: IntArray
) -> FloatArray:
    """How many images of a figure are one witness, on average, ``(K,)``: 1 where none go together.

    The ratio of the variance over groups to that over images, and no less than 1, by leaving out
    one at a time: large groups move a figure by more than their influence says. ``influence`` is
    ``(N, K)``, and ``counted`` says which images the figure is of. Where it can not be told, as no
    image is wrong or all are of one group, a group is one witness: the mean size of the group that
    an image is in. A figure's images divided by it are its effective number. Source: Kish 1965;
    Rao & Scott 1992; Efron 1982 for leaving out one at a time (the jackknife).
    """
    images, sizes = counted.sum(axis=0), group_sums(counted, codes)
    groups = (sizes > 0).sum(axis=0)
    rest = np.maximum(1 - sizes / np.maximum(images, 1), 0.5 / np.maximum(images, 1))
    together = ((group_sums(influence, codes) / rest) ** 2).sum(axis=0) / _bessel(groups)
    alone = (influence**2).sum(axis=0) * _bessel(images)
    known = (alone > 0) & (groups > 1)
    whole = (sizes**2).sum(axis=0) / np.maximum(images, 1)
    found = np.where(known, together / np.where(known, alone, 1), whole)
    result: FloatArray = np.maximum(found, 1)
    return result


def variances(
    influence: FloatArray, counted: npt.NDArray[np.bool_], effects: FloatArray
) -> FloatArray:
    """Of the figures, ``(K,)``, from influences and ``design_effects``."""
    found: FloatArray = (influence**2).sum(axis=0) * _bessel(counted.sum(axis=0)) * effects
    return found


def correlations(influence: FloatArray, codes: IntArray, unknown: float) -> FloatArray:
    """Of the figures with each other, ``(K, K)``; ``unknown`` where one of two has no variance."""
    sums = group_sums(influence, codes)
    products = sums.T @ sums
    scale = np.sqrt(np.outer(np.diag(products), np.diag(products)))
    found = np.where(scale > 0, products / np.where(scale > 0, scale, 1), unknown)
    np.fill_diagonal(found, 1)
    result: FloatArray = np.clip(found, -1, 1)
    return result


def _bessel(count: npt.ArrayLike) -> FloatArray:
    """``n / (n - 1)``, and 1 where there is one only."""
    n = np.asarray(count, dtype=np.float64)
    return n / np.maximum(n - 1, np.minimum(n, 1))
