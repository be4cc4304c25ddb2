import numpy as np
import pytest
import torch

from fovea.relight.triangulate import triangulate
from fovea.scene.camera import Camera
from fovea.scene.capture import Photograph

HEIGHT, WIDTH, FOV = 120, 160, 0.9


@pytest.fixture(scope="module")
def wall() -> list[Photograph]:
    """A wall of random blots at z = 3, seen from three places side by side."""
    random = np.random.default_rng(0)
    blots = random.uniform((-2, -1.5), (2, 1.5), (220, 2))
    shades = random.uniform(30, 255, (220, 3))
    photographs = []
    for x in (-0.25, 0.0, 0.25):
        pose = np.eye(4)
        pose[0, 3] = -x
        camera = Camera.from_fov(pose, fov_x=FOV, height=HEIGHT, width=WIDTH)
        plane = camera.position.numpy() + 3 * camera.directions(unit=False).numpy()
        away = np.linalg.norm(plane[:, :, None, :2] - blots, axis=-1)
        image = shades[away.argmin(axis=-1)] * np.exp(-((away.min(axis=-1) / 0.08) ** 2))[..., None]
        photographs.append(Photograph(camera, torch.from_numpy(image.astype(np.uint8))))
    return photographs


def test_points_of_a_wall_lie_on_it(wall):
    points, colors = triangulate(wall)
    assert len(points) > 50
    assert np.median(np.abs(points[:, 2] - 3)) < 0.05
    assert colors.min() >= 0
    assert colors.max() <= 1


def test_photographs_without_features_give_no_points(wall):
    blank = [Photograph(p.camera, torch.full_like(p.pixels, 128)) for p in wall]
    points, colors = triangulate(blank)
    assert points.shape == colors.shape == (0, 3)


def test_what_is_cut_away_gives_no_points(wall):
    halves = []
    for photograph in wall:
        alpha = torch.full((HEIGHT, WIDTH, 1), 255, dtype=torch.uint8)
        alpha[HEIGHT // 2 :] = 0
        halves.append(Photograph(photograph.camera, torch.cat([photograph.pixels, alpha], dim=-1)))
    points, _ = triangulate(halves)
    assert len(points) > 10
    assert (points[:, 1] < 0.05).all()
