"""Balls and floors under lights whose effect is known."""

import numpy as np
import pytest
import torch
import trimesh

from fovea.relight import deferred
from fovea.relight.deferred import Relighter, diffuse_reflectance
from fovea.relight.gbuffer import GBuffer
from fovea.relight.light.environment import Environment
from fovea.relight.light.prefilter import Prefilter
from fovea.relight.shading import table
from fovea.relight.shading.split_sum import BlurredLight, shade_linear
from fovea.relight.surface.mesh import Mesh
from fovea.relight.surface.rays import Tracer
from fovea.scene.camera import Camera

SIZE = 24


@pytest.fixture(autouse=True)
def small_cubemaps(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is blurred is small: the lights here are smooth."""
    monkeypatch.setattr(deferred, "RES", 64)
    monkeypatch.setattr(deferred, "REFERENCE_RES", 64)


def ball() -> Mesh:
    made = trimesh.creation.icosphere(3)
    return Mesh.from_triangles(made.vertices, made.faces)


def grid(corner, first, second, count: int) -> tuple[np.ndarray, np.ndarray]:
    """A parallelogram of small triangles, that face along first x second."""
    at = np.linspace(0, 1, count + 1)
    u, v = (values.reshape(-1, 1) for values in np.meshgrid(at, at, indexing="ij"))
    vertices = np.array(corner) + u * np.array(first) + v * np.array(second)
    start = (np.arange(count)[:, None] * (count + 1) + np.arange(count)).reshape(-1)
    right, above = start + count + 1, start + 1
    faces = [(start, right, above), (right, right + 1, above)]
    return vertices, np.concatenate([np.stack(three, axis=1) for three in faces])


def joined(*parts: tuple[np.ndarray, np.ndarray]) -> Mesh:
    ends = np.cumsum([0] + [len(vertices) for vertices, _ in parts])
    faces = [faces + end for (_, faces), end in zip(parts, ends, strict=False)]
    return Mesh.from_triangles(np.concatenate([v for v, _ in parts]), np.concatenate(faces))


FLOOR = grid((-2, -2, 0), (4, 0, 0), (0, 4, 0), 24)


def seen(
    mesh: Mesh, position, *, target=(0, 0, 0), albedo=(1.0, 1.0, 1.0), roughness=1.0, metallic=0.0
) -> GBuffer:
    """The maps of a mesh of one material, by rays."""
    camera = Camera.look_at(position, target, fov_x=0.7, height=SIZE, width=SIZE)
    rays = camera.directions().float()
    flat = rays.reshape(-1, 3).numpy()
    origins = np.repeat(camera.position.float().numpy()[None], len(flat), axis=0)
    hits = Tracer(mesh).hit(origins, flat)
    shape = (SIZE, SIZE, 3)
    places = hits.interpolate(mesh, mesh.vertices)
    distance = np.where(hits.found, hits.distance, 0).reshape(SIZE, SIZE)
    normals = torch.from_numpy(hits.interpolate(mesh, mesh.normals)).reshape(shape)
    alpha = torch.from_numpy(hits.found.reshape(SIZE, SIZE)).float()
    return GBuffer(
        points=torch.from_numpy(places).reshape(shape),
        normals=torch.nn.functional.normalize(normals, dim=-1),
        view=-rays,
        albedo=torch.tensor(albedo).expand(shape) * alpha.unsqueeze(-1),
        roughness=torch.full((SIZE, SIZE, 1), roughness),
        metallic=torch.full((SIZE, SIZE, 1), metallic),
        alpha=alpha,
        depth=torch.from_numpy(distance).float(),
    )


def even() -> Environment:
    return Environment(torch.ones(8, 16, 3))


def from_x() -> Environment:
    """Light from around +x, where the middle of a map of a z-up world looks."""
    radiance = torch.full((8, 16, 3), 0.1)
    radiance[2:6, 6:10] = 4.0
    return Environment(radiance)


def from_above() -> Environment:
    radiance = torch.full((16, 32, 3), 0.05)
    radiance[:2] = 30.0
    return Environment(radiance)


def expected_in_even_light(buffer: GBuffer) -> torch.Tensor:
    """What a dielectric gives back of a light of 1: its albedo and what its coat reflects."""
    n_dot_v = (buffer.normals * buffer.view).sum(dim=-1)
    found = table.lookup(table.table(), n_dot_v, buffer.roughness.squeeze(-1))
    coat = 0.04 * found[..., :1] + found[..., 1:]
    return (buffer.albedo + coat) * buffer.alpha.unsqueeze(-1)


@pytest.mark.parametrize("has_surface", [False, True])
def test_a_white_ball_in_an_even_light_is_as_bright_as_the_light(has_surface):
    mesh = ball()
    buffer = seen(mesh, (0, -4, 0.5))
    tracer = Tracer(mesh) if has_surface else None
    found = Relighter(even(), tracer=tracer).shade(buffer)
    inner = (buffer.normals * buffer.view).sum(dim=-1) > 0.3
    assert inner.sum() > 100
    # A ball hides nothing from itself; what it is lit with is noisy by the directions drawn.
    torch.testing.assert_close(
        found[inner], expected_in_even_light(buffer)[inner], rtol=0.06, atol=0
    )
    assert found[inner].mean() == pytest.approx(
        expected_in_even_light(buffer)[inner].mean().item(), rel=0.01
    )


def test_where_nothing_is_it_is_black_and_half_a_cover_gives_half_the_light():
    buffer = seen(ball(), (0, -4, 0.5))
    whole = Relighter(even()).shade(buffer)
    assert not whole[buffer.alpha == 0].any()
    half = GBuffer(**(vars(buffer) | {"alpha": buffer.alpha / 2}))
    torch.testing.assert_close(Relighter(even()).shade(half), whole / 2)


@pytest.mark.parametrize("shading", ["split-sum", "monte-carlo"])
def test_light_from_one_side_brightens_that_side_and_turned_by_half_the_other(shading):
    buffer = seen(ball(), (0, -4, 0))
    right, left = buffer.normals[..., 0] > 0.5, buffer.normals[..., 0] < -0.5
    assert right.sum() > 20
    assert left.sum() > 20
    light = from_x()
    shown = Relighter(light, shading=shading).shade(buffer)
    turned = Relighter(light.rotated(180), shading=shading).shade(buffer)
    assert shown[right].mean() > 3 * shown[left].mean()
    assert turned[left].mean() == pytest.approx(shown[right].mean().item(), rel=0.05)
    assert turned[right].mean() == pytest.approx(shown[left].mean().item(), rel=0.05)


@pytest.mark.parametrize("shading", ["split-sum", "monte-carlo"])
def test_what_hangs_over_a_floor_throws_a_shadow(shading):
    roof = grid((-0.5, -0.5, 0.5), (1, 0, 0), (0, 1, 0), 6)
    buffer = seen(joined(FLOOR), (0, -4, 4))
    under = (buffer.points[..., :2].abs() < 0.25).all(dim=-1)
    beside = (buffer.points[..., 0].abs() > 0.9) & (buffer.alpha > 0)
    assert under.sum() > 10
    assert beside.sum() > 10
    roofed = Tracer(joined(FLOOR, roof))
    shown = Relighter(from_above(), tracer=roofed, shading=shading).shade(buffer)
    bare = Relighter(from_above(), shading=shading).shade(buffer)
    assert shown[under].mean() < 0.3 * bare[under].mean()
    assert shown[beside].mean() == pytest.approx(bare[beside].mean().item(), rel=0.1)


def test_a_red_wall_tints_the_floor_beside_it_where_its_colour_is_known():
    mesh = joined(FLOOR, grid((0, 2, 0), (0, -4, 0), (0, 0, 2), 24))
    albedo = np.full((len(mesh.vertices), 3), 0.8, np.float32)
    albedo[len(FLOOR[0]) :] = (0.9, 0.05, 0.05)
    painted = Mesh(mesh.vertices, mesh.faces, mesh.normals, extras={"albedo": albedo})
    buffer = seen(joined(FLOOR), (-3, 0, 4), target=(-0.7, 0, 0), albedo=(0.8, 0.8, 0.8))
    near = (buffer.points[..., 0] > -0.4) & (buffer.points[..., 0] < -0.1) & (buffer.alpha > 0)
    far = (buffer.points[..., 0] < -1.2) & (buffer.alpha > 0)
    assert near.sum() > 10
    assert far.sum() > 10
    tinted = Relighter(even(), tracer=Tracer(painted)).shade(buffer)
    grey = Relighter(even(), tracer=Tracer(mesh)).shade(buffer)
    redness = [
        (image[some][:, 0].mean() / image[some][:, 1].mean()).item()
        for image in (tinted, grey)
        for some in (near, far)
    ]
    # Beside the wall it hides nearly half of the sky, and gives back most of the red alone.
    assert redness[0] > 1.2
    assert redness[0] > redness[1] + 0.1
    assert redness[2:] == pytest.approx([1, 1], abs=1e-4)
    assert tinted[near][:, 0].mean() > 1.1 * grey[near][:, 0].mean()


def test_metal_scatters_no_light_and_an_unknown_surface_none_is_known_of():
    mesh = ball()
    assert diffuse_reflectance(mesh) is None
    count = len(mesh.vertices)
    extras = {"albedo": np.full((count, 3), 0.5, np.float32)}
    painted = Mesh(mesh.vertices, mesh.faces, mesh.normals, extras=extras)
    np.testing.assert_allclose(diffuse_reflectance(painted), 0.5)
    extras["metallic"] = np.full((count, 1), 0.75, np.float32)
    np.testing.assert_allclose(diffuse_reflectance(painted), 0.125)


def test_the_reference_mode_is_the_published_split_sum_and_hides_nothing():
    light = from_x()
    buffer = seen(ball(), (0, -4, 0), albedo=(0.7, 0.5, 0.2), roughness=0.4, metallic=0.6)
    tracer = Tracer(joined(grid((-9, -9, 2), (18, 0, 0), (0, 18, 0), 4)))
    found = Relighter(light, tracer=tracer, mode="reference").shade(buffer)
    blurred = Prefilter(64, "reference")(light.to_world_cubemap(64, mode="reference"))
    names = ("normals", "view", "albedo", "roughness", "metallic")
    expected = shade_linear(
        BlurredLight(*blurred), table.table(), **{name: getattr(buffer, name) for name in names}
    ).color
    torch.testing.assert_close(found, expected * buffer.alpha.unsqueeze(-1))
    assert found.max() > 0.5


def test_the_same_seed_gives_the_same_picture_and_another_another():
    mesh = ball()
    buffer = seen(mesh, (0, -4, 0), roughness=0.4)
    for shading in ("split-sum", "monte-carlo"):
        pictures = [
            Relighter(from_x(), tracer=Tracer(mesh), samples=8, shading=shading, seed=seed).shade(
                buffer
            )
            for seed in (1, 1, 2)
        ]
        assert torch.equal(pictures[0], pictures[1])
        assert not torch.equal(pictures[0], pictures[2])


def test_directions_drawn_for_each_pixel_agree_with_the_split_sum_where_it_is_right():
    buffer = seen(ball(), (0, -4, 0), albedo=(0.7, 0.5, 0.2), roughness=0.8)
    drawn = Relighter(from_x(), samples=256, shading="monte-carlo").shade(buffer)
    split = Relighter(from_x()).shade(buffer)
    inner = (buffer.normals * buffer.view).sum(dim=-1) > 0.5
    assert (drawn - split)[inner].abs().mean() < 0.05 * split[inner].mean()
    assert drawn[inner].mean().item() == pytest.approx(split[inner].mean().item(), rel=0.03)


@pytest.mark.parametrize("shading", ["split-sum", "monte-carlo"])
def test_metal_reflects_an_even_light_by_its_colour(shading):
    albedo = torch.tensor([0.7, 0.5, 0.2])
    buffer = seen(ball(), (0, -4, 0), albedo=tuple(albedo), roughness=0.5, metallic=1.0)
    found = Relighter(even(), shading=shading).shade(buffer)
    inner = (buffer.normals * buffer.view).sum(dim=-1) > 0.5
    n_dot_v = (buffer.normals * buffer.view).sum(dim=-1)[inner]
    parts = table.lookup(table.table(), n_dot_v, torch.full_like(n_dot_v, 0.5))
    expected = albedo * parts[:, :1] + parts[:, 1:]
    torch.testing.assert_close(found[inner].mean(dim=0), expected.mean(dim=0), rtol=0.01, atol=0)
