"""Points from photographs whose poses are known: features, matched where the epipolar line allows.

Each view is matched with the few that look the same way from nearby; a match becomes a point when
both rays meet in front of both cameras at some angle. Points of several pairs are not merged: a fit
likes a dense start better than an exact one.

Source: Lowe, "Distinctive Image Features from Scale-Invariant Keypoints" (2004), for features and
the ratio test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float

from fovea.scene.camera import Camera
from fovea.scene.capture import Photograph

FEATURES = 2500
NEIGHBOURS = 5
RATIO = 0.85
EPIPOLAR_PX = 1.5
REPROJECTION_PX = 1.5
LEAST_ANGLE_DEG = 1.5
MOST_VIEW_ANGLE_DEG = 40.0


@dataclass(frozen=True)
class _Features:
    camera: Camera
    pixels: Float[np.ndarray, "n 2"]
    descriptors: Float[np.ndarray, "n 128"]
    colors: Float[np.ndarray, "n 3"]

    @property
    def projection(self) -> Float[np.ndarray, "3 4"]:
        return (self.camera.intrinsics @ self.camera.world_to_camera[:3]).numpy()


def triangulate(
    photographs: Sequence[Photograph], progress: Callable[[int, int], None] = lambda a, b: None
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]]:
    """Positions and sRGB colours of the points that pairs of photographs agree on; maybe none."""
    features = []
    for number, photograph in enumerate(photographs):
        features.append(_features(photograph))
        progress(number + 1, 2 * len(photographs))
    found = [(np.empty((0, 3)), np.empty((0, 3)))]
    for first, others in enumerate(_neighbours([f.camera for f in features])):
        found += [_points(features[first], features[second]) for second in others]
        progress(len(photographs) + first + 1, 2 * len(photographs))
    positions, colors = (np.concatenate(part) for part in zip(*found, strict=True))
    return positions, colors


def _features(photograph: Photograph) -> _Features:
    pixels = photograph.pixels.numpy()
    grey = cv2.cvtColor(np.ascontiguousarray(pixels[..., :3]), cv2.COLOR_RGB2GRAY)
    mask = np.ascontiguousarray(pixels[..., 3]) if photograph.is_cut_out else None
    sift = cv2.SIFT.create(nfeatures=FEATURES, contrastThreshold=0.02)
    # OpenCV's stubs know neither a mask of None nor descriptors of None.
    detect: Any = sift.detectAndCompute
    keys, descriptors = detect(grey, mask)
    if descriptors is None or len(keys) < 2:
        return _Features(photograph.camera, np.empty((0, 2)), np.empty((0, 128)), np.empty((0, 3)))
    # OpenCV counts from the centre of the first pixel, we from its corner.
    at = np.array([key.pt for key in keys], dtype=np.float64) + 0.5
    column, row = at.astype(int).T
    root = np.sqrt(descriptors / np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-9))
    return _Features(photograph.camera, at, root, pixels[row, column, :3] / 255.0)


def _neighbours(cameras: Sequence[Camera]) -> Iterator[list[int]]:
    """For each camera the later ones that stand nearest and look nearly the same way."""
    positions = np.stack([camera.position.numpy() for camera in cameras])
    forward = np.stack([camera.rotation[2].numpy() for camera in cameras])
    away = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
    turned = forward @ forward.T < np.cos(np.radians(MOST_VIEW_ANGLE_DEG))
    away[turned | (away == 0)] = np.inf
    chosen: set[tuple[int, int]] = set()
    for first, row in enumerate(away):
        near = [int(n) for n in np.argsort(row)[: 3 * NEIGHBOURS] if np.isfinite(row[n])]
        # Every third of the nearest: neighbours of a video are too near to see depth.
        picked = near[: NEIGHBOURS // 2] + near[NEIGHBOURS // 2 :: 3]
        chosen |= {(min(first, n), max(first, n)) for n in picked[:NEIGHBOURS]}
    for first in range(len(cameras)):
        yield sorted(second for one, second in chosen if one == first)


def _points(one: _Features, two: _Features) -> tuple[np.ndarray, np.ndarray]:
    first, second = _matches(one, two)
    if len(first) == 0:
        return np.empty((0, 3)), np.empty((0, 3))
    at_one, at_two = one.pixels[first], two.pixels[second]
    near_line = _epipolar_distance(one.camera, two.camera, at_one, at_two) < EPIPOLAR_PX
    first, at_one, at_two = first[near_line], at_one[near_line], at_two[near_line]
    if len(first) == 0:
        return np.empty((0, 3)), np.empty((0, 3))
    homogeneous = cv2.triangulatePoints(one.projection, two.projection, at_one.T, at_two.T)
    points = (homogeneous[:3] / np.where(homogeneous[3] == 0, 1e-12, homogeneous[3])).T
    good = _is_seen(one.camera, points, at_one) & _is_seen(two.camera, points, at_two)
    good &= _angle_deg(one.camera, two.camera, points) > LEAST_ANGLE_DEG
    return points[good], one.colors[first][good]


def _matches(one: _Features, two: _Features) -> tuple[np.ndarray, np.ndarray]:
    """Mutual best matches that are clearly better than the second best."""
    if len(one.pixels) < 2 or len(two.pixels) < 2:
        return np.empty(0, int), np.empty(0, int)
    likeness = one.descriptors @ two.descriptors.T
    rows = np.arange(len(likeness))
    best = likeness.argmax(axis=1)
    mutual = likeness.argmax(axis=0)[best] == rows
    top = likeness[rows, best]
    likeness[rows, best] = -1
    distance, second = (np.sqrt(np.maximum(2 - 2 * v, 0)) for v in (top, likeness.max(axis=1)))
    first = rows[mutual & (distance < RATIO * second)]
    return first, best[first]


def _epipolar_distance(
    one: Camera, two: Camera, at_one: np.ndarray, at_two: np.ndarray
) -> np.ndarray:
    """How far, in px, the second place is from the line on which it must lie."""
    relative = (two.world_to_camera @ one.camera_to_world).numpy()
    x, y, z = relative[:3, 3]
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    inverse_one, inverse_two = (np.linalg.inv(c.intrinsics.numpy()) for c in (one, two))
    fundamental = inverse_two.T @ cross @ relative[:3, :3] @ inverse_one
    ones = np.ones((len(at_one), 1))
    lines = np.concatenate([at_one, ones], axis=1) @ fundamental.T
    off = (lines * np.concatenate([at_two, ones], axis=1)).sum(axis=1)
    return np.abs(off) / np.maximum(np.linalg.norm(lines[:, :2], axis=1), 1e-12)


def _is_seen(camera: Camera, points: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Whether points lie before a camera and project to where they were found."""
    import torch

    pixels, depth = camera.project(torch.from_numpy(points))
    return (depth.numpy() > 0) & (np.linalg.norm(pixels.numpy() - at, axis=1) < REPROJECTION_PX)


def _angle_deg(one: Camera, two: Camera, points: np.ndarray) -> np.ndarray:
    rays = [points - camera.position.numpy() for camera in (one, two)]
    lengths = [np.linalg.norm(ray, axis=1) for ray in rays]
    cosine = (rays[0] * rays[1]).sum(axis=1) / np.maximum(lengths[0] * lengths[1], 1e-12)
    return np.degrees(np.arccos(cosine.clip(-1, 1)))
