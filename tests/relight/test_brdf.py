from pathlib import Path

import numpy as np
import pytest
import torch

from fovea.relight.light import latlong
from fovea.relight.shading import brdf

ONE = torch.ones(1, dtype=torch.float64)
NORMAL = torch.tensor([0.0, 0, 1], dtype=torch.float64)


def eye(n_dot_v: float) -> torch.Tensor:
    return torch.tensor([(1 - n_dot_v**2) ** 0.5, 0, n_dot_v], dtype=torch.float64)


@pytest.fixture(scope="module")
def sphere() -> tuple[torch.Tensor, torch.Tensor]:
    """Directions all around and their solid angles; fine enough for roughness 0.2."""
    directions = latlong.directions(300, 600, dtype=torch.float64).reshape(-1, 3)
    return directions, latlong.solid_angles(300, 600, dtype=torch.float64).reshape(-1, 1)


@pytest.fixture(scope="module")
def published(goldens: Path) -> dict[str, torch.Tensor]:
    arrays = np.load(goldens / "inverse-rendering/ggx_samples.npz")
    return {name: torch.from_numpy(arrays[name]) for name in arrays}


def test_the_point_set_is_the_references(published):
    points = brdf.hammersley(256, dtype=torch.float64)
    torch.testing.assert_close(points, published["hammersley256"], rtol=0, atol=0)


@pytest.mark.parametrize("roughness", [1.0, 0.5, 0.2])
def test_fixed_directions_are_the_references(published, roughness):
    directions = brdf.ggx_samples(published["normals"], roughness)
    for number in range(len(published["normals"])):
        expected = published[f"dirs_n{number}_r{roughness}"]
        torch.testing.assert_close(directions[number], expected, rtol=1e-9, atol=1e-12)


def test_jitter_turns_the_fixed_directions_about_the_normal(published):
    directions = brdf.ggx_samples(published["normals"][0], 1.0, jitter=0.3)
    torch.testing.assert_close(directions, published["dirs_eps03"], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("roughness", [0.2, 0.5, 1.0])
@pytest.mark.parametrize("n_dot_v", [0.15, 0.5, 0.95])
def test_a_white_metal_gives_back_no_more_than_it_gets(sphere, roughness, n_dot_v):
    directions, angles = sphere
    out = brdf.evaluate(
        NORMAL, eye(n_dot_v), directions, torch.ones_like(NORMAL), roughness * ONE, ONE
    )
    energy = (out * angles).sum(dim=0)
    assert 0.3 < energy[0] <= 1


@pytest.mark.parametrize("roughness", [0.2, 0.5, 1.0])
def test_light_and_eye_may_change_places(roughness):
    torch.manual_seed(0)
    pair = torch.nn.functional.normalize(torch.randn(2, 100, 3).double(), dim=-1)
    pair[..., 2] = pair[..., 2].abs()
    light, view = pair
    albedo = torch.rand(100, 3).double()
    metallic = torch.rand(100, 1).double()
    there = brdf.evaluate(NORMAL, view, light, albedo, roughness * ONE, metallic) / light[:, 2:]
    back = brdf.evaluate(NORMAL, light, view, albedo, roughness * ONE, metallic) / view[:, 2:]
    torch.testing.assert_close(there, back)


@pytest.mark.parametrize("roughness", [0.2, 0.5, 1.0])
@pytest.mark.parametrize("n_dot_v", [0.15, 0.5, 0.95])
def test_drawn_directions_estimate_the_integral_that_a_grid_gives(sphere, roughness, n_dot_v):
    directions, angles = sphere
    view, rough = eye(n_dot_v), roughness * ONE
    pdf = brdf.pdf_ggx(NORMAL, view, directions, rough)
    # The grid itself is good to a percent for the narrow lobe at grazing angles.
    assert (pdf.unsqueeze(-1) * angles).sum().item() == pytest.approx(1, abs=0.01)
    points = brdf.hammersley(4096, dtype=torch.float64)
    drawn, density = brdf.sample_ggx(NORMAL, view, rough, points)
    torch.testing.assert_close(density, brdf.pdf_ggx(NORMAL, view, drawn, rough))
    white = torch.ones_like(NORMAL)
    estimate = (brdf.evaluate(NORMAL, view, drawn, white, rough, ONE) / density.unsqueeze(-1)).mean(
        0
    )
    truth = (brdf.evaluate(NORMAL, view, directions, white, rough, ONE) * angles).sum(0)
    torch.testing.assert_close(estimate, truth, rtol=0.01, atol=0)


def test_cosine_directions_carry_their_density():
    normals = torch.nn.functional.normalize(torch.randn(5, 1, 3).double(), dim=-1)
    directions, pdf = brdf.sample_cosine(normals, brdf.hammersley(1024, dtype=torch.float64))
    cosine = (directions * normals).sum(dim=-1)
    torch.testing.assert_close(pdf, cosine / torch.pi)
    # The mean of the cosine under the cosine's own density is 2/3.
    torch.testing.assert_close(
        cosine.mean(dim=1), torch.full((5,), 2 / 3).double(), rtol=2e-3, atol=0
    )


def test_below_the_horizon_nothing_is_reflected():
    below = torch.tensor([[0.6, 0, -0.8]], dtype=torch.float64)
    white = torch.ones_like(NORMAL)
    assert brdf.evaluate(NORMAL, eye(0.5), below, white, ONE, ONE).abs().sum() == 0
    assert brdf.evaluate(NORMAL, below, eye(0.5), white, ONE, ONE).abs().sum() == 0


def test_a_rough_dielectric_is_nearly_lambertian_and_a_metal_takes_its_colour():
    albedo = torch.tensor([0.8, 0.4, 0.1], dtype=torch.float64)
    plain = brdf.evaluate(NORMAL, NORMAL, NORMAL, albedo, ONE, 0 * ONE)
    torch.testing.assert_close(plain, albedo / torch.pi + 0.04 / (4 * torch.pi))
    metal = brdf.evaluate(NORMAL, NORMAL, NORMAL, albedo, ONE, ONE)
    torch.testing.assert_close(metal, albedo / (4 * torch.pi))


def test_materials_get_gradients_at_grazing_angles_and_mirrors_too():
    albedo = torch.full((4, 3), 0.5, requires_grad=True)
    roughness = torch.tensor([[0.0], [0.01], [0.5], [1.0]], requires_grad=True)
    metallic = torch.full((4, 1), 0.5, requires_grad=True)
    normal = NORMAL.float().expand(4, 3)
    out = brdf.evaluate(normal, eye(1e-6).float(), eye(1e-6).float(), albedo, roughness, metallic)
    out.sum().backward()
    for value in (albedo, roughness, metallic):
        assert bool(value.grad.isfinite().all())
