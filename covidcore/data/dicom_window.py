"""Stored DICOM values to shades of grey: what a viewer does between the file and the screen.

Everything is worked out once for each possible value (65,536 at most) and then looked up, so that
an image of 40 million pixels takes no more memory than its pixels. Source: PS3.3, C.11.1, C.11.2.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from covidcore.data.grey import Gray, depth_of, eight_bits

Values = npt.NDArray[np.float64]

_PERCENTILES = (0.5, 99.5)
_ENOUGH = 0.5
"""The share of the grey range that makes an image one to leave as it is."""
_SAMPLE = 1_000_000
"""Pixels that percentiles are taken of, at most."""


@dataclass(frozen=True, eq=False)
class Lookup:
    """A table of a modality or of a window: ``entries[0]`` stands for ``first`` and all below."""

    first: int
    bits: int
    """Of an entry."""
    entries: npt.NDArray[np.uint16]

    def __call__(self, values: Values) -> Values:
        """Look up each value."""
        at = np.clip(np.rint(values) - self.first, 0, len(self.entries) - 1)
        found: Values = self.entries[at.astype(np.intp)].astype(np.float64)
        return found


@dataclass(frozen=True)
class Window:
    """The values between black and white. ``function`` is LINEAR, LINEAR_EXACT or SIGMOID."""

    centre: float
    width: float
    function: str = "LINEAR"

    @property
    def is_valid(self) -> bool:
        """Whether it can be applied; a width of 0 is seen in real files."""
        least = 1.0 if self.function == "LINEAR" else 0.0
        known = self.function in ("LINEAR", "LINEAR_EXACT", "SIGMOID")
        return known and self.width >= least and self.width > 0

    def __call__(self, values: Values) -> Values:
        """Shades from 0 to 1 (C.11.2.1.2.1, C.11.2.1.3.1 and C.11.2.1.3.2)."""
        shades: Values
        if self.function == "SIGMOID":
            turn = np.clip(-4 * (values - self.centre) / self.width, -700, 700)
            shades = 1 / (1 + np.exp(turn))
            return shades
        less = 1.0 if self.function == "LINEAR" else 0.0
        centre, width = self.centre - less / 2, self.width - less
        if not width:
            return (values > centre).astype(np.float64)
        shades = np.clip((values - centre) / width + 0.5, 0, 1)
        return shades


@dataclass(frozen=True, eq=False)
class Display:
    """How the values of one file become shades."""

    inverted: bool
    """MONOCHROME1: the lowest value is white."""
    stored: int
    """Bits of a value that count."""
    slope: float = 1.0
    intercept: float = 0.0
    modality: Lookup | None = None
    window: Window | Lookup | None = None

    def show(self, samples: npt.NDArray[Any]) -> Gray:
        """Samples ``(H, W)`` of 8 or 16 bits, signed or not, as grey."""
        if self.window is None and self._is_plain(samples):
            grey = self._by_depth(samples)
            return 255 - grey if self.inverted else grey
        values = self._modality(_levels(samples.dtype))
        shades = self._shades(values, samples)
        if self.inverted:
            shades = 1 - shades
        table = np.rint(255 * shades).astype(np.uint8)
        shown: Gray = table[samples]  # negative values count from the end, as in ``_levels``
        return shown

    def _modality(self, levels: Values) -> Values:
        return self.modality(levels) if self.modality else levels * self.slope + self.intercept

    def _shades(self, values: Values, samples: npt.NDArray[Any]) -> Values:
        if isinstance(self.window, Lookup):
            most = (1 << self.window.bits) - 1
            return np.clip(self.window(values) / most, 0, 1)
        if self.window is not None:
            return self.window(values)
        low, high = np.percentile(values[_some(samples)], _PERCENTILES)
        stretched: Values = np.clip((values - low) / max(high - low, 1e-9), 0, 1)
        return stretched

    def _is_plain(self, samples: npt.NDArray[Any]) -> bool:
        """Whether an image without a window is left at the range that it is stored in.

        As other files of 8 and 16 bits are, so that one picture is the same in every format. What
        a detector wrote into a small part of its range would be an even grey: that is stretched.
        """
        changed = self.modality is not None or self.slope != 1 or self.intercept != 0
        if changed or samples.dtype.kind != "u":
            return False
        if samples.dtype.itemsize == 1:
            return True
        low, high = np.percentile(_some(samples), _PERCENTILES)
        return bool(high == low or high - low >= _ENOUGH * (1 << depth_of(samples)))

    def _by_depth(self, samples: npt.NDArray[Any]) -> Gray:
        if samples.dtype.itemsize == 2:
            return eight_bits(samples)
        most = (1 << self.stored) - 1
        table = np.rint(np.minimum(np.arange(256), most) * (255 / most)).astype(np.uint8)
        grey: Gray = table[samples]
        return grey


def _levels(kind: "np.dtype[Any]") -> Values:
    """Every value of a type, in the order in which its bits count up: negative ones at the end."""
    unsigned = np.dtype(f"u{kind.itemsize}")
    return np.arange(1 << 8 * kind.itemsize, dtype=unsigned).view(kind).astype(np.float64)


def _some(samples: npt.NDArray[Any]) -> npt.NDArray[Any]:
    flat = samples.reshape(-1)
    return flat[:: -(-flat.size // _SAMPLE)]
