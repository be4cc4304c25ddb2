"""Render many random views into a folder of arrays that the training maps into memory.

    python benchmarks/lite/views.py --into runs/lite/views --count 6000 --seed 1

Portrait views are stored lying on their side, with a mark. The rendering can be stopped and goes
on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from render import render
from scenes import FAMILIES, scene
from textures import atlas, panoramas

HEIGHT, WIDTH = 192, 256
SHARES = {"room": 0.36, "outdoors": 0.24, "table": 0.24, "close": 0.16}
FIELDS = {
    "color": ((2, HEIGHT, WIDTH, 3), np.uint8),
    "inverse_depth": ((2, HEIGHT, WIDTH), np.float16),
    "camera": ((3,), np.float32),  # focal length over sqrt(height * width), portrait, family
}


def fields(folder: Path, count: int, mode: str) -> dict[str, np.memmap]:
    """The arrays of a folder, mapped into memory."""
    return {
        name: np.lib.format.open_memmap(
            folder / f"{name}.npy", mode, *((dtype, (count, *shape)) if mode == "w+" else ())
        )
        for name, (shape, dtype) in FIELDS.items()
    }


def one_view(seed: int, textures: np.ndarray, around: np.ndarray) -> tuple[np.ndarray, ...]:
    """Colours, inverse depths and camera of view `seed`."""
    rng = np.random.default_rng(seed)
    family = str(rng.choice(list(SHARES), p=list(SHARES.values())))
    portrait = rng.random() < 0.25
    height, width = (WIDTH, HEIGHT) if portrait else (HEIGHT, WIDTH)
    solids, view = scene(
        rng, family=family, textures=len(textures), panoramas=len(around),
        height=height * 5 // 4, width=width * 5 // 4,
    )  # fmt: skip
    color, depth, _ = render(solids, view, textures, around)
    color = np.clip(color * _exposure(color[0], rng), 0, 1)
    small = np.stack([cv2.resize(c, (width, height), interpolation=cv2.INTER_AREA) for c in color])
    inverse = np.stack(
        [cv2.resize(1 / d, (width, height), interpolation=cv2.INTER_NEAREST) for d in depth]
    )
    if rng.random() < (0.5 if family in ("close", "table") else 0.15):
        small[0] = _defocused(small[0], inverse[0], rng)
    if portrait:
        small, inverse = small.swapaxes(1, 2), inverse.swapaxes(1, 2)
    focal = view.focal_px / np.sqrt(view.height * view.width)
    camera = np.array([focal, portrait, list(FAMILIES).index(family)], np.float32)
    return (255 * small + 0.5).astype(np.uint8), inverse.astype(np.float16), camera


def _exposure(color: np.ndarray, rng: np.random.Generator) -> float:
    return float(rng.uniform(0.75, 1.15) * 0.45 / max(float(color.mean()), 0.08))


def _defocused(color: np.ndarray, inverse: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Blurs what lies before or behind a plane of focus, in steps."""
    focus = np.percentile(inverse, rng.uniform(50, 98))
    strength = rng.uniform(1.0, 6.0) / max(float(inverse.max()), 1e-3)
    blur = strength * np.abs(inverse - focus)
    out = color
    for sigma in (0.7, 1.5, 3.0):
        weight = np.clip((blur - 0.5 * sigma) / sigma, 0, 1)
        weight = cv2.GaussianBlur(weight.astype(np.float32), (0, 0), 1.0)[..., None]
        out = out * (1 - weight) + cv2.GaussianBlur(color, (0, 0), sigma) * weight
    return out


def main() -> None:
    """Render what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, required=True)
    parser.add_argument("--count", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--textures", type=int, default=500)
    parser.add_argument("--panoramas", type=Path, help="folder of .hdr light maps (optional)")
    given = parser.parse_args()
    given.into.mkdir(parents=True, exist_ok=True)
    done = given.into / "done.txt"
    first = int(done.read_text()) if done.exists() else 0
    out = fields(given.into, given.count, "r+" if first else "w+")
    textures = atlas(given.textures, np.random.default_rng(given.seed))
    around = panoramas(given.panoramas)
    for index in range(first, given.count):
        rows = one_view(given.seed * 1_000_000 + index, textures, around)
        for name, row in zip(FIELDS, rows, strict=True):
            out[name][index] = row
        if index % 20 == 19:
            for array in out.values():
                array.flush()
            done.with_suffix(".partial").write_text(str(index + 1))
            done.with_suffix(".partial").replace(done)


if __name__ == "__main__":
    main()
