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
Map = Float[np.ndarray, "height width"]

FARTHER = 8.0
"""Power by which a pixel weighs less the nearer it is than the farthest around it."""
AROUND = 1 / 8
"""How far around a pixel the farthest is looked for, as a share of the longer side."""
ENOUGH = 0.5
"""Share of a pixel that has to be seen before it fills others with its whole weight."""


def fill(values: Values, alpha: Map) -> Values:
    """Complete a picture and its depth.

    Args:
        values: up to three colours and, last, the depth, each multiplied by its alpha, as blending
            leaves them.
        alpha: how much of the pixel was seen, 0..1.

    Returns:
        `values` with what is missing to alpha 1 from around; as they are where nothing was seen.
    """
    known = values / np.maximum(alpha, 1e-6)[..., None]
    depth = known[..., -1]
    if float(depth.max(initial=0.0)) <= 0:
        return values
    reach = 2 * round(AROUND * max(depth.shape)) + 1
    trust = np.clip(alpha / ENOUGH, 0, 1) ** 2 * _farness(depth, reach)
    around = _pull_push(known * trust[..., None], trust)
    return values + (1 - alpha)[..., None] * around


def _farness(depth: Map, reach: int) -> Map:
    """1 where nothing around is farther, less the nearer a pixel is."""
    farthest = cv2.dilate(depth.astype(np.float32), np.ones((reach, reach), np.uint8))
    return (depth / np.maximum(farthest, 1e-9)) ** FARTHER


def _pull_push(weighted: Values, weight: Map) -> Values:
    """Means around each pixel, from as near as there is enough weight; the last channel is depth.

    Args:
        weighted: multiplied by the weights.
        weight: 0..1.
    """
    height, width = weight.shape
    weighted, weight = (np.ascontiguousarray(part, np.float32) for part in (weighted, weight))
    if min(height, width) <= 1:
        mean = weighted.reshape(-1, weighted.shape[2]).sum(axis=0) / max(weight.sum(), 1e-12)
        return np.broadcast_to(mean.astype(np.float32), weighted.shape)
    size = (width + 1) // 2, (height + 1) // 2
    # Four times the mean: a quarter of a cell that is seen is enough for all of it.
    coarse, total = (
        4 * cv2.resize(part, size, interpolation=cv2.INTER_AREA).reshape(size[::-1] + rest)
        for part, rest in ((weighted, weighted.shape[2:]), (weight, ()))
    )
    behind = _pull_push(coarse / np.maximum(total, 1.0)[..., None], np.minimum(total, 1.0))
    farther = _farness(behind[..., -1], 3) + 1e-6
    spread, share = (
        cv2.resize(np.ascontiguousarray(part, np.float32), (width, height)).reshape(shape)
        for part, shape in ((behind * farther[..., None], weighted.shape), (farther, weight.shape))
    )
    return weighted + ((1 - weight) / share)[..., None] * spread
