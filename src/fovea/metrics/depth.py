"""How far predicted depths are from the true ones, raw and after alignment.

Depths are z-depths in any one unit, inverse depths their reciprocals; both are arrays of one shape.
A pixel counts where both are finite and positive, and the mask, if there is one, says so.

A method that cannot know the scale of the world, or sees only a rectified pair without its
calibration, is right up to a scale and a shift of the inverse depth: `align_inverse_depth` finds
these from the truth itself, so that what is scored afterwards is the shape alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from fovea.errors import DataError

Depths = Float[np.ndarray, "*pixels"]
Mask = Bool[np.ndarray, "*pixels"]
Method = Literal["least_squares", "median", "none"]

CLOSE = 1.25
"""A depth is right within this factor, in the usual count."""


@dataclass(frozen=True)
class Alignment:
    """What makes inverse depths most alike: `inverse -> scale * inverse + shift`.

    Attributes:
        scale: of the inverse depth.
        shift: of the inverse depth, in the truth's unit.
        deepest: depths beyond it, and those that the shift turned negative, become it.
    """

    scale: float = 1.0
    shift: float = 0.0
    deepest: float = float("inf")

    def inverse(self, inverse_depth: Depths) -> Depths:
        """Aligned inverse depths, no deeper than `deepest`."""
        aligned = self.scale * np.asarray(inverse_depth, dtype=np.float64) + self.shift
        return np.maximum(aligned, 1 / self.deepest)

    def depth(self, depth: Depths) -> Depths:
        """Aligned depths; what has no depth, 0 or not finite, stays without one."""
        has_depth = np.isfinite(depth) & (depth > 0)
        inverse = self.inverse(1 / np.where(has_depth, depth, 1.0))
        return np.where(has_depth, 1 / np.maximum(inverse, 1e-12), 0.0)


def abs_rel(depth: Depths, truth: Depths, mask: Mask | None = None) -> float:
    """Mean of |depth - truth| / truth; 0 is perfect.

    Raises:
        DataError: shapes differ, or no pixel counts.
    """
    found, wanted = _counted(depth, truth, mask)
    return float(np.mean(np.abs(found - wanted) / wanted))


def delta(
    depth: Depths, truth: Depths, mask: Mask | None = None, *, threshold: float = CLOSE
) -> float:
    """Share of pixels whose depth is right within a factor: max(d/t, t/d) < threshold.

    Raises:
        DataError: shapes differ, or no pixel counts.
    """
    found, wanted = _counted(depth, truth, mask)
    return float(np.mean(np.maximum(found / wanted, wanted / found) < threshold))


def depth_scores(depth: Depths, truth: Depths, mask: Mask | None = None) -> dict[str, float]:
    """`abs_rel`, `delta_1.25` and `rmse` (in the truth's unit) of one depth map.

    Raises:
        DataError: shapes differ, or no pixel counts.
    """
    found, wanted = _counted(depth, truth, mask)
    return {
        "abs_rel": abs_rel(found, wanted),
        "delta_1.25": delta(found, wanted),
        "rmse": float(np.sqrt(np.mean((found - wanted) ** 2))),
    }


def align_inverse_depth(
    depth: Depths, truth: Depths, mask: Mask | None = None, *, method: Method = "least_squares"
) -> Alignment:
    """Scale and shift of the inverse depth that bring a depth map nearest to the truth.

    Args:
        depth: as predicted.
        truth: as measured.
        mask: pixels that count.
        method: `least_squares` has the smallest sum of squared differences of inverse depths;
            `median` matches medians and mean absolute deviations from them, which outliers move
            less; `none` leaves all as it is.

    Returns:
        The alignment; aligned depths end at the deepest true one. A depth map without any structure
        gets the scale 0, and the mean (or median) of the truth.

    Raises:
        DataError: shapes differ, or no pixel counts.

    Source: Ranftl et al., "Towards Robust Monocular Depth Estimation: Mixing Datasets for Zero-shot
        Cross-dataset Transfer" (2020), equations 4 to 6, and their cut at the deepest truth.
    """
    found, wanted = _counted(depth, truth, mask)
    if method == "none":
        return Alignment()
    x, y = 1 / found, 1 / wanted
    middle = np.median if method == "median" else np.mean
    centre_x, centre_y = float(middle(x)), float(middle(y))
    off_x, off_y = x - centre_x, y - centre_y
    if method == "median":
        spread = float(np.mean(np.abs(off_x)))
        along = float(np.mean(np.abs(off_y)))
    else:
        spread, along = float(np.mean(off_x**2)), float(np.mean(off_x * off_y))
    is_flat = spread <= 1e-12 * centre_x ** (1 if method == "median" else 2)
    scale = 0.0 if is_flat else along / spread
    return Alignment(scale, centre_y - scale * centre_x, float(wanted.max()))


def _counted(
    depth: Depths, truth: Depths, mask: Mask | None
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    if depth.shape != truth.shape or (mask is not None and mask.shape != truth.shape):
        raise DataError(
            f"a depth map, its truth and its mask have one shape; found {depth.shape}, "
            f"{truth.shape} and {None if mask is None else mask.shape}. Resize one of them."
        )
    found, wanted = (np.asarray(values, dtype=np.float64) for values in (depth, truth))
    with np.errstate(invalid="ignore"):
        counts = np.isfinite(found) & np.isfinite(wanted) & (found > 0) & (wanted > 0)
    counts = counts if mask is None else counts & mask
    if not counts.any():
        raise DataError(
            f"no pixel of {truth.size} has both a depth and a true depth inside the mask. Check "
            "that 0 stands for unknown, and that the two are of one view."
        )
    return found[counts], wanted[counts]
