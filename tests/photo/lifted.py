"""Scenes to test with: the left picture of a real stereo pair, lifted by its true depth."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import torch

from fovea.photo.lift import joined, lift
from fovea.scene.camera import Camera
from fovea.scene.gaussians import Gaussians
from fovea.scene.image import read_image

FOCAL_PX, BASELINE_M, OFFSET_PX = 994.978, 0.193001, 31.086
"""Of the pair `stereo_motorcycle`: depth = f b / (disparity + offset)."""


@cache
def motorcycle(data_folder: Path, side: int = 768) -> tuple[Gaussians, Camera]:
    """Two layers of side x side Gaussians, and the photograph's camera.

    The first layer is what is seen; the second stands behind it, at the depth that is farthest in
    its neighbourhood and in its colours, as a predictor would guess.
    """
    folder = data_folder / "photos" / "stereo_motorcycle"
    pixels = (read_image(folder / "motorcycle_left.png")[..., :3] * 255 + 0.5).astype(np.uint8)
    with np.load(folder / "motorcycle_disp.npz") as file:
        disparity = file["arr_0"]
    known = np.isfinite(disparity)
    disparity = np.where(known, disparity, float(np.percentile(disparity[known], 20)))
    depth = FOCAL_PX * BASELINE_M / (disparity + OFFSET_PX)
    return lifted(pixels, depth, FOCAL_PX, side)


def lifted(
    pixels: np.ndarray, depth: np.ndarray, focal_px: float, side: int
) -> tuple[Gaussians, Camera]:
    """Two layers of side x side Gaussians of a picture with its depth, and its camera."""
    height, width = depth.shape
    lens = [[focal_px, 0.0, width / 2], [0.0, focal_px, height / 2], [0.0, 0.0, 1.0]]
    camera = Camera(
        torch.eye(4, dtype=torch.float64),
        torch.tensor(lens, dtype=torch.float64),
        height=height,
        width=width,
    )
    reach = np.ones((2 * (width // 40) + 1,) * 2, np.uint8)
    behind = cv2.dilate(depth, reach)
    colors = cv2.GaussianBlur(pixels, (0, 0), width / 100)
    parts = [
        lift(values, z, camera, grid=(side, side), width=0.75)
        for values, z in ((pixels, depth), (colors, behind * 1.02))
    ]
    return joined(*parts), camera
