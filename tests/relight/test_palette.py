"""The materials of a surface's cells, and what is thought of them beforehand."""

import numpy as np
import pytest
import torch
import trimesh

from fovea.relight.palette import BLACK, KNEE, Cells, Palette
from fovea.relight.settings.decompose import PriorsConfig
from fovea.relight.surface.mesh import Mesh

OFF = dict.fromkeys(("albedo", "roughness", "metallic", "dielectric", "decided", "neutral"), 0.0)


def ball() -> Mesh:
    made = trimesh.creation.icosphere(4)
    return Mesh.from_triangles(made.vertices, made.faces)


def speckled(mesh: Mesh) -> np.ndarray:
    return np.random.default_rng(2).uniform(0.05, 0.6, mesh.vertices.shape).astype(np.float32)


def thin_wall() -> tuple[Mesh, np.ndarray]:
    """Two sheets much nearer to each other than a cell is wide; and which side vertices are on."""
    at = np.linspace(0, 1, 25)
    x, y = (values.reshape(-1) for values in np.meshgrid(at, at, indexing="ij"))
    start = (np.arange(24)[:, None] * 25 + np.arange(24)).reshape(-1)
    three = [(start, start + 25, start + 1), (start + 25, start + 26, start + 1)]
    faces = np.concatenate([np.stack(corners, axis=1) for corners in three])
    sheets = [np.stack([x, y, np.full_like(x, z)], axis=1) for z in (0.02, 0.0)]
    both = np.concatenate([faces, faces[:, ::-1] + len(x)])
    mesh = Mesh.from_triangles(np.concatenate(sheets), both)
    return mesh, np.arange(2 * len(x)) < len(x)


def only(**weights: float) -> PriorsConfig:
    return PriorsConfig(**(OFF | weights))


def test_the_shares_of_the_cells_around_a_vertex_add_up_to_one():
    mesh = ball()
    cells = Cells.of(mesh, speckled(mesh))
    assert cells.around.shape == cells.weights.shape == (len(mesh.vertices), 4)
    torch.testing.assert_close(cells.weights.sum(dim=1), torch.ones(len(mesh.vertices)))
    assert cells.weights.min() > 0
    assert 20 < len(cells.colors) < len(mesh.vertices) / 4


def test_a_constant_over_the_cells_is_constant_over_the_vertices():
    mesh = ball()
    cells = Cells.of(mesh, speckled(mesh))
    mixed = cells.mixed(torch.full((len(cells.colors), 2), 3.0), torch.arange(7).reshape(7, 1))
    torch.testing.assert_close(mixed, torch.full((7, 1, 2), 3.0))


def test_the_two_sides_of_a_thin_wall_share_no_cells():
    mesh, is_upper = thin_wall()
    colors = np.where(is_upper[:, None], (0.8, 0.1, 0.1), (0.1, 0.1, 0.8)).astype(np.float32)
    cells = Cells.of(mesh, colors)
    up, down = (set(cells.around[torch.from_numpy(side)].ravel().tolist()) for side in
                (is_upper, ~is_upper))  # fmt: skip
    assert up
    assert not up & down
    # And so no colour runs through it.
    mixed = cells.mixed(cells.colors, torch.arange(len(mesh.vertices))).numpy()
    np.testing.assert_allclose(mixed, colors, atol=1e-5)


def test_a_surface_of_fewer_cells_than_a_vertex_has_around_it_has_a_palette():
    mesh = Mesh.from_triangles(np.eye(3), [[0, 1, 2]])
    palette = Palette(mesh, np.full((3, 3), 0.5, np.float32), white=0.8)
    assert len(palette.cells.colors) <= 3
    assert torch.isfinite(palette.at_vertices().albedo).all()


def test_at_the_start_the_photographs_come_back_scaled_to_white():
    mesh = ball()
    colors = speckled(mesh)
    palette = Palette(mesh, colors, white=0.6)
    with torch.no_grad():
        palette.parameters["metallic"].fill_(-30)
    # Metal keeps none of the detail, and so it is taken away here.
    albedo = palette.at_vertices().albedo.numpy()
    scale = 0.6 / np.quantile(colors.max(axis=1), 0.95)
    expected = (colors + BLACK) * scale
    dim = expected < KNEE
    assert dim.mean() > 0.8
    np.testing.assert_allclose(albedo[dim], expected[dim], rtol=1e-4)
    assert albedo.max() < 1


def test_metal_has_the_colour_of_its_cells_without_detail():
    mesh = ball()
    palette = Palette(mesh, speckled(mesh), white=0.5)
    with torch.no_grad():
        palette.parameters["albedo"].fill_(np.log(0.3))
    spread = []
    for raw in (-30.0, 0.0, 30.0):
        with torch.no_grad():
            palette.parameters["metallic"].fill_(raw)
        spread.append(palette.at_vertices().albedo.std().item())
    assert spread[0] > 1.5 * spread[1] > 0.01
    assert spread[2] < 1e-5


def test_between_three_vertices_materials_are_mixed():
    mesh = ball()
    palette = Palette(mesh, speckled(mesh), white=0.8)
    every = palette.at_vertices()
    corners = torch.from_numpy(mesh.faces[:5]).long()
    weights = torch.tensor([[0.2, 0.3, 0.5]]).expand(5, 3)
    with torch.no_grad():
        found = palette.at(corners, weights)
    for mixed, values in zip(found, every, strict=True):
        expected = (values[corners] * weights.unsqueeze(-1)).sum(dim=1)
        torch.testing.assert_close(mixed, expected)


def test_an_evenly_painted_thing_of_one_material_is_as_thought():
    mesh = ball()
    palette = Palette(mesh, np.full(mesh.vertices.shape, 0.4, np.float32), white=0.8)
    weights = only(albedo=1.0, roughness=1.0, metallic=1.0)
    assert palette.prior(weights, progress=1.0).item() == pytest.approx(0, abs=1e-6)


def test_shading_is_not_thought_to_be_paint():
    mesh = ball()
    shades = np.repeat(0.4 + 0.2 * mesh.normals[:, :1], 3, axis=1).astype(np.float32)
    palette = Palette(mesh, shades, white=0.8)
    with torch.no_grad():
        palette.parameters["metallic"].fill_(-30)
    as_photographed = palette.prior(only(albedo=1.0), progress=0.0)
    with torch.no_grad():
        palette.parameters["albedo"].fill_(-1)
    assert palette.prior(only(albedo=1.0), progress=0.0) < 1e-6 < 0.01 < as_photographed


@pytest.mark.parametrize("name", ["albedo", "roughness", "metallic"])
def test_a_cell_unlike_its_neighbours_costs_something_and_is_drawn_to_them(name):
    mesh = ball()
    palette = Palette(mesh, np.full(mesh.vertices.shape, 0.4, np.float32), white=0.8)
    values = palette.parameters[name]
    with torch.no_grad():
        values[5] += 1
    cost = palette.prior(only(**{name: 1.0}), progress=0.0)
    cost.backward()
    assert cost > 0
    assert values.grad is not None
    assert (values.grad[5] > 0).all()
    assert values.grad.sum().abs() < 1e-2 * values.grad[5].abs().sum() or name != "albedo"


def test_cells_of_two_colours_may_differ_and_those_of_one_may_not():
    mesh = ball()
    is_right = mesh.vertices[:, :1] > 0
    colors = np.where(is_right, (0.6, 0.1, 0.1), (0.1, 0.1, 0.6)).astype(np.float32)
    cells = Cells.of(mesh, colors)
    first, second = cells.colors[cells.pairs].unbind(dim=1)
    across = (first - second).abs().sum(dim=1) > 0.8
    within = (first - second).abs().sum(dim=1) < 1e-6
    assert across.any()
    assert cells.alike[across].max() < 0.01
    assert cells.alike[within].min() > 0.99


def test_metal_is_rare_and_whole():
    mesh = ball()
    palette = Palette(mesh, np.full(mesh.vertices.shape, 0.4, np.float32), white=0.8)

    def cost(metallic: float, progress: float, **weights: float) -> float:
        with torch.no_grad():
            palette.parameters["metallic"].fill_(np.log(metallic / (1 - metallic)))
        return palette.prior(only(**weights), progress=progress).item()

    assert cost(0.3, 0.5, dielectric=2.0) == pytest.approx(0.6, rel=1e-4)
    assert cost(0.5, 0.25, decided=1.0) == pytest.approx(0.125, rel=1e-4)
    assert cost(0.5, 0.9, decided=1.0) == pytest.approx(0.25, rel=1e-4)
    assert cost(0.999, 0.9, decided=1.0) < 2e-3
