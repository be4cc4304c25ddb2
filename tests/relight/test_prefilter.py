import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from fovea.errors import ConfigError, DataError
from fovea.relight.light import cubemap, prefilter
from fovea.relight.light.prefilter import Prefilter

# Sums over 24 576 texels in float64.
TIGHT = {"rtol": 1e-9, "atol": 1e-12}


@pytest.fixture(scope="module")
def golden(goldens: Path) -> dict[str, torch.Tensor]:
    arrays = np.load(goldens / "inverse-rendering/prefilter.npz")
    return {name: torch.from_numpy(arrays[name]) for name in arrays}


@pytest.fixture(scope="module")
def scalars(goldens: Path) -> dict:
    return json.loads((goldens / "inverse-rendering/scalars.json").read_text())["prefilter"]


def light_of(axis: torch.Tensor, res: int) -> torch.Tensor:
    """The light of the golden, at texel centres: linear, a clamped cosine and a bright spot."""
    cosines = cubemap.texel_directions(res, dtype=torch.float64) @ axis
    parts = [1 + 0.6 * cosines, cosines.clamp_min(0), torch.exp(8 * (cosines - 1))]
    return torch.stack(parts, dim=-1)


def test_the_references_light_is_the_references(golden):
    diffuse, specular = Prefilter(64, "reference")(golden["base64"])
    torch.testing.assert_close(diffuse, golden["diffuse_ref"], **TIGHT)
    for level, light in enumerate(specular):
        torch.testing.assert_close(light, golden[f"spec{level}"], **TIGHT)


def test_with_exact_solid_angles_the_light_is_the_goldens_and_fits_the_closed_forms(golden):
    filter = Prefilter(64)
    levels = [light_of(golden["axis_b"], res) for res in (64, 32, 16)]
    specular = filter.specular(levels)
    for level in (1, 2):
        expected = golden[f"spec{level}_exact_area"]
        torch.testing.assert_close(specular[level], expected, **TIGHT)
    diffuse = filter.diffuse(levels[-1])
    torch.testing.assert_close(diffuse, golden["diffuse_exact_area"], **TIGHT)
    closed = golden["diffuse_closed_form_ch0_ch1"]
    torch.testing.assert_close(diffuse[..., :2], closed, rtol=0, atol=2e-4)


def test_areas_and_cutoffs_are_the_references(golden, scalars):
    torch.testing.assert_close(prefilter.reference_areas(16), golden["pixel_area_ref16"], **TIGHT)
    for roughness, cosine in scalars["cutoff_cos"].items():
        assert prefilter.cutoff(float(roughness)) == pytest.approx(cosine, rel=1e-9)
    assert [roughness for _, roughness in Prefilter(64).levels] == scalars["levels_roughness"]


def test_white_light_stays_white_but_for_the_reference(golden):
    white = torch.ones(6, 64, 64, 1, dtype=torch.float64)
    diffuse, specular = Prefilter(64)(white)
    torch.testing.assert_close(diffuse, torch.ones_like(diffuse), rtol=0, atol=2e-4)
    for light in specular:
        torch.testing.assert_close(light, torch.ones_like(light))
    published = Prefilter(64, "reference").diffuse(white).squeeze(-1)
    torch.testing.assert_close(published, golden["diffuse_gain_constant_env"], **TIGHT)


def test_a_linear_light_keeps_the_share_that_the_lobe_lets_through(golden, scalars):
    axis = golden["axis_b"]
    levels = [light_of(axis, res)[..., :1] for res in (64, 32, 16)]
    for light, (res, roughness) in zip(
        Prefilter(64).specular(levels), Prefilter(64).levels, strict=True
    ):
        gain = scalars["linear_env_gain_c1"][f"{roughness:.4f}"]
        cosines = cubemap.texel_directions(res, dtype=torch.float64) @ axis
        # The lobe is summed over texels; at roughness 0.08 it holds three of them.
        torch.testing.assert_close(light[..., 0], 1 + 0.6 * gain * cosines, rtol=0, atol=3e-3)


@pytest.mark.parametrize("mode", ["corrected", "reference"])
def test_gradients_are_those_of_the_blur(mode):
    torch.manual_seed(0)
    filter = Prefilter(64, mode)
    light = torch.rand(6, 64, 64, 1, dtype=torch.float64, requires_grad=True)
    step = torch.randn_like(light)
    weights = torch.randn(6, 16, 16, 1, dtype=torch.float64)

    def value(light: torch.Tensor) -> torch.Tensor:
        diffuse, specular = filter(light)
        return (diffuse * weights).sum() + sum((each.square()).sum() for each in specular)

    (gradient,) = torch.autograd.grad(value(light), light)
    with torch.no_grad():
        change = (value(light + 1e-4 * step) - value(light - 1e-4 * step)) / 2e-4
    assert (gradient * step).sum().item() == pytest.approx(change.item(), rel=1e-7)


def test_turning_the_light_by_a_quarter_turns_its_blur():
    torch.manual_seed(0)
    light = torch.rand(6, 64, 64, 3, dtype=torch.float64)
    quarter = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]], dtype=torch.float64)

    def turned(map: torch.Tensor) -> torch.Tensor:
        around = cubemap.texel_directions(map.shape[1], dtype=torch.float64)
        return cubemap.sample(map, around @ quarter, "nearest")

    diffuse, specular = Prefilter(64)(light)
    diffuse_turned, specular_turned = Prefilter(64)(turned(light))
    torch.testing.assert_close(diffuse_turned, turned(diffuse))
    for light_turned, light in zip(specular_turned, specular, strict=True):
        torch.testing.assert_close(light_turned, turned(light))


def test_float32_is_enough(golden):
    exact, _ = Prefilter(64)(golden["base64"])
    single, _ = Prefilter(64)(golden["base64"].float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), exact, rtol=0, atol=1e-5)


def test_levels_follow_roughness_without_a_jump(goldens: Path):
    arrays = np.load(goldens / "inverse-rendering/split_sum.npz")
    roughness, expected = (torch.from_numpy(arrays[name]) for name in ("roughness", "mip_level"))
    torch.testing.assert_close(prefilter.level_of(roughness, 3), expected, **TIGHT)
    ends = prefilter.level_of(torch.tensor([0.0, 0.08, 0.5, 1.0]), 5)
    assert ends.tolist() == [0, 0, 3, 4]
    line = prefilter.level_of(torch.linspace(0, 1, 1001), 5)
    assert 0 <= line.diff().min() <= line.diff().max() < 3 / 0.42 / 1000 + 1e-5


def test_other_sizes_are_refused():
    with pytest.raises(ConfigError, match="64, 128, 256 or 512 texels a side; got 32"):
        Prefilter(32)
    with pytest.raises(DataError, match=r"found \[64\]"):
        Prefilter(64).specular([torch.ones(6, 64, 64, 3)])
    assert math.isclose(Prefilter(512).levels[-1][1], 1.0)
