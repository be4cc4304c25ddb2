"""Two eyes in place of one: a pair of cameras, and one picture made of their two.

The cameras stand side by side and look the same way: turning them towards each other would shift
pixels up and down, which hurts. What lies in the plane of the screen is chosen by moving their
principal points instead (off-axis convergence).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import UInt8

from fovea.errors import DataError
from fovea.photo.settings.film import StereoConfig
from fovea.photo.trajectory import DepthRange
from fovea.scene.camera import Camera

Picture = UInt8[np.ndarray, "height width 3"]


def baseline_m(config: StereoConfig, depths: DepthRange) -> float:
    """Distance of the eyes."""
    return config.baseline_mm / 1000 or config.baseline_share * depths.near


def screen_m(config: StereoConfig, depths: DepthRange) -> float:
    """Depth of what has no disparity; infinite for parallel cameras."""
    by_name = {"focus": depths.focus, "near": depths.near, "infinity": float("inf")}
    return config.screen_m or by_name[config.screen]


def eyes(config: StereoConfig, camera: Camera, depths: DepthRange) -> tuple[Camera, Camera]:
    """The left and the right eye's camera, half a baseline to either side of the middle."""
    half = baseline_m(config, depths) / 2
    shift_px = float(camera.intrinsics[0, 0]) * half / screen_m(config, depths)
    return _moved(camera, -half, -shift_px), _moved(camera, half, shift_px)


def joined(config: StereoConfig, left: Picture, right: Picture) -> Picture:
    """One picture for both eyes.

    Raises:
        DataError: two eyes are not asked for.
    """
    match config.layout:
        case "side_by_side":
            return np.concatenate([left, right], axis=1)
        case "crossed":
            return np.concatenate([right, left], axis=1)
        case "anaglyph":
            return np.concatenate([left[..., :1], right[..., 1:]], axis=-1)
        case "none":
            raise DataError("stereo.layout=none has one eye. Set side_by_side, crossed, anaglyph.")


def _moved(camera: Camera, right_m: float, centre_px: float) -> Camera:
    """A camera moved along its own x axis, its principal point along its picture's."""
    pose, intrinsics = camera.world_to_camera.clone(), camera.intrinsics.clone()
    pose[0, 3] -= right_m
    intrinsics[0, 2] += centre_px
    return replace(camera, world_to_camera=torch.as_tensor(pose), intrinsics=intrinsics)
