import math
from pathlib import Path

import numpy as np
import pytest
import torch

from fovea.relight.light import cubemap

# Closed formulas in float64 agree to their last digits.
TIGHT = {"rtol": 1e-9, "atol": 1e-12}


@pytest.fixture(scope="module")
def golden(goldens: Path) -> dict[str, torch.Tensor]:
    arrays = np.load(goldens / "inverse-rendering/cubemap.npz")
    return {name: torch.from_numpy(arrays[name]) for name in arrays}


def test_texels_look_where_the_references_do(golden):
    torch.testing.assert_close(
        cubemap.texel_directions(8, dtype=torch.float64), golden["texel_dirs_res8"], **TIGHT
    )


@pytest.mark.parametrize("filter", ["linear", "nearest"])
def test_lookups_are_the_references_at_edges_and_corners_too(golden, filter):
    seen = cubemap.sample(golden["cube16_from_latlong"], golden["query_dirs"], filter)
    torch.testing.assert_close(seen, golden[filter], **TIGHT)


def test_halving_is_the_references(golden):
    torch.testing.assert_close(
        cubemap.halve(golden["cube16_from_latlong"]), golden["mip8"], **TIGHT
    )


@pytest.mark.parametrize("res", [1, 2, 7, 16])
def test_solid_angles_fill_the_sphere(res):
    angles = cubemap.solid_angles(res, dtype=torch.float64)
    assert angles.sum().item() == pytest.approx(4 * math.pi)
    assert angles.shape == (6, res, res)


@pytest.mark.parametrize("res", [1, 2, 16])
def test_a_texel_is_found_in_its_own_direction(res):
    values = torch.rand(6, res, res, 2, dtype=torch.float64)
    directions = cubemap.texel_directions(res, dtype=torch.float64)
    for filter in ("linear", "nearest"):
        torch.testing.assert_close(cubemap.sample(values, directions, filter), values)


def test_a_constant_surrounding_looks_the_same_everywhere():
    torch.manual_seed(0)
    seen = cubemap.sample(torch.full((6, 4, 4, 1), 3.0), torch.randn(500, 3))
    torch.testing.assert_close(seen, torch.full_like(seen, 3))


def test_directions_that_are_none_are_black():
    directions = torch.tensor([[0.0, 0, 0], [math.nan, 0, 1], [math.inf, 1, 0], [0, 0, 2]])
    seen = cubemap.sample(torch.ones(6, 4, 4, 1), directions)
    assert seen.squeeze(-1).tolist() == [0, 0, 0, 1]


def test_mips_are_blended_by_level_and_clamped():
    torch.manual_seed(0)
    mips = cubemap.mip_chain(torch.rand(6, 64, 64, 3, dtype=torch.float64))
    assert [mip.shape[1] for mip in mips] == [64, 32, 16]
    directions, level = torch.randn(300, 3).double(), torch.rand(300).double() * 4 - 1
    each = torch.stack([cubemap.sample(mip, directions) for mip in mips])
    low = level.clamp(0, 2).floor().clamp(max=1).long()
    share, at = (level.clamp(0, 2) - low).unsqueeze(-1), torch.arange(300)
    expected = each[low, at] * (1 - share) + each[low + 1, at] * share
    torch.testing.assert_close(cubemap.sample_mips(mips, directions, level), expected)
    torch.testing.assert_close(cubemap.sample_mips(mips[:1], directions, level), each[0])


def test_gradients_reach_texels_and_levels():
    torch.manual_seed(0)
    mips = [torch.rand(6, n, n, 2, dtype=torch.float64, requires_grad=True) for n in (4, 2)]
    directions = torch.randn(9, 3).double()
    level = torch.rand(9).double().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda a, b, level: cubemap.sample_mips([a, b], directions, level), (*mips, level)
    )
