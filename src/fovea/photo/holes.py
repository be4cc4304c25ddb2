"""What nobody has seen is filled from around it.

Colours are averaged into ever coarser pictures, each pixel weighted by how much of it was seen, and
then the coarse fill what the fine lack. What is far weighs more than what is near: a hole opens
behind a foreground, and belongs to the background.

Source: Gortler et al., "The Lumigraph" (1996), pull-push; the weight by depth is ours.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float

Values = Float[np.ndarray, "height width channels"]

FARTHER = 2.0
"""Power of the depth by which a pixel weighs more."""
ENOUGH = 0.5
"""Share of a pixel that has to be seen before it fills others with its whole weight."""


def fill(
    values: Values,
    alpha: Float[np.ndarray, "height width"],
    depth: Float[np.ndarray, "height width"],
) -> Values:
    """Complete a picture.

    Args:
        values: each already multiplied by its alpha, as blending leaves them.
        alpha: how much of the pixel was seen, 0..1.
        depth: of what was seen there.

    Returns:
        `values` with what is missing to alpha 1 from around; as they are where nothing was seen.
    """
    deepest = float(depth.max(initial=0.0))
    if deepest <= 0:
        return values
    trust = np.clip(alpha / ENOUGH, 0, 1) ** 2 * (depth / deepest) ** FARTHER
    colors = values / np.maximum(alpha, 1e-6)[..., None]
    around = _pull_push(colors * trust[..., None], trust.astype(np.float32))
    return values + (1 - alpha)[..., None] * around


def _pull_push(weighted: Values, weight: Float[np.ndarray, "height width"]) -> Values:
    """Weighted means around each pixel, from as near as there is enough weight."""
    height, width = weight.shape
    weighted = np.ascontiguousarray(weighted, dtype=np.float32)
    if min(height, width) <= 1:
        total = max(float(weight.sum()), 1e-12)
        mean = weighted.reshape(-1, weighted.shape[2]).sum(axis=0) / total
        return np.broadcast_to(mean.astype(np.float32), weighted.shape)
    size = (width + 1) // 2, (height + 1) // 2
    # Four times the mean: a quarter of a cell that is seen is enough for all of it.
    coarse_weight = 4 * cv2.resize(weight, size, interpolation=cv2.INTER_AREA)
    coarse = 4 * cv2.resize(weighted, size, interpolation=cv2.INTER_AREA)
    too_much = np.maximum(coarse_weight, 1.0)
    behind = _pull_push(coarse.reshape(size[1], size[0], -1) / too_much[..., None],
                        coarse_weight / too_much)  # fmt: skip
    spread = cv2.resize(behind, (width, height), interpolation=cv2.INTER_LINEAR)
    return weighted + (1 - weight)[..., None] * spread.reshape(weighted.shape)
