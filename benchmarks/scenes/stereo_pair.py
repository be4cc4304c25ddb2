"""Make the sample stereo pair: three boards before a wall on a floor, from formulas.

    python benchmarks/scenes/stereo_pair.py src/fovea/samples/pair

Writes im0.png, im1.png, disp0.pfm, calib.txt (Middlebury's names) and scene.ply: the left picture
lifted to depths that are 8 % off and wavy, as a predictor's would be.
"""

import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from fovea.photo.lift import lift
from fovea.photo.sharp_ply import write_sharp_ply
from fovea.scene.camera import Camera

HEIGHT, WIDTH, FOCAL_PX, BASELINE_M = 72, 96, 90.0, 0.12
OVER = 4  # samples a pixel, each way
# Each plane: n . p = d, then bounds of x and y, then colour and the grain of its pattern.
PLANES = (
    ((0.0, 1.0, 0.0), 0.55, None, (0.55, 0.45, 0.35), 5.0),
    ((0.0, 0.0, 1.0), 4.0, None, (0.45, 0.55, 0.65), 3.0),
    ((0.3, 0.0, 1.0), 1.7, (-0.75, -0.25, -0.45, 0.55), (0.75, 0.25, 0.2), 9.0),
    ((-0.2, 0.0, 1.0), 2.3, (0.1, 0.8, -0.2, 0.55), (0.25, 0.6, 0.3), 7.0),
    ((0.0, -0.2, 1.0), 2.9, (-0.4, 0.4, -1.0, -0.35), (0.85, 0.7, 0.25), 6.0),
)


def pattern(u: np.ndarray, v: np.ndarray, grain: float) -> np.ndarray:
    waves = np.sin(grain * u * 2.1 + np.sin(grain * v)) * np.cos(grain * v * 1.7 + u)
    return 0.75 + 0.25 * waves + 0.2 * ((np.floor(grain * u) + np.floor(grain * v)) % 2)


def look(eye_x: float, over: int) -> tuple[np.ndarray, np.ndarray]:
    rows = (np.arange(HEIGHT * over) + 0.5) / over
    columns = (np.arange(WIDTH * over) + 0.5) / over
    y, x = np.meshgrid(rows - HEIGHT / 2, columns - WIDTH / 2, indexing="ij")
    rays = np.stack([x / FOCAL_PX, y / FOCAL_PX, np.ones_like(x)], axis=-1)
    depth = np.full(x.shape, np.inf)
    image = np.zeros((*x.shape, 3))
    for normal, distance, bounds, color, grain in PLANES:
        along = rays @ np.array(normal)
        with np.errstate(divide="ignore", invalid="ignore"):
            z = (distance - normal[0] * eye_x) / along
            px, py = eye_x + rays[..., 0] * z, rays[..., 1] * z
        hit = (z > 0) & (z < depth)
        if bounds:
            hit &= (px > bounds[0]) & (px < bounds[1]) & (py > bounds[2]) & (py < bounds[3])
        depth = np.where(hit, z, depth)
        flat = py if bounds or normal[2] else z
        shade = pattern(np.where(hit, px, 0), np.where(hit, flat, 0), grain)[..., None]
        image = np.where(hit[..., None], np.clip(np.array(color) * shade, 0, 1), image)
    return image, depth


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pictures = []
    for name, eye_x in (("im0.png", 0.0), ("im1.png", BASELINE_M)):
        image, _ = look(eye_x, OVER)
        small = cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        pictures.append(np.floor(small * 255 + 0.5).astype(np.uint8))
        Image.fromarray(pictures[-1]).save(folder / name)
    _, depth = look(0.0, 1)
    cv2.imwrite(str(folder / "disp0.pfm"), (FOCAL_PX * BASELINE_M / depth).astype(np.float32))
    lens = f"[{FOCAL_PX} 0 {WIDTH / 2}; 0 {FOCAL_PX} {HEIGHT / 2}; 0 0 1]"
    (folder / "calib.txt").write_text(
        f"cam0={lens}\ncam1={lens}\ndoffs=0\nbaseline={BASELINE_M * 1000:g}\n"
        f"width={WIDTH}\nheight={HEIGHT}\n"
    )
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    guess = depth * 1.08 * (1 + 0.03 * np.sin(columns / 9) * np.cos(rows / 7))
    matrix = [[FOCAL_PX, 0.0, WIDTH / 2], [0.0, FOCAL_PX, HEIGHT / 2], [0.0, 0.0, 1.0]]
    camera = Camera(torch.eye(4), torch.tensor(matrix), height=HEIGHT, width=WIDTH)
    scene = lift(pictures[0], guess, camera, grid=(36, 48), width=0.75)
    path = folder / "scene.ply"
    write_sharp_ply(path, scene, focal_px=FOCAL_PX, height=HEIGHT, width=WIDTH)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
