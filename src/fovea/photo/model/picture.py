"""What the network is shown: a photograph, or a given depth map, stretched to its square.

The aspect is not kept. Corners stay on corners (`align_corners`), unlike in the pyramid inside the
network; no filter is applied, as the public predictor was trained without one.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from fovea.errors import DataError

NETWORK_SIZE = 1536


def resize_to_network(
    pixels: UInt8[np.ndarray, "H W 3"], *, size: int = NETWORK_SIZE
) -> Float[Tensor, "1 3 S S"]:
    """An sRGB photograph as the network's picture, in [0, 1]."""
    channels = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)
    return _stretch(channels[None].float() / 255, size)


def depth_to_network(
    depth_m: Float[np.ndarray, "H W"], *, size: int = NETWORK_SIZE
) -> Float[Tensor, "1 1 S S"]:
    """A depth map in metres at the size of the network's picture, interpolated as inverse depth.

    Raises:
        DataError: a depth is zero, negative, NaN or infinite.
    """
    bad = ~(np.isfinite(depth_m) & (depth_m > 0))
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise DataError(
            f"a given depth map holds metres above zero everywhere: {depth_m[row, column]} stands"
            f" at row {row}, column {column}, and {bad.sum()} of {bad.size} pixels are like it."
            " Fill the holes first."
        )
    inverse = torch.from_numpy(1 / np.asarray(depth_m, np.float64)).float()
    return 1 / _stretch(inverse[None, None], size)


def _stretch(maps: Float[Tensor, "1 C H W"], size: int) -> Float[Tensor, "1 C S S"]:
    return functional.interpolate(maps, (size, size), mode="bilinear", align_corners=True)
