"""Score `lite` beside two guesses on the real stereo pairs (which nothing was trained on).

    python benchmarks/lite/score.py --data ../shared/data --weights src/fovea/photo/lite/lite.safetensors

Depth is scored after scale and shift of the inverse depth; the right view is drawn from the aligned
depth, so that the guesses meet the same question.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch

from fovea.metrics.depth import align_inverse_depth, depth_scores
from fovea.metrics.image import psnr
from fovea.photo.lite.network import WEIGHTS
from fovea.photo.lite.predictor import load_lite
from fovea.photo.photograph import Photograph
from fovea.scene.camera import Camera
from fovea.scene.color import linear_to_srgb
from fovea.scene.rasterize import rasterize


def pairs(data: Path) -> dict[str, tuple]:
    """Left, right, depth (0 unknown), focal length, baseline, shift of the right principal point."""
    folder = data / "photos" / "stereo_motorcycle"
    left, right = (_read(folder / f"motorcycle_{side}.png") for side in ("left", "right"))
    disparity = np.load(folder / "motorcycle_disp.npz")["arr_0"]
    f, b, doffs = 994.978, 0.193001, 31.086
    depth = np.where(np.isfinite(disparity), f * b / (disparity + doffs), 0)
    out = {"motorcycle": (left, right, depth, f, b, doffs)}
    folder = data / "photos" / "stereo_aloe"
    left, right = _read(folder / "aloeL.jpg"), _read(folder / "aloeR.jpg")
    disparity = cv2.imread(str(folder / "aloeGT.png"), 0).astype(np.float64)
    f, b = 3740.0, 0.160
    disparity = np.where(disparity > 0, disparity + 270.0, 0)  # the pair is cropped by 270 px
    depth = np.where(disparity > 0, f * b / np.maximum(disparity, 1), 0)
    out["aloe"] = (left, right, depth, f, b, 270.0)
    return out


def _read(path: Path) -> np.ndarray:
    return np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])


def guesses(shape: tuple[int, int]) -> dict[str, np.ndarray]:
    """A wall, and a ground that runs from near below to far at the upper border."""
    height, width = shape
    rows = (np.arange(height) + 0.5) / height
    ground = np.repeat((1 / np.maximum(rows, 0.02))[:, None], width, 1)
    return {"constant": np.ones(shape), "ground plane": ground}


def right_view(gaussians, left, f: float, b: float, doffs: float) -> np.ndarray:
    """What the right camera sees, sRGB in 0..1."""
    height, width = left.shape[:2]
    pose = np.eye(4)
    pose[0, 3] = -b
    lens = [[f, 0, width / 2 + doffs], [0, f, height / 2], [0, 0, 1]]
    camera = Camera(pose, lens, height=height, width=width)
    with torch.no_grad():
        drawn = rasterize(gaussians, camera)
    color = drawn.features / drawn.alpha[..., None].clamp_min(1e-3)
    return np.clip(linear_to_srgb(color.clamp(0, 1).numpy()), 0, 1)


def main() -> None:
    """One table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--pictures", type=Path)
    given = parser.parse_args()
    predictor = load_lite(given.weights)
    for name, (left, right, truth, f, b, doffs) in pairs(given.data).items():
        prediction = predictor.predict(Photograph(name, left, f, "calibration"))
        maps = {"lite": prediction.depth_m[0], **guesses(truth.shape)}
        for method, depth in maps.items():
            full = cv2.resize(depth, truth.shape[::-1], interpolation=cv2.INTER_LINEAR)
            known = truth > 0
            alignment = align_inverse_depth(full, truth, known)
            scores = depth_scores(alignment.depth(full), truth, known)
            print(
                f"{name} {method}: " + " ".join(f"{k} {v:.3f}" for k, v in scores.items()),
                flush=True,
            )


if __name__ == "__main__":
    main()
