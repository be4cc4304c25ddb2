"""What every kind of capture becomes: views with cameras, and perhaps points."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float

from fovea.scene.camera import Camera

Split = Literal["train", "test"]


@dataclass(frozen=True)
class View:
    """One photograph and the camera that took it."""

    name: str
    camera: Camera
    """Of the size in the pose file; `photographs.load` brings it to the pixels' size."""
    image: Path
    split: Split = "train"
    mask: Path | None = None
    """White where the photograph counts; beside the alpha that it may hold itself."""
    truth: Mapping[str, Path] = field(default_factory=dict)
    """Ground truth beside the photograph, where there is any: `normal`, `albedo`, `roughness`,
    `metallic`, and `relit/<light>`, the same view under another light."""


@dataclass(frozen=True)
class Capture:
    """A set of posed photographs of one thing."""

    folder: Path
    views: tuple[View, ...]
    points: Float[np.ndarray, "n 3"] | None = None
    colors: Float[np.ndarray, "n 3"] | None = None
    """Of the points, sRGB in 0..1."""
    absent: tuple[str, ...] = ()
    """Views of the pose file whose photograph is not there."""
    environments: Mapping[str, Path] = field(default_factory=dict)
    """Environment maps that come with it, by the name of the light."""

    def split(self, name: Split) -> tuple[View, ...]:
        """The views of one split, in order."""
        return tuple(view for view in self.views if view.split == name)

    @property
    def identity(self) -> str:
        """A short word that differs where names, poses or lenses of the views do: `60 views 3fa9`.

        The folder does not count, nor what stands in the photographs.
        """
        digest = hashlib.sha256()
        for view in self.views:
            camera = view.camera
            digest.update(f"{view.name} {view.split} {camera.height} {camera.width}\n".encode())
            for matrix in (camera.world_to_camera, camera.intrinsics):
                digest.update(np.round(matrix.numpy(), 6).tobytes())
        return f"{len(self.views)} views {digest.hexdigest()[:8]}"

    @property
    def positions(self) -> Float[np.ndarray, "n 3"]:
        """Where the training views were taken from."""
        return np.stack([view.camera.position.numpy() for view in self.split("train")])

    @property
    def radius(self) -> float:
        """1.1 times the farthest training camera's distance from their centre: the scene's size.

        Source: Kerbl et al., "3D Gaussian Splatting" (2023), where it scales the learning rates.
        """
        positions = self.positions
        return float(1.1 * np.linalg.norm(positions - positions.mean(axis=0), axis=1).max())


def hold_out_every(views: Sequence[View], n: int) -> tuple[View, ...]:
    """Give every `n`-th view, beginning with the first, to the test split; 0 gives none."""
    return tuple(
        replace(view, split="test" if n and number % n == 0 else "train")
        for number, view in enumerate(views)
    )
