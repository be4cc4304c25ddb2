"""Ways and shadows of point lights, against geometry that can be worked out."""

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from fovea.errors import DataError
from fovea.relight.light import cubemap
from fovea.relight.pointlight_film import PointFilm, depth_cube, key_path, traced_shadow
from fovea.relight.relighting import Studio
from fovea.relight.settings.film import FilmConfig
from fovea.relight.surface.mesh import Mesh
from fovea.relight.surface.rays import Tracer
from fovea.scene.camera import Camera
from fovea.scene.gaussians import Gaussians
from fovea.scene.rasterize import rasterize


def ring(count: int) -> list[Camera]:
    return [
        Camera.look_at(at, (0, 0, 0), fov_x=0.8, height=8, width=8)
        for at in ((3 * math.cos(a), 3 * math.sin(a), 1) for a in np.linspace(0, 4, count))
    ]


def ball(at, scale: float = 0.1) -> Gaussians:
    return Gaussians(
        means=torch.tensor([at], dtype=torch.float32),
        quats=torch.tensor([[1.0, 0, 0, 0]]),
        scales=torch.full((1, 3), scale),
        opacities=torch.tensor([0.99]),
        harmonics=torch.zeros(1, 1, 3),
    )


def at(depths: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
    return cubemap.sample(depths[..., None], direction, filter="nearest")


def test_a_way_passes_the_cameras_at_even_times_and_stops_short_of_the_last():
    keys = ring(5)
    way = key_path(keys, 16)
    for number, key in enumerate(keys[:-1]):
        torch.testing.assert_close(way[4 * number].world_to_camera, key.world_to_camera)
    reached = [float((camera.position - keys[-1].position).norm()) for camera in way]
    assert min(reached) == reached[-1] > 0.1
    assert np.linalg.norm(way[2].position) == pytest.approx(math.sqrt(10), abs=0.1)


def test_a_way_of_one_camera_stands():
    (key,) = ring(1)
    assert key_path([key], 3) == [key, key, key]


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("sign", [-1, 1])
def test_the_cube_of_depths_holds_distances_in_world_directions(axis, sign):
    toward = torch.tensor([0.35, 0.2, -0.3])
    toward[axis] = sign
    light = torch.tensor([0.4, -0.2, 0.1])
    scene = ball((light + 2 * toward).tolist())
    depths = depth_cube(scene, light, px=32, motion="shadow_map", mode="corrected")
    ahead = at(depths, toward)
    assert float(ahead) == pytest.approx(2 * float(toward.norm()), rel=0.01)
    assert float(at(depths, -toward)) > 1e5


def test_the_published_cube_holds_depths_along_the_axis_and_fills_its_holes_by_motion():
    toward = torch.tensor([1.0, 0.4, -0.4])
    scene = ball((2 * toward).tolist())
    cubes = {
        motion: depth_cube(scene, torch.zeros(3), px=32, motion=motion, mode="reference")
        for motion in ("shadow_map", "light_move")
    }
    for depths in cubes.values():
        assert float(at(depths, toward)) == pytest.approx(2, rel=0.01)
    behind = {motion: float(at(d, -toward)) for motion, d in cubes.items()}
    assert behind["shadow_map"] == pytest.approx(2, rel=0.02)
    assert behind["light_move"] == 0


def test_rays_find_what_stands_between_a_point_and_the_light():
    floor = [[-2, -2, 0], [2, -2, 0], [2, 2, 0], [-2, 2, 0]]
    lid = [[-0.5, -0.5, 1], [0.5, -0.5, 1], [0.5, 0.5, 1], [-0.5, 0.5, 1]]
    faces = [[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]]
    tracer = Tracer(Mesh.from_triangles(floor + lid, faces))
    camera = Camera.look_at((0, -9, 3), (0, 0, 0), fov_x=0.8, height=1, width=5)
    # The last stands inside the lid, as the depth of a shiny thing may; its surface is lit.
    seen = torch.tensor([[0.0, 0, 0], [0.9, 0, 0], [1.1, 0, 0], [0, 0, 1.0], [0, 0, 0.9]])
    normals = torch.tensor([0.0, 0, 1]).expand(seen.shape)
    found = traced_shadow(tracer, camera, seen, normals, torch.tensor([0.0, 0, 2]))
    assert found.tolist() == [True, True, False, False, False]


def test_a_film_is_black_where_nothing_is_though_the_light_stands_in_the_camera(monkeypatch):
    def buffer(studio: Studio, camera: Camera) -> SimpleNamespace:
        raster = rasterize(studio.gaussians, camera)
        away = camera.directions(unit=False).float()
        shape = raster.alpha.shape
        return SimpleNamespace(
            points=camera.position.float() + raster.depth[..., None] * away,
            normals=-torch.nn.functional.normalize(away, dim=-1),
            view=-torch.nn.functional.normalize(away, dim=-1),
            albedo=torch.full((*shape, 3), 0.5),
            roughness=torch.full((*shape, 1), 0.5),
            metallic=torch.zeros(*shape, 1),
            alpha=raster.alpha,
        )

    monkeypatch.setattr(Studio, "buffer", buffer)
    pictures = {}
    for falloff in (2.0, 3.0):
        point = {"motion": "light_move", "cube_px": 16, "intensity": 10, "falloff": falloff}
        config = FilmConfig(scene=Path("x"), point=point)
        shot = PointFilm(studio_of(config), config, ring(5), 4)
        pictures[falloff] = shot.picture(0, shot.cameras[0])
    assert pictures[2.0].isfinite().all()
    assert pictures[2.0][0, 0].max() == 0
    assert pictures[2.0][4, 4].min() > pictures[3.0][4, 4].max() > 0, "3 units away it fades more"


def studio_of(config: FilmConfig) -> Studio:
    return Studio(ball((0, 0, 0)), config)


@pytest.mark.parametrize("motion", ["shadow_map", "light_move"])
def test_either_the_light_or_the_camera_stands(motion):
    config = FilmConfig(scene=Path("x"), point={"motion": motion, "start": 1, "end": 6})
    shot = PointFilm(studio_of(config), config, ring(9), 10)
    at_light = torch.stack(shot.lights)
    at_camera = torch.stack([camera.position for camera in shot.cameras])
    stands, moves = (at_light, at_camera) if motion == "shadow_map" else (at_camera, at_light)
    assert float(stands.std(dim=0).max()) < 1e-6
    assert float(moves.std(dim=0).max()) > 0.5
    torch.testing.assert_close(at_light[0].double(), ring(9)[1].position.double())


def test_a_loop_comes_back():
    config = FilmConfig(scene=Path("x"), point={"motion": "shadow_map", "loop": True})
    shot = PointFilm(studio_of(config), config, ring(5), 50)
    gap = (shot.cameras[-1].position - shot.cameras[0].position).norm()
    assert float(gap) < 1


def test_a_way_without_cameras_is_refused():
    config = FilmConfig(scene=Path("x"), point={"motion": "shadow_map", "start": 7, "end": 7})
    with pytest.raises(DataError, match=r"point\.start=7 to point\.end=7 leaves none of the 9"):
        PointFilm(studio_of(config), config, ring(9), 10)


def test_rays_want_a_surface():
    config = FilmConfig(scene=Path("x"), point={"motion": "shadow_map", "shadows": "rays"})
    with pytest.raises(DataError, match=r"surface=None.*point\.shadows=cube"):
        PointFilm(studio_of(config), config, ring(9), 10)
