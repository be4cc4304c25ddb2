from pathlib import Path

import numpy as np
import pytest
import torch

from fovea.relight.shading.brdf import ggx_samples
from fovea.relight.volumes.lobe import (
    cosine_visibility,
    frames,
    half_space,
    half_vectors,
    lobe_visibility,
)
from fovea.scene.harmonics import basis

EXACT = 1e-9


@pytest.fixture
def golden(goldens: Path) -> dict[str, torch.Tensor]:
    with np.load(goldens / "inverse-rendering" / "occlusion_sh.npz") as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}


@pytest.mark.parametrize(
    ("key", "settings"),
    [
        ("occl_rough1_nojitter", {}),
        ("occl_rough1_jitter", {"jitter": "jitter"}),
        ("occl_rough1_64samples", {"samples": 64}),
        ("occl_rough_nojitter", {"roughness": "roughness"}),
    ],
)
def test_lobes_are_those_of_the_reference(golden, key, settings):
    settings = {k: golden[v] if isinstance(v, str) else v for k, v in settings.items()}
    found = lobe_visibility(golden["query_coeffs"], golden["query_normals"], **settings)
    np.testing.assert_allclose(found, golden[key], rtol=EXACT, atol=1e-12)


@pytest.mark.parametrize("roughness", [1.0, 0.5, 0.2])
def test_directions_are_those_of_the_reference(goldens, roughness):
    with np.load(goldens / "inverse-rendering" / "ggx_samples.npz") as file:
        local = half_vectors(torch.tensor(roughness, dtype=torch.float64))
        for number, normal in enumerate(torch.from_numpy(file["normals"])):
            found = local @ frames(normal[None])[0]
            np.testing.assert_allclose(found, file[f"dirs_n{number}_r{roughness}"], atol=1e-12)


def test_sixteen_anchors_give_the_same_as_all_samples():
    random = torch.Generator().manual_seed(1)
    coefficients = torch.randn(20, 16, generator=random, dtype=torch.float64) / 4
    normals = torch.randn(20, 3, generator=random, dtype=torch.float64)
    normals /= normals.norm(dim=-1, keepdim=True)
    directions = ggx_samples(normals, 0.7)
    slow = torch.einsum("nsk,nk->ns", basis(directions, 3), coefficients).clamp(0, 1).mean(dim=-1)
    for roughness in (0.7, torch.full((20,), 0.7)):
        found = lobe_visibility(coefficients, normals, roughness=roughness)
        torch.testing.assert_close(found, slow)


def test_an_open_half_space_is_wholly_visible_and_a_closed_one_not_at_all(golden):
    normals = golden["query_normals"][:20]
    half = half_space(normals)
    torch.testing.assert_close(cosine_visibility(half, normals), torch.ones(20).double())
    torch.testing.assert_close(cosine_visibility(half, -normals), torch.zeros(20).double())
    sampled = lobe_visibility(half, normals)
    assert ((sampled > 0.94) & (sampled < 0.97)).all()


def test_a_half_space_has_the_coefficients_of_the_closed_form(golden):
    # The first plane of the set hides at any distance.
    found = half_space(golden["plane_normal"][:1])
    np.testing.assert_allclose(found, golden["coeffs_closed_form"][:1], rtol=EXACT, atol=1e-12)


def test_a_place_without_normal_sees_nothing():
    zero, everything = torch.zeros(1, 3), torch.eye(16)[:1] * 3.5449
    assert cosine_visibility(everything, zero).item() == 0
    assert lobe_visibility(everything, zero).item() == 0
