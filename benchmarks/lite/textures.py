"""Skins for the scenes: crops of free photographs, and patterns from formulas."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from render import TEXTURE

PHOTOGRAPHS = [
    "astronaut.png",
    "brick.png",
    "camera.png",
    "chelsea.png",
    "coffee.png",
    "coins.png",
    "grass.png",
    "gravel.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "moon.png",
    "retina.jpg",
    "rocket.jpg",
    "page.png",
    "text.png",
]
"""Of scikit-image (public domain, CC0). Its motorcycle is for testing, hence not here."""


def photographs() -> list[np.ndarray]:
    """The photographs that the package scikit-image carries."""
    import skimage.data

    folder = Path(skimage.data.__file__).parent
    files = [folder / name for name in PHOTOGRAPHS]
    return [cv2.imread(str(f))[..., ::-1].astype(np.float32) / 255 for f in files]


def panoramas(folder: Path | None) -> np.ndarray:
    """Light maps of Poly Haven (CC0; the package viser carries six) as display pictures."""
    found = sorted(folder.glob("*.hdr")) if folder else []
    pictures = [np.zeros((256, 512, 3), np.uint8)]
    for path in found:
        linear = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., ::-1]
        linear = np.minimum(linear / (2.5 * np.median(linear.mean(2)) + 1e-6), 1.0)
        small = cv2.resize(linear.astype(np.float32), (512, 256), interpolation=cv2.INTER_AREA)
        pictures.append((255 * small ** (1 / 2.2)).astype(np.uint8))
    return np.stack(pictures)


def atlas(count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` textures with their smaller copies below, (count, 512, 256, 3) uint8."""
    photos = photographs()
    out = np.zeros((count, 2 * TEXTURE, TEXTURE, 3), np.uint8)
    for k in range(count):
        picture = _from_photograph(photos, rng) if rng.random() < 0.5 else _pattern(rng)
        picture = np.clip(_recolored(picture, rng), 0, 1)
        start, side = 0, TEXTURE
        while side >= 4:
            level = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
            out[k, start : start + side, :side] = 255 * level
            start, side = start + side, side // 2
    return out


def _from_photograph(photos: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    photo = photos[rng.integers(len(photos))]
    side = int(min(photo.shape[:2]) * rng.uniform(0.15, 1.0))
    y, x = rng.integers(photo.shape[0] - side + 1), rng.integers(photo.shape[1] - side + 1)
    crop = photo[y : y + side, x : x + side]
    if rng.random() < 0.5:
        crop = np.rot90(crop, rng.integers(4))
    if rng.random() < 0.3:  # seamless
        crop = np.concatenate([crop, crop[:, ::-1]], 1)
        crop = np.concatenate([crop, crop[::-1]], 0)
    return cv2.resize(np.ascontiguousarray(crop), (TEXTURE, TEXTURE), interpolation=cv2.INTER_AREA)


def noise(rng: np.random.Generator, slope: float, stretch: float = 1.0) -> np.ndarray:
    """Seamless noise in 0..1 whose spectrum falls with `slope`; stretched along x."""
    fy, fx = np.fft.fftfreq(TEXTURE)[:, None], np.fft.fftfreq(TEXTURE)[None] * stretch
    amplitude = 1 / (np.hypot(fx, fy) + 1 / TEXTURE) ** slope
    wave = np.fft.fft2(rng.normal(size=(TEXTURE, TEXTURE))) * amplitude
    field = np.fft.ifft2(wave).real
    low, high = np.percentile(field, [1, 99])
    return np.clip((field - low) / (high - low + 1e-9), 0, 1).astype(np.float32)


def _pattern(rng: np.random.Generator) -> np.ndarray:
    dark, light = np.sort(rng.random((2, 1)) + 0.22 * rng.normal(size=(2, 3)), 0).clip(0.02, 1)
    dark = dark * rng.uniform(0.4, 1)
    y, x = np.mgrid[:TEXTURE, :TEXTURE] / TEXTURE
    kind = rng.integers(7)
    if kind == 0:  # one colour, a little worn
        field = rng.random() + 0.15 * noise(rng, 1.2)
    elif kind == 1:
        field = noise(rng, rng.uniform(0.5, 2.0))
    elif kind == 2:  # wood
        rings = np.sin(2 * np.pi * (rng.integers(3, 9) * y + 2 * noise(rng, 1.8, 6)))
        field = 0.5 + 0.25 * rings + 0.4 * (noise(rng, 1.0, 12) - 0.5)
    elif kind == 3:  # bricks or tiles
        rows, columns = rng.integers(2, 9, 2)
        shift = 0.5 * (np.floor(y * rows) % 2) * rng.integers(2)
        a, b = (x * columns + shift) % 1, (y * rows) % 1
        joint = (np.minimum(a, 1 - a) < 0.05) | (np.minimum(b, 1 - b) < 0.07)
        tone = rng.random((rows, columns + 1))
        cell = tone[np.floor(y * rows).astype(int), np.floor(x * columns + shift).astype(int)]
        field = np.where(joint, rng.random(), 0.3 + 0.5 * cell) + 0.3 * (noise(rng, 0.8) - 0.5)
    elif kind == 4:
        n = rng.integers(1, 12)
        field = ((np.floor(x * 2 * n) + np.floor(y * 2 * n) * rng.integers(2)) % 2) * 0.8 + 0.1
    elif kind == 5:  # leaves and pebbles: thresholded noise
        field = (noise(rng, 1.3) > 0.5) * 0.6 + 0.4 * noise(rng, 0.8)
    else:  # cloth
        n = rng.integers(20, 60)
        field = 0.5 + 0.2 * np.sin(2 * np.pi * n * x) * np.sin(2 * np.pi * n * y)
        field = field + 0.5 * (noise(rng, 1.5) - 0.5)
    field = np.broadcast_to(np.asarray(field, np.float32), (TEXTURE, TEXTURE))[..., None]
    return (dark + (light - dark) * field).astype(np.float32)


def _recolored(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    gray = picture.mean(2, keepdims=True)
    picture = gray + (picture - gray) * rng.uniform(0, 1.1)
    if rng.random() < 0.3:
        picture = picture[..., rng.permutation(3)]
    return (0.5 + (picture - 0.5) * rng.uniform(0.4, 1.1)) * rng.uniform(0.8, 1.2, 3)
