from pathlib import Path

import numpy as np
import pytest
import torch

from fovea.relight.light import cubemap
from fovea.relight.shading import brdf
from fovea.relight.shading.points import PointLight, in_shadow, radial_depth, shade_point
from fovea.scene.color import linear_to_srgb

# Closed formulas in float64 agree to their last digits.
TIGHT = {"rtol": 1e-9, "atol": 1e-12}


@pytest.fixture(scope="module")
def golden(goldens: Path) -> dict[str, torch.Tensor]:
    arrays = np.load(goldens / "inverse-rendering/point_light.npz")
    return {name: torch.from_numpy(np.asarray(arrays[name])) for name in arrays}


def shaded(golden: dict[str, torch.Tensor], **more) -> torch.Tensor:
    names = ("points", "normals", "albedo", "roughness")
    of = {name: golden[name] for name in names} | {"view": golden["view_dirs"]}
    lamp = PointLight(golden["light_pos"], golden["intensity"].item())
    return shade_point(lamp, **(of | more))


def test_dielectrics_are_the_references(golden):
    color = shaded(golden, mode="reference")
    torch.testing.assert_close(color, golden["linear_nometal"], **TIGHT)


@pytest.mark.parametrize(("left", "name"), [(0.3, "0p3"), (0.2, "0p2")])
def test_shadowed_metals_are_the_references(golden, left, name):
    of = {"metallic": golden["metallic"], "shadow": golden["shadow"], "shadow_strength": 1 - left}
    color = shaded(golden, mode="reference", **of)
    torch.testing.assert_close(color, golden[f"linear_metal_shadow{name}"], **TIGHT)


def test_encoded_pixels_are_the_references(golden):
    color = shaded(golden, mode="reference", shadow=golden["shadow"], shadow_strength=0.7)
    encoded = golden["srgb_nometal_shadow0p3"]
    torch.testing.assert_close(linear_to_srgb(color), encoded, **TIGHT)


def test_with_a_unit_half_vector_the_published_formula_is_the_goldens(golden):
    color = shaded(golden, mode="reference_unit_half")
    torch.testing.assert_close(color, golden["linear_nometal_normalized_half"], **TIGHT)


def test_corrected_is_the_brdf_times_what_arrives():
    point = torch.tensor([[0.0, 0, 0]])
    of = {
        "normals": torch.tensor([[0.0, 0, 1]]),
        "view": torch.tensor([[0.0, 0.6, 0.8]]),
        "albedo": torch.tensor([[0.5, 0.4, 0.3]]),
        "roughness": torch.tensor([[0.5]]),
    }
    lamp = PointLight(torch.tensor([0.0, 0, 2.0]), torch.tensor([8.0, 4, 2]))
    up = torch.tensor([[0.0, 0, 1]])
    response = brdf.evaluate(light_dirs=up, metallic=torch.zeros(1, 1), **of)
    color = shade_point(lamp, points=point, **of)
    torch.testing.assert_close(color, response * torch.tensor([[2.0, 1, 0.5]]))
    hidden = shade_point(lamp, points=point, shadow=torch.tensor([[True]]), **of)
    assert hidden.abs().max() == 0


def test_a_cube_of_z_depths_becomes_a_cube_of_distances():
    directions = cubemap.texel_directions(8)
    # A box of half width 3 around the lamp has z-depth 3 on every face.
    distance = radial_depth(torch.full((6, 8, 8), 3.0), directions)
    reached = directions * distance.unsqueeze(-1)
    torch.testing.assert_close(reached.abs().amax(dim=-1), torch.full((6, 8, 8), 3.0))


def test_what_stands_nearer_to_the_lamp_throws_a_shadow_and_empty_directions_none():
    distance, nearest = torch.tensor([2.0, 2.0, 2.0]), torch.tensor([1.0, 1.95, 0.0])
    assert in_shadow(distance, nearest, bias=0.1).tolist() == [True, False, False]
