"""Score `lite` beside a wall and the ground on the real stereo pairs, which nothing was trained on.

    python benchmarks/lite/score.py --data ../shared/data

Depth is scored after scale and shift of its inverse; the right view is drawn with the same two
numbers, so that the guesses meet the same question. `--record` writes the rows as the other
benchmarks do.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from fovea.photo.lite.network import WEIGHTS
from fovea.photo.lite.predictor import load_lite
from fovea.photo.pair import read_pair
from fovea.photo.photograph import Photograph
from fovea.photo.settings.evaluate import EvaluateConfig
from fovea.photo.stereo_scores import evaluate_stereo
from fovea.photo.turbo import depth_colors
from fovea.scene.image import write_image

sys.path.insert(0, str(Path(__file__).parents[1] / "speed"))
from record import write_record

PAIRS = {
    "stereo_motorcycle": {"focal_px": 994.978, "baseline_mm": 193.001, "offset_px": 31.086},
    "stereo_aloe": {},
}
"""Calibration where the data set says it; the aloe's depth is known up to a scale."""
SHOWN = ("abs_rel", "delta_1.25", "psnr", "psnr_seen")
FALLBACK_MM, FULL_FRAME_MM = 30.0, 43.26661531


def assumed_focal_px(pixels: UInt8[np.ndarray, "height width 3"]) -> float:
    """Of a photograph that does not say: 30 mm on 35 mm film."""
    return FALLBACK_MM / FULL_FRAME_MM * float(np.hypot(*pixels.shape[:2]))


def main() -> None:
    """One table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--pictures", type=Path, help="folder for depths and foretold right views")
    parser.add_argument("--record", type=Path)
    given = parser.parse_args()
    predictor = load_lite(given.weights)
    rows: list[dict[str, object]] = []
    for name, calibration in PAIRS.items():
        pair = read_pair(
            EvaluateConfig(scene=".", data=given.data / "photos" / name, **calibration)
        )
        focal_px = pair.focal_px or assumed_focal_px(pair.left)
        photograph = Photograph(name, pair.left, focal_px, "calibration or 30 mm")
        prediction = predictor.predict(photograph)
        looks = evaluate_stereo(pair, prediction.gaussians, photograph.camera())
        for method, look in looks.items():
            row = {key: round(look.scores[key], 3) for key in SHOWN}
            rows.append({"pair": name, "method": method, **row})
            print(f"{name:18} {method:7}", *(f"{k} {v:.3f}" for k, v in row.items()), flush=True)
            if given.pictures:
                depth = depth_colors(look.depth, float(np.nanmax(pair.depth())))
                shown = np.concatenate([pair.left, depth, look.right, pair.right], 1)
                small = cv2.resize(shown, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
                path = given.pictures / f"{name}-{method}.png"
                write_image(path, small.astype(np.float32) / 255)
    if given.record:
        write_record(given.record, "lite", rows)


if __name__ == "__main__":
    main()
