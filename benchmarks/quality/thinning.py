"""What thinning costs: strategies and budgets on a real scene, held against the whole one.

    python benchmarks/quality/thinning.py DATA/photos/stereo_motorcycle --json RESULT.json

The scene is a photograph at its true depth, one Gaussian for each 2x2 pixels, in two layers as
SHARP makes them: the second is the farthest surface near by, which shows when the camera moves.
Thinning judges from the centre and four offsets; the loss is measured from four other views between
them, as PSNR and SSIM of sRGB pictures against the unthinned scene.
"""

import argparse
import json
import time
from pathlib import Path

import cv2
import numpy as np
import torch

from fovea.metrics.image import psnr, ssim
from fovea.photo.lift import joined, lift
from fovea.photo.sharp_ply import camera_at_origin
from fovea.scene.camera import Camera
from fovea.scene.color import linear_to_srgb
from fovea.scene.gaussians import Gaussians
from fovea.scene.image import read_image
from fovea.scene.rasterize import rasterize
from fovea.scene.thinning import Strategy, thin

FOCAL_PX, BASELINE_M, DOFFS_PX = 994.978, 0.193001, 31.086
NEAR_PX = 41
"""How far a background reaches behind what stands before it."""
ASIDE_M = 0.1


def two_layers(folder: Path, *, cell_px: int = 2) -> tuple[Gaussians, Camera]:
    """The photograph of the pair at its true depth, and its camera."""
    picture = sorted(path for path in folder.glob("*left*"))[0]
    pixels = (read_image(picture) * 255).round().astype(np.uint8)
    disparity = np.load(folder / "motorcycle_disp.npz")["arr_0"].astype(np.float32)
    depth = FOCAL_PX * BASELINE_M / (disparity + DOFFS_PX)
    known = np.isfinite(depth) & np.isfinite(disparity)
    depth = cv2.inpaint(
        np.where(known, depth, 0).astype(np.float32), (~known).astype(np.uint8), 5, cv2.INPAINT_NS
    )
    behind = cv2.dilate(depth, np.ones((NEAR_PX, NEAR_PX), np.uint8))
    height, width = depth.shape
    camera = camera_at_origin(FOCAL_PX, height=height, width=width)
    grid = (height // cell_px, width // cell_px)
    layers = (lift(pixels, layer, camera, grid=grid) for layer in (depth, behind))
    return joined(*layers), camera


def moved(camera: Camera, right_m: float, down_m: float) -> Camera:
    """The camera a little aside."""
    pose = camera.world_to_camera.clone()
    pose[:3, 3] = -torch.tensor([right_m, down_m, 0.0])
    return Camera(pose, camera.intrinsics, height=camera.height, width=camera.width)


def picture(scene: Gaussians, camera: Camera) -> torch.Tensor:
    return linear_to_srgb(rasterize(scene, camera, blur=0.0).features.clamp(0, 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--shares", type=float, nargs="+", default=[0.5, 0.25, 0.1])
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    scene, camera = two_layers(given.folder)
    a = ASIDE_M
    judges = [moved(camera, *at) for at in ((0, 0), (a, 0), (-a, 0), (0, a), (0, -a))]
    views = [moved(camera, *at) for at in ((a / 2, a / 2), (-a / 2, a / 3), (0.7 * a, 0), (0, 0))]
    whole = [picture(scene, view) for view in views]
    print(f"{len(scene)} Gaussians, {camera.width}x{camera.height}")
    rows = []
    for share in given.shares:
        budget = round(share * len(scene))
        strategies: tuple[Strategy, ...] = ("opacity", "contribution", "merge", "both")
        for strategy in strategies:
            start = time.perf_counter()
            less = thin(scene, budget, judges, strategy=strategy)
            seconds = time.perf_counter() - start
            found = [picture(less, view) for view in views]
            row = {
                "share": share,
                "strategy": strategy,
                "gaussians": len(less),
                "psnr": float(np.mean([psnr(f, w) for f, w in zip(found, whole, strict=True)])),
                "ssim": float(np.mean([ssim(f, w) for f, w in zip(found, whole, strict=True)])),
                "seconds": round(seconds, 2),
            }
            rows.append(row)
            print(json.dumps(row), flush=True)
    if given.json:
        record = {"scene": "stereo_motorcycle, two layers", "rows": rows}
        given.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
