"""Make the sample photographs without poses again: a room's corner with boxes, 12 JPEG files.

    python benchmarks/scenes/corner.py

Everything is painted with noise that hangs in space, so that features are found everywhere and no
texture has to be laid on. Rays are cast in NumPy, four a pixel. The photographs carry an EXIF focal
length and nothing of their poses; those stand in `truth.json`, world to camera with x right, y down
and z forward, for the tests.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

WIDTH, HEIGHT, SUPERSAMPLING = 400, 300, 2
FOCAL_PX, FOCAL_35MM = 400.0, 36
COUNT, QUALITY = 12, 82
PHOTOGRAPHS = Path(__file__).parents[2] / "src" / "fovea" / "samples" / "corner"

# Centre and half size of each box; the room is the outside of one.
BOXES = [
    ((-0.5, 0.4, 0.45), (0.35, 0.35, 0.45)),
    ((0.6, 0.9, 0.3), (0.45, 0.25, 0.3)),
    ((0.5, -0.3, 0.2), (0.2, 0.3, 0.2)),
]
ROOM_LOW, ROOM_HIGH = np.array([-2.0, -6.0, 0.0]), np.array([2.0, 1.6, 2.6])
SUN = np.array([0.4, -0.75, 0.55])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=PHOTOGRAPHS)
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    truth = {}
    for number, angle in enumerate(np.linspace(-0.65, 0.65, COUNT)):
        place = np.array([3.2 * np.sin(angle), -3.2 * np.cos(angle), 1.1 + 0.25 * (number % 3)])
        place[0] = place[0].clip(-1.9, 1.9)
        rotation = look_at(place, np.array([0.0, 0.5, 0.6]))
        name = f"corner_{number:02d}.jpg"
        exif = Image.Exif()
        inner = exif.get_ifd(ExifTags.IFD.Exif)
        inner[ExifTags.Base.FocalLengthIn35mmFilm] = FOCAL_35MM
        photograph(place, rotation).save(folder / name, quality=QUALITY, exif=exif)
        truth[name] = {"rotation": rotation.tolist(), "position": place.tolist()}
    document = {"focal_px": FOCAL_PX, "width": WIDTH, "height": HEIGHT, "photographs": truth}
    (folder / "truth.json").write_text(json.dumps(document, indent=1) + "\n")


def look_at(place: np.ndarray, target: np.ndarray) -> np.ndarray:
    forward = (target - place) / np.linalg.norm(target - place)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(forward, right), forward])


def photograph(place: np.ndarray, rotation: np.ndarray) -> Image.Image:
    steps = SUPERSAMPLING
    columns = (np.arange(WIDTH * steps) + 0.5) / steps - WIDTH / 2
    rows = (np.arange(HEIGHT * steps) + 0.5) / steps - HEIGHT / 2
    x, y = np.meshgrid(columns / FOCAL_PX, rows / FOCAL_PX)
    rays = np.stack([x, y, np.ones_like(x)], axis=-1).reshape(-1, 3) @ rotation
    distance, normal = leave(place, rays, ROOM_LOW, ROOM_HIGH)
    for centre, half in BOXES:
        near, facing = enter(place, rays, np.subtract(centre, half), np.add(centre, half))
        is_nearer = near < distance
        distance = np.where(is_nearer, near, distance)
        normal = np.where(is_nearer[:, None], facing, normal)
    at = place + distance[:, None] * rays
    light = 0.35 + 0.65 * np.clip(normal @ (SUN / np.linalg.norm(SUN)), 0, 1)
    color = np.stack([noise(at + shift, seed=3) for shift in (0.0, 0.02, 0.04)], axis=-1)
    linear = color * light[:, None]
    linear = linear.reshape(HEIGHT, steps, WIDTH, steps, 3).mean(axis=(1, 3))
    return Image.fromarray((255 * linear.clip(0, 1) ** (1 / 2.2) + 0.5).astype(np.uint8))


def leave(place, rays, low, high):
    """Where rays from inside a box meet it, and the normal there."""
    with np.errstate(divide="ignore"):
        times = np.where(rays > 0, (high - place) / rays, (low - place) / rays)
    axis = times.argmin(axis=1)
    return times.min(axis=1), -np.sign(np.take_along_axis(rays, axis[:, None], 1)) * np.eye(3)[axis]


def enter(place, rays, low, high):
    """Where rays from outside a box meet it, infinitely far where they do not, and the normal."""
    with np.errstate(divide="ignore"):
        one, two = (low - place) / rays, (high - place) / rays
    near, far = np.minimum(one, two), np.maximum(one, two)
    axis = near.argmax(axis=1)
    first = near.max(axis=1)
    is_hit = (first > 0) & (first < far.min(axis=1))
    normal = -np.sign(np.take_along_axis(rays, axis[:, None], 1)) * np.eye(3)[axis]
    return np.where(is_hit, first, np.inf), normal


def noise(points: np.ndarray, *, seed: int) -> np.ndarray:
    """Values in 0..1 that vary smoothly in space, at wavelengths from 0.5 down to 0.03."""
    table = np.random.default_rng(seed).random(4096)
    total, weight = np.zeros(len(points)), 0.0
    for octave in range(5):
        scaled = points * 3.0 * 1.8**octave
        corner = np.floor(scaled).astype(np.int64)
        part = scaled - corner
        part = part * part * (3 - 2 * part)
        for offset in np.ndindex(2, 2, 2):
            cell = corner + offset
            spread = cell @ np.array([73856093, 19349663, 83492791]) + 7919 * octave
            share = np.prod(np.where(offset, part, 1 - part), axis=1)
            total += share * table[spread % 4096]
        weight += 1
    return ((total / weight - 0.5) * 3.0 + 0.45).clip(0.03, 0.97)


if __name__ == "__main__":
    main()
