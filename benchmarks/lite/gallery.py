"""Five photographs (scikit-image, public domain or CC0), their depth, and a step to the side.

python benchmarks/lite/gallery.py --photographs ../shared/data/photos/plain --into docs/images
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from score import assumed_focal_px

from fovea.photo.drawing import constant_colors, draw
from fovea.photo.lite.predictor import load_lite
from fovea.photo.photograph import Photograph
from fovea.photo.turbo import depth_colors

NAMES = ("astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg", "camera.png")
TILE = (288, 240)
STEP = 0.06
"""To the right, beside the median depth."""


def find(name: str, folder: Path) -> Path:
    """In the folder, or where scikit-image keeps its own."""
    import skimage.data

    own = folder / name
    return own if own.exists() else Path(skimage.data.__file__).parent / name


def main() -> None:
    """One picture: a column a photograph."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--into", type=Path, required=True)
    given = parser.parse_args()
    predictor = load_lite()
    columns: list[np.ndarray] = []
    for name in NAMES:
        pixels = cv2.imread(str(find(name, given.photographs)))[..., ::-1]
        pixels = np.ascontiguousarray(pixels)
        taken = Photograph(name, pixels, assumed_focal_px(pixels), "assumed 30 mm")
        found = predictor.predict(taken)
        camera = taken.camera()
        pose = camera.world_to_camera.clone()
        pose[0, 3] -= STEP * float(np.median(found.depth_m[0]))
        scene = found.gaussians
        beside = draw(scene, replace(camera, world_to_camera=pose), colors=constant_colors(scene))
        depth = depth_colors(found.depth_m[0], float(np.percentile(found.depth_m[0], 99)))
        rows = [pixels, depth, beside.filled().picture("linear")]
        columns.append(
            np.concatenate([cv2.resize(row, TILE, interpolation=cv2.INTER_AREA) for row in rows])
        )
    sheet = np.concatenate(columns, 1)[..., ::-1]
    cv2.imwrite(str(given.into / "lite.jpg"), sheet, [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == "__main__":
    main()
