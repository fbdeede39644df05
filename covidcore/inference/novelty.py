"""How far something lies from what a model was trained on, and from where on that is too far.

Vectors of each class are taken for a normal distribution about the mean of the class, with one
covariance for all; the distance is Mahalanobis', to the closest class. Source: Lee et al. 2018, "A
Simple Unified Framework for Detecting Out-of-Distribution Samples". The covariance is shrunk as in
Ledoit & Wolf 2004, so that there may be fewer images than numbers in a vector.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

PERCENTILE = 99
"""Of the distances of validation images, which the model has not learnt from: the threshold."""
LEAST = 20
"""Validation images without which no threshold is set."""

_MANY = 100
"""Validation images among which a hundredth is an image at least."""
_NORMAL_99 = 2.326
Values = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Novelty:
    """A distance of vectors ``(N, F)`` to a set of them, and its threshold."""

    means: Values
    """Of each class, ``(C, F)``."""
    whitening: Values
    """``(F, F)``: brings the shared covariance to the unit matrix."""
    threshold: float
    """Infinite where there were too few images to set one."""

    @classmethod
    def fit(cls, vectors: Values, labels: NDArray[np.int64], others: Values) -> "Novelty":
        """Of training ``vectors`` with their classes, and a threshold from validation ones.

        The same to the bit each time: on one core, as sums of several threads are added up in any
        order, and a run that was resumed has to be the run that never was.
        """
        with threadpool_limits(1):  # type: ignore[no-untyped-call]
            return cls._fit(vectors.astype(np.float64), labels, others)

    @classmethod
    def _fit(cls, vectors: Values, labels: NDArray[np.int64], others: Values) -> "Novelty":
        classes = np.unique(labels)
        means = np.stack([vectors[labels == one].mean(axis=0) for one in classes])
        spread = _covariance(vectors - means[np.searchsorted(classes, labels)])
        whitening = np.linalg.cholesky(np.linalg.inv(spread))
        made = cls(means.astype(np.float32), whitening.astype(np.float32), np.inf)
        return cls(made.means, made.whitening, _threshold(made.distance(others)))

    def distance(self, vectors: Values) -> Values:
        """Of ``(N, F)`` to the closest class, ``(N,)``; about the root of F for usual ones."""
        whitening, centres = self._exact
        turned = vectors.astype(np.float64) @ whitening
        apart = np.square(turned[:, None] - centres).sum(axis=2)
        return np.asarray(np.sqrt(apart.min(axis=1)))

    @cached_property
    def _exact(self) -> tuple[Values, Values]:
        """The whitening and the whitened means, in float64."""
        whitening = self.whitening.astype(np.float64)
        return whitening, self.means.astype(np.float64) @ whitening

    def excess(self, vectors: Values) -> Values:
        """The distance in thresholds ``(N,)``: above 1 is too far."""
        return self.distance(vectors) / self.threshold


def _covariance(centred: Values) -> Values:
    """Of rows of mean 0 ``(N, F)``, drawn to a multiple of the unit matrix as far as is best."""
    count, size = centred.shape
    sample = centred.T @ centred / count
    scale = np.trace(sample) / size
    unit = max(scale, 1e-12) * np.eye(size)
    apart = np.square(sample - unit).sum()
    noise = (np.square(np.square(centred).sum(axis=1)).mean() - np.square(sample).sum()) / count
    share = min(max(noise / apart, 1e-6), 1.0) if apart > 0 else 1.0
    return np.asarray((1 - share) * sample + share * unit)


def _threshold(distances: Values) -> float:
    """The percentile; of fewer than a hundred images no less than that of a log-normal."""
    if len(distances) < LEAST:
        return float("inf")
    found = float(np.percentile(distances, PERCENTILE))
    if len(distances) < _MANY:
        logs = np.log(np.maximum(distances, 1e-12))
        found = max(found, float(np.exp(logs.mean() + _NORMAL_99 * logs.std(ddof=1))))
    return found
