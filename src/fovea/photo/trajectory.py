"""Where the camera stands in each frame of a film made of one photograph.

The photograph's camera is at the origin with OpenCV axes, so that "up" is -y and the eye moves in
the plane z = distance. `f` is the focal length, `W` and `H` the size of the photograph, in pixels.

Pixel centres: Camera has the centre of pixel i at i + 0.5, and so has the reference's renderer
(gsplat). The principal point of a photograph is then W / 2. The reference renders with (W - 1) / 2,
half a pixel off its own photograph; `mode=reference` repeats that, the default does not.

Source: Mescheder et al., "Sharp Monocular View Synthesis in Less Than a Second" (2025), its public
camera paths; the dolly zoom is ours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from fovea.errors import DataError
from fovea.photo.settings.film import TrajectoryConfig
from fovea.scene.camera import Camera

Mode = Literal["corrected", "reference"]
Eye = Float[np.ndarray, " 3"]
Eyes = Float[np.ndarray, "frames 3"]

UP = np.array([0.0, -1.0, 0.0])
NEAREST_TARGET_M = 2.0
"""The point that is looked at is never nearer."""
TALLEST_PX = 3000
"""The reference halves pictures that are taller."""


@dataclass(frozen=True)
class DepthRange:
    """How deep a scene is: quantiles of z over the means in front of the camera.

    Attributes:
        near: of 0.1 %.
        focus: of 10 %.
        far: of 99.9 %.
    """

    near: float
    focus: float
    far: float

    @classmethod
    def of(cls, means: Float[Tensor, "N 3"]) -> DepthRange:
        """The depth range of Gaussians.

        Raises:
            DataError: none lies in front of the camera.
        """
        z = means[:, 2].detach().cpu().numpy()
        z = z[z > 0]
        if not len(z):
            raise DataError(
                f"a film needs Gaussians in front of the photograph's camera, z > 0, and of "
                f"{len(means)} there is none. Turn the scene: x right, y down, z forward."
            )
        return cls(*(float(value) for value in np.quantile(z, (0.001, 0.1, 0.999))))

    @property
    def target_m(self) -> float:
        """Depth of the point that the camera looks at."""
        return max(NEAREST_TARGET_M, self.focus)


def maximum_offsets(
    config: TrajectoryConfig, near: float, *, focal_px: float, height: int, width: int
) -> tuple[float, float, float]:
    """How far the eye goes to the side, up and forward, in m."""
    diagonal = math.hypot(width / focal_px, height / focal_px)
    aside = config.max_disparity * diagonal * near
    return aside, aside, config.max_zoom * near


def eye_positions(config: TrajectoryConfig, offsets: tuple[float, float, float]) -> Eyes:
    """Where the eye is in each frame, both ends of the motion included."""
    count = config.steps * config.repeats
    aside, up, forward = offsets
    turn = 2 * np.pi * np.linspace(0, config.repeats, count)
    still = np.zeros(count)
    match config.trajectory:
        case "swipe":
            x = np.tile(np.linspace(-aside, aside, config.steps), config.repeats)
            places = x, still, still
        case "shake":
            first = count // 2
            turns = [
                2 * np.pi * np.linspace(0, config.repeats, part) for part in (first, count - first)
            ]
            x = np.append(aside * np.sin(turns[0]), np.zeros(count - first))
            y = np.append(np.zeros(first), up * np.sin(turns[1]))
            places = x, y, still
        case "rotate":
            places = aside * np.sin(turn), up * np.cos(turn), still
        case "rotate_forward":
            places = aside * np.sin(turn), still, forward * (1 - np.cos(turn)) / 2
        case "dolly_zoom" | "still":
            places = still, still, still
    return np.stack(places, axis=-1) + np.array([0.0, 0.0, config.distance_m])


def looking(eye: Eye, target: Eye) -> Float[np.ndarray, "4 4"]:
    """World to camera of an eye that has a point in the middle of its picture."""
    front = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(front, UP)
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(front, right), front])
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    matrix[:3, 3] = -rotation @ eye
    return matrix


def poses(config: TrajectoryConfig, eyes: Eyes, target_m: float) -> list[Float[np.ndarray, "4 4"]]:
    """World to camera in each frame."""
    target = np.array([0.0, 0.0, target_m])
    return [looking(eye, target + eye * (config.lookat == "ahead")) for eye in eyes]


def reference_size(*, height: int, width: int) -> tuple[int, int]:
    """Height and width of the reference's film: halved where too tall, then even."""
    if height > TALLEST_PX:
        height, width = height // 2, width // 2
    return height + height % 2, width + width % 2


def film_size(*, height: int, width: int, longest_px: int) -> tuple[int, int]:
    """Height and width of a film of a photograph: even, its longer side at most `longest_px`."""
    share = min(1.0, longest_px / max(height, width))
    height, width = (max(2, 2 * round(size * share / 2)) for size in (height, width))
    return height, width


def photograph_camera(*, focal_px: float, height: int, width: int, mode: Mode) -> Camera:
    """The camera of the photograph itself, at the origin."""
    centre = (width - 1, height - 1) if mode == "reference" else (width, height)
    matrix = [[focal_px, 0.0, centre[0] / 2], [0.0, focal_px, centre[1] / 2], [0.0, 0.0, 1.0]]
    lens = torch.tensor(matrix, dtype=torch.float64)
    return Camera(torch.eye(4, dtype=torch.float64), lens, height=height, width=width)


def film_cameras(config: TrajectoryConfig, lens: Camera, depths: DepthRange) -> list[Camera]:
    """The camera of each frame.

    Args:
        config: the motion.
        lens: the photograph's camera, of the photograph's size.
        depths: of the scene.

    Raises:
        DataError: the subject of a dolly zoom is nearer than the way forward allows.
    """
    focal_px = float(lens.intrinsics[0, 0])
    offsets = maximum_offsets(
        config, depths.near, focal_px=focal_px, height=lens.height, width=lens.width
    )
    eyes = eye_positions(config, offsets)
    if config.trajectory == "dolly_zoom":
        return _dolly_zoom(config, lens, config.subject_m or depths.focus)
    return [
        replace(lens, world_to_camera=torch.from_numpy(pose))
        for pose in poses(config, eyes, depths.target_m)
    ]


def _dolly_zoom(config: TrajectoryConfig, lens: Camera, subject_m: float) -> list[Camera]:
    """The eye goes away and comes back, the lens so that the subject's size stays.

    At depth `subject_m` a length L has f L / (subject_m - z) pixels, so f is proportional to the
    distance that is left.
    """
    count = config.steps * config.repeats
    turn = 2 * np.pi * np.linspace(0, config.repeats, count)
    start = config.distance_m
    if subject_m <= start:
        raise DataError(
            f"a dolly zoom keeps the size of a subject before the camera; the subject is at "
            f"{subject_m:.3g} m and the camera starts at distance_m={start:.3g}. Set subject_m."
        )
    places = start - config.dolly * (subject_m - start) * (1 - np.cos(turn)) / 2
    cameras: list[Camera] = []
    for z in places:
        pose = np.eye(4)
        pose[2, 3] = -z
        intrinsics = lens.intrinsics.clone()
        intrinsics[0, 0] *= (subject_m - z) / (subject_m - start)
        intrinsics[1, 1] *= (subject_m - z) / (subject_m - start)
        cameras.append(replace(lens, world_to_camera=torch.from_numpy(pose), intrinsics=intrinsics))
    return cameras
