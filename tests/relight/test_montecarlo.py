"""Light added up over drawn directions, against sums over the whole sphere and exact integrals."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from fovea.relight.light import latlong
from fovea.relight.light.environment import DirectionSampler, Environment
from fovea.relight.shading import brdf, montecarlo, table
from fovea.relight.shading.montecarlo import Arriving, Counts, MeshSurroundings, stratified
from fovea.relight.surface.mesh import Mesh
from fovea.relight.surface.rays import Tracer

COUNTS = (1, 2, 3, 7, 12, 16, 30, 32)


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def even_light(directions: Tensor) -> Tensor:
    return torch.ones_like(directions)


def evenly() -> DirectionSampler:
    return Environment(torch.ones(8, 16, 3)).importance()


def drawn(count: int, normal=(0.0, 0.0, 1.0), view=(0.0, 0.0, 1.0), **given) -> Arriving:
    """Directions of `count` places at one point."""
    n, v = (torch.tensor(axis).expand(count, 3) for axis in (normal, view))
    settings = {
        "roughness": torch.ones(count, 1),
        "sampler": evenly(),
        "counts": Counts.of(256),
        "surroundings": None,
        "random": random(),
    }
    return montecarlo.draw(torch.zeros(count, 3), n, v, **settings | given)


def received(arriving: Arriving) -> float:
    normals = torch.tensor([0.0, 0.0, 1.0]).expand(len(arriving.weights), 3)
    return montecarlo.irradiance(arriving, even_light, normals)[:, 0].mean().item()


def wall(depth: float, half_width: float, height: float) -> Mesh:
    """An upright rectangle that stands on the floor, of many small triangles."""
    across = np.linspace(-half_width, half_width, 41)
    up = np.linspace(0, height, 31)
    y, z = (values.reshape(-1) for values in np.meshgrid(across, up, indexing="ij"))
    corner = (np.arange(40)[:, None] * 31 + np.arange(30)).reshape(-1)
    faces = [(corner, corner + 1, corner + 31), (corner + 1, corner + 32, corner + 31)]
    triangles = np.concatenate([np.stack(three, axis=1) for three in faces])
    return Mesh.from_triangles(np.stack([np.full_like(y, depth), y, z], axis=1), triangles)


# Uniform numbers


@pytest.mark.parametrize("count", COUNTS)
def test_stratified_numbers_are_uniform(count):
    uniforms = stratified(4000, count, random(), like=torch.zeros(1, dtype=torch.float64))
    assert uniforms.shape == (4000, count, 2)
    assert 0 <= uniforms.min() < uniforms.max() < 1
    boxes = (uniforms * 6).floor().reshape(-1, 2)
    found = torch.bincount((boxes[:, 0] * 6 + boxes[:, 1]).long(), minlength=36)
    expected = 4000 * count / 36
    # Boxes of random numbers differ from each other by about the root of what they hold.
    assert (found - expected).abs().max() < 5 * math.sqrt(expected)


@pytest.mark.parametrize("count", COUNTS)
def test_each_row_and_each_column_of_the_grid_has_its_numbers_every_time(count):
    uniforms = stratified(200, count, random(), like=torch.zeros(1, dtype=torch.float64))
    columns = math.isqrt(count)
    full = count // columns
    rows = (uniforms[..., 1] * count / columns).floor().long()
    for row in range(full):
        across = uniforms[:, row * columns : (row + 1) * columns]
        assert (rows[:, row * columns : (row + 1) * columns] == row).all()
        assert ((across[..., 0] * columns).floor() == torch.arange(columns)).all()
    rest = count - full * columns
    last = uniforms[:, full * columns :]
    assert ((last[..., 0] * rest).floor() == torch.arange(rest)).all()
    assert (rows[:, full * columns :] == full).all()


def test_a_budget_of_directions_is_split_without_rest():
    assert Counts.of(64) == Counts(32, 16, 16)
    assert [sum(Counts.of(total)) for total in (4, 7, 48, 65)] == [4, 7, 48, 65]


def test_directions_by_the_cosine_have_that_density():
    normals = torch.nn.functional.normalize(torch.randn(500, 3, generator=random()), dim=-1)
    uniforms = stratified(500, 64, random(1), like=normals)
    cosine = (montecarlo.cosine_directions(normals, uniforms) * normals.unsqueeze(1)).sum(dim=-1)
    # The cosine's square is uniform: its density is 2 cos over 0..1.
    assert cosine.mean().item() == pytest.approx(2 / 3, abs=2e-3)
    assert cosine.square().var().item() == pytest.approx(1 / 12, abs=1e-3)


# What falls on a place


@pytest.mark.parametrize("counts", [Counts(64, 0, 0), Counts(0, 64, 0), Counts(32, 16, 16)])
def test_an_even_light_of_one_gives_an_irradiance_of_pi(counts):
    assert received(drawn(200, counts=counts)) == pytest.approx(math.pi, rel=5e-3)


@pytest.mark.parametrize("count", [32, 30, 7])
def test_a_light_from_one_side_gives_the_same_however_many_directions_are_drawn(count):
    def to_the_right(directions: Tensor) -> Tensor:
        return (directions[..., 1:2] > 0).float().expand(directions.shape)

    arriving = drawn(4000, counts=Counts(0, count, 0))
    normals = torch.tensor([0.0, 0.0, 1.0]).expand(4000, 3)
    for light in (to_the_right, lambda directions: to_the_right(-directions)):
        found = montecarlo.irradiance(arriving, light, normals).mean().item()
        assert found == pytest.approx(math.pi / 2, rel=0.01)


@pytest.mark.parametrize(("half_width", "height"), [(20.0, 15.0), (3.0, 2.0)])
def test_a_black_wall_takes_what_it_hides_and_a_white_one_gives_it_back(half_width, height):
    # The form factor of a rectangle that stands before a small floor, 1 away.
    reach = math.hypot(height, 1)
    hidden = (math.atan(half_width) - math.atan(half_width / reach) / reach) / math.pi
    tracer = Tracer(wall(1.0, half_width, height))
    seen = drawn(200, surroundings=MeshSurroundings(tracer))
    assert received(seen) == pytest.approx(math.pi * (1 - hidden), rel=0.01)
    giving = MeshSurroundings(tracer, np.ones((len(tracer.mesh.vertices), 3), np.float32))
    assert received(drawn(200, surroundings=giving)) == pytest.approx(math.pi, rel=5e-3)


def test_nothing_below_the_horizon_counts_or_is_looked_at():
    class Floor:
        def seen(self, origins: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
            assert (directions[:, 2] > 0).all()
            return torch.zeros(len(origins), 1), torch.ones_like(origins)

    grazing = (math.cos(0.1), 0.0, math.sin(0.1))
    arriving = drawn(50, view=grazing, surroundings=Floor())
    below = arriving.directions[..., 2] <= 0
    assert 0.1 < below.float().mean() < 0.6
    assert (arriving.weights[below] == 0).all()
    assert (arriving.weights[~below] > 0).all()
    assert (arriving.open_sky[~below] == 0).all()
    assert (arriving.elsewhere[~below] == 1).all()


# What goes to the eye


@pytest.mark.parametrize("metallic", [0.0, 1.0])
@pytest.mark.parametrize("roughness", [0.25, 0.6])
@pytest.mark.parametrize("n_dot_v", [0.3, 0.9])
def test_what_an_even_light_gives_to_the_eye_is_what_the_table_says(metallic, roughness, n_dot_v):
    albedo = torch.tensor([0.9, 0.5, 0.1])
    view = (math.sqrt(1 - n_dot_v**2), 0.0, n_dot_v)
    rows, rough = 64, torch.full((64, 1), roughness)
    arriving = drawn(rows, view=view, roughness=rough)
    found = montecarlo.reflected(
        arriving,
        even_light,
        normals=torch.tensor([0.0, 0.0, 1.0]).expand(rows, 3),
        view=torch.tensor(view).expand(rows, 3),
        albedo=albedo.expand(rows, 3),
        roughness=rough,
        metallic=torch.full((rows, 1), metallic),
    ).mean(dim=0)
    scale, bias = table.lookup(table.table(), torch.tensor(n_dot_v), torch.tensor(roughness))
    expected = albedo * scale + bias if metallic else albedo + 0.04 * scale + bias
    torch.testing.assert_close(found, expected, rtol=0.015, atol=1e-3)


@pytest.mark.parametrize(
    "counts",
    [
        Counts(128, 0, 0),
        Counts(0, 1024, 0),
        Counts(0, 0, 1024),
        Counts(32, 16, 16),
        Counts(5, 7, 3),
    ],
    ids=str,
)
def test_every_mix_of_samplers_has_the_mean_of_the_whole_sphere(counts):
    radiance = torch.full((16, 32, 3), 0.2)
    radiance[3:6, 19:22] = torch.tensor([12.0, 9, 6])
    light = Environment(radiance)
    view = torch.tensor([0.6, 0.0, 0.8])
    surface = {
        "normals": torch.tensor([[0.0, 0.0, 1.0]]),
        "view": view[None],
        "albedo": torch.tensor([[0.7, 0.4, 0.2]]),
        "roughness": torch.tensor([[0.4]]),
        "metallic": torch.tensor([[0.5]]),
    }
    around = latlong.directions(256, 512, dtype=torch.float64).reshape(-1, 3)
    angles = latlong.solid_angles(256, 512, dtype=torch.float64).reshape(-1, 1)
    each = brdf.evaluate(light_dirs=around, **{k: v.double() for k, v in surface.items()})
    whole = (each * light.radiance_at(around) * angles).sum(dim=0).float()
    rows = 80_000 // sum(counts)
    many = {name: values.expand(rows, -1) for name, values in surface.items()}
    arriving = drawn(
        rows,
        view=tuple(view.tolist()),
        roughness=many["roughness"],
        sampler=light.importance(),
        counts=counts,
    )
    found = montecarlo.reflected(arriving, light.radiance_at, **many).mean(dim=0)
    torch.testing.assert_close(found, whole, rtol=0.04, atol=0)


def test_gradients_reach_materials_and_light_and_not_the_choice_of_directions():
    rows = 8
    albedo = torch.full((rows, 3), 0.5, requires_grad=True)
    roughness = torch.full((rows, 1), 0.5, requires_grad=True)
    power = torch.ones(3, requires_grad=True)
    arriving = drawn(rows, roughness=roughness)
    assert not any(part.requires_grad for part in arriving)
    n = torch.tensor([0.0, 0.0, 1.0]).expand(rows, 3)
    shown = montecarlo.reflected(
        arriving,
        lambda directions: power.expand_as(directions),
        normals=n,
        view=n,
        albedo=albedo,
        roughness=roughness,
        metallic=torch.zeros(rows, 1),
    )
    shown.sum().backward()
    assert albedo.grad is not None
    assert power.grad is not None
    # Of an even light a dielectric scatters its albedo, and what it gives is linear in the light.
    torch.testing.assert_close(albedo.grad, torch.ones(rows, 3), rtol=0.05, atol=0)
    torch.testing.assert_close(power.grad, shown.sum(dim=0), rtol=1e-4, atol=0)
    assert roughness.grad is not None
    assert torch.isfinite(roughness.grad).all()
