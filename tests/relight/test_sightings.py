"""What photographs show of a ball of which all is known."""

import numpy as np
import pytest
import torch
import trimesh

from fovea.errors import DataError
from fovea.relight import sightings
from fovea.relight.sightings import Sightings, look, vertex_colors
from fovea.relight.surface.mesh import Mesh
from fovea.relight.surface.rays import Tracer
from fovea.scene.camera import Camera
from fovea.scene.capture import Photograph
from fovea.scene.color import srgb_to_linear

COLOR = (200, 100, 40)
RING = ((4, 0, 0.5), (0, 4, -0.5), (-4, 0, 0.5), (0, -4, -0.5), (0.3, 0, 4), (0.3, 0, -4))


@pytest.fixture(scope="module")
def ball() -> Tracer:
    made = trimesh.creation.icosphere(3)
    return Tracer(Mesh.from_triangles(made.vertices, made.faces))


def photograph(position, channels: int = 3, size: int = 32, target=(0, 0, 0)) -> Photograph:
    camera = Camera.look_at(position, target, fov_x=0.6, height=size, width=size)
    pixels = torch.tensor([*COLOR, 255][:channels], dtype=torch.uint8).repeat(size, size, 1)
    return Photograph(camera, pixels)


def looked(photographs, tracer: Tracer, seed: int = 0) -> Sightings:
    return look(photographs, tracer, random=torch.Generator().manual_seed(seed))


def test_a_pixel_looks_at_the_place_where_its_ray_meets_the_ball(ball):
    shot = photograph((0, -4, 1))
    seen = looked([shot], ball)
    rays = shot.camera.directions().reshape(-1, 3)
    eye = shot.camera.position
    # A ray meets the unit ball where t^2 + 2 t (eye . ray) + |eye|^2 - 1 = 0.
    half = rays @ eye
    root = half.square() - eye.dot(eye) + 1
    met = (eye + (-half - root.clamp_min(0).sqrt()).unsqueeze(1) * rays).float()
    clear = root > 0.1
    assert (root > 0).sum() >= len(seen) >= clear.sum() > 200
    nearest = torch.cdist(seen.points, met[root > -0.1]).min(dim=1)
    deep = nearest.values < 0.02
    assert deep.float().mean() > 0.9
    torch.testing.assert_close(seen.points.norm(dim=1), torch.ones(len(seen)), atol=0.02, rtol=0)
    torch.testing.assert_close(seen.view.norm(dim=1), torch.ones(len(seen)))
    back = torch.nn.functional.normalize(eye.float() - seen.points, dim=1)
    torch.testing.assert_close(seen.view, back, atol=1e-4, rtol=0)
    assert ((seen.normals * seen.view).sum(dim=1) > 0).all()


def test_three_vertices_and_their_shares_are_the_place(ball):
    seen = looked([photograph((0, -4, 1))], ball)
    corners = torch.from_numpy(ball.mesh.vertices)[seen.corners]
    mixed = (corners * seen.weights.unsqueeze(-1)).sum(dim=1)
    torch.testing.assert_close(mixed, seen.points, atol=1e-4, rtol=0)
    torch.testing.assert_close(seen.weights.sum(dim=1), torch.ones(len(seen)))


def test_each_place_has_the_colour_of_its_pixel(ball):
    shot = photograph((0, -4, 0))
    shot.pixels[:, 16:, 0] = 10
    seen = looked([shot], ball)
    # Seen from -y, x grows to the right.
    right = seen.points[:, 0] > 0.05
    assert (seen.colors[right, 0] == 10 / 255).all()
    assert (seen.colors[seen.points[:, 0] < -0.05, 0] == COLOR[0] / 255).all()
    some = seen[torch.tensor([3, 1])]
    assert len(some) == 2
    assert torch.equal(some.points, seen.points[[3, 1]])


def test_what_is_cut_out_is_not_looked_at(ball):
    shot = photograph((0, -4, 0), channels=4)
    shot.pixels[:, :16, 3] = 0
    shot.pixels[:8, :, 3] = 250
    seen = looked([shot], ball)
    assert 0 < len(seen) < 0.6 * len(looked([photograph((0, -4, 0))], ball))
    assert (seen.points[:, 0] > -0.05).all()
    assert (seen.points[:, 2] < 0.65).all()


def test_of_too_many_pixels_an_even_share_is_taken_by_seed(ball, monkeypatch):
    shots = [photograph(position) for position in RING]
    every = len(looked(shots, ball))
    monkeypatch.setattr(sightings, "MOST", 500)
    one, same, other = (looked(shots, ball, seed) for seed in (1, 1, 2))
    assert every > 1500
    assert len(one) == pytest.approx(500, abs=100)
    assert torch.equal(one.points, same.points)
    assert len(one) != len(other) or not torch.equal(one.points, other.points)


def test_the_vertices_of_a_ball_of_one_colour_have_it(ball):
    colors = vertex_colors(looked([photograph(p) for p in RING], ball), ball)
    expected = srgb_to_linear(torch.tensor(COLOR) / 255).numpy()
    np.testing.assert_allclose(colors, np.broadcast_to(expected, colors.shape), rtol=1e-4)


def test_radiance_is_averaged_and_not_its_srgb_and_frontal_views_count_most(ball):
    bright, dark = photograph((0, -4, 0)), photograph((0, -4, 0))
    bright.pixels[:], dark.pixels[:] = 255, 0
    top = ball.mesh.vertices[:, 1].argmin()
    both = vertex_colors(looked([bright, dark], ball), ball)
    np.testing.assert_allclose(both[top], 0.5, atol=1e-3)
    # The same place aslant, dark, beside straight on, bright.
    aslant = photograph((3.6, -1.8, 0))
    aslant.pixels[:] = 0
    found = vertex_colors(looked([bright, aslant], ball), ball)[top]
    assert (found > 0.95).all()


def test_vertices_that_nobody_sees_take_their_neighbours_colour(ball):
    shot = photograph((0, -4, 0))
    colors = vertex_colors(looked([shot], ball), ball)
    expected = srgb_to_linear(torch.tensor(COLOR) / 255).numpy()
    hidden = ball.mesh.vertices[:, 1] > 0.5
    assert hidden.sum() > 100
    np.testing.assert_allclose(colors[hidden], np.broadcast_to(expected, (hidden.sum(), 3)), 1e-3)


def test_what_is_not_joined_to_anything_seen_stays_black():
    far = np.array([[5.0, 5, 5], [5, 6, 5], [6, 5, 5]])
    made = trimesh.creation.icosphere(2)
    both = Mesh.from_triangles(
        np.concatenate([made.vertices, far]),
        np.concatenate([made.faces, [np.arange(3) + len(made.vertices)]]),
    )
    tracer = Tracer(both)
    colors = vertex_colors(looked([photograph((0, -4, 0))], tracer), tracer)
    assert not colors[-3:].any()
    assert colors[:-3].all()


def test_the_photographs_of_another_scene_are_refused(ball):
    away = [photograph((0, -4, 0), target=(0, -8, 0)), photograph((0, 9, 0), target=(0, 20, 0))]
    with pytest.raises(DataError, match=r"none of 2 shows it.*another scene"):
        looked(away, ball)
