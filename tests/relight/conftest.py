"""A tiny capture that is made, not recorded: coloured balls seen from a ring of cameras."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fovea.scene import harmonics
from fovea.scene.camera import OPENGL_TO_OPENCV, Camera
from fovea.scene.gaussians import Gaussians
from fovea.scene.rasterize import rasterize

SIZE, FOV = 24, 0.8


def ring(count: int) -> list[Camera]:
    return [
        Camera.look_at(
            (3 * math.cos(a), 3 * math.sin(a), 0.8),
            (0.0, 0.0, 0.0),
            fov_x=FOV,
            height=SIZE,
            width=SIZE,
            name=f"view_{number:02d}",
        )
        for number, a in enumerate(np.linspace(0, 2 * math.pi, count, endpoint=False))
    ]


def make_balls() -> Gaussians:
    random = torch.Generator().manual_seed(3)
    count = 12
    return Gaussians(
        means=torch.rand(count, 3, generator=random) - 0.5,
        quats=torch.tensor([[1.0, 0.0, 0.0, 0.0]]).repeat(count, 1),
        scales=torch.full((count, 3), 0.18),
        opacities=torch.full((count,), 0.95),
        harmonics=harmonics.from_colors(torch.rand(count, 3, generator=random)),
    )


def write_capture(folder: Path, count: int = 10) -> Path:
    """A NeRF-synthetic capture with one file, RGBA."""
    frames = []
    (folder / "train").mkdir(parents=True)
    for camera in ring(count):
        raster = rasterize(make_balls().to(torch.float64), camera, backend="plain")
        alpha = raster.alpha.unsqueeze(-1)
        straight = raster.features / alpha.clamp_min(1e-6)
        rgba = torch.cat([straight.clamp(0, 1), alpha], dim=-1).mul(255).round().byte().numpy()
        Image.fromarray(rgba).save(folder / "train" / f"{camera.name}.png")
        pose = camera.camera_to_world @ OPENGL_TO_OPENCV
        frames.append({"file_path": f"train/{camera.name}", "transform_matrix": pose.tolist()})
    document = {"camera_angle_x": FOV, "frames": frames}
    (folder / "transforms_train.json").write_text(json.dumps(document))
    return folder


@pytest.fixture(scope="session")
def ball_capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capture of 10 views of 24x24 px, two of which are for testing."""
    return write_capture(tmp_path_factory.mktemp("capture") / "balls")


@pytest.fixture
def own_capture(tmp_path: Path, ball_capture: Path) -> Path:
    """The same, to be spoilt by a test."""
    import shutil

    return Path(shutil.copytree(ball_capture, tmp_path / "balls"))


@pytest.fixture
def balls() -> Gaussians:
    """The scene that the capture shows."""
    return make_balls()
