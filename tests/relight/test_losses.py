import json
from pathlib import Path

import numpy as np
import pytest
import torch

from fovea.relight import losses
from fovea.relight.light import cubemap
from fovea.relight.settings.fit import LossConfig

# The reference's SSIM window is float32, so its numbers are good to 1e-9 here and not beyond.
TIGHT = 1e-9


@pytest.fixture(scope="module")
def maps(goldens: Path) -> dict[str, torch.Tensor]:
    arrays = np.load(goldens / "inverse-rendering/losses.npz")
    names = (
        "gt",
        "image",
        "normal",
        "normal_from_depth",
        "grad_stage1_image",
        "grad_stage1_normal",
    )
    return {name: torch.from_numpy(arrays[name]).permute(1, 2, 0).contiguous() for name in names}


@pytest.fixture(scope="module")
def scalars(goldens: Path) -> dict[str, float]:
    return json.loads((goldens / "inverse-rendering/scalars.json").read_text())["losses"]


def test_the_loss_of_stage_one_and_its_gradients_are_the_references(maps, scalars):
    image, normals = (maps[name].clone().requires_grad_() for name in ("image", "normal"))
    seen = maps["normal_from_depth"]
    valid = losses.all_components_differ_from_zero(seen)
    loss = losses.stage_one(image, maps["gt"], normals, seen, valid, LossConfig())
    loss.backward()
    assert loss.item() == pytest.approx(scalars["stage1_total_default"], rel=TIGHT)
    torch.testing.assert_close(image.grad, maps["grad_stage1_image"], rtol=1e-6, atol=TIGHT)
    torch.testing.assert_close(normals.grad, maps["grad_stage1_normal"], rtol=1e-6, atol=TIGHT)


@pytest.mark.parametrize(
    ("name", "pool", "steps"),
    [
        ("normal_tv", 1, 1),
        ("tv_pad8_step1", 8, 1),
        ("tv_pad1_step3", 1, 3),
        ("tv_pad2_step2", 2, 2),
    ],
)
def test_edge_aware_smoothness_is_the_references(maps, scalars, name, pool, steps):
    value = losses.edge_aware_tv(maps["normal"], maps["gt"], pool=pool, steps=steps)
    assert value.item() == pytest.approx(scalars[name], rel=TIGHT)


def test_the_normal_term_counts_only_pixels_that_have_a_normal(maps, scalars):
    seen = maps["normal_from_depth"]
    valid = losses.all_components_differ_from_zero(seen)
    value = losses.normal_l1(maps["normal"], seen, valid)
    assert value.item() == pytest.approx(scalars["normal_l1"], rel=TIGHT)
    assert losses.normal_l1(maps["normal"], seen, torch.zeros_like(valid)) == 0


def test_smoothness_is_free_where_the_guide_has_an_edge():
    flat, step = torch.zeros(6, 8, 1), torch.zeros(6, 8, 1)
    step[:, 4:] = 1
    edge = torch.zeros(6, 8, 3)
    edge[:, 4:] = 5
    assert losses.edge_aware_tv(flat, edge) == 0
    assert losses.edge_aware_tv(step, edge) < 0.01 * losses.edge_aware_tv(
        step, torch.zeros(6, 8, 3)
    )


@pytest.fixture(scope="module")
def second(goldens: Path) -> dict[str, torch.Tensor]:
    arrays = np.load(goldens / "inverse-rendering/losses.npz")
    maps = ("gt", "brdf", "pbr", "grad_stage2_pbr", "grad_stage2_brdf")
    found = {name: torch.from_numpy(arrays[name]).permute(1, 2, 0).contiguous() for name in maps}
    found |= {name: torch.from_numpy(arrays[name]) for name in ("env", "grad_stage2_env")}
    for name in ("normal_mask", "eroded_mask_7x7"):
        found[name] = torch.from_numpy(arrays[name])[0] > 0
    return found


def test_the_loss_of_stage_two_and_its_gradients_are_the_references(second, scalars):
    image, materials, env = (
        second[name].clone().requires_grad_() for name in ("pbr", "brdf", "env")
    )
    loss = losses.stage_two(
        image, second["gt"], materials, second["normal_mask"], losses.map_tv(env)
    )
    loss.backward()
    assert loss.item() == pytest.approx(scalars["stage2_total_default"], rel=TIGHT)
    for value, name in ((image, "pbr"), (materials, "brdf"), (env, "env")):
        torch.testing.assert_close(
            value.grad, second[f"grad_stage2_{name}"], rtol=TIGHT, atol=1e-15
        )


@pytest.mark.parametrize(
    ("name", "mask"),
    [
        ("brdf_tv_masked", "normal_mask"),
        ("brdf_tv_masked_eroded", "eroded_mask_7x7"),
        ("brdf_tv_unmasked", None),
    ],
)
def test_smoothness_inside_a_mask_is_the_references(second, scalars, name, mask):
    everywhere = torch.ones_like(second["normal_mask"])
    inside = everywhere if mask is None else second[mask]
    value = losses.masked_tv(second["brdf"], second["gt"], inside)
    assert value.item() == pytest.approx(scalars[name], rel=TIGHT)


def test_the_single_terms_of_stage_two_are_the_references(second, scalars):
    materials, mask = second["brdf"], second["normal_mask"]
    pull = losses.lambertian(materials[..., 3], materials[..., 4], mask)
    assert pull.item() == pytest.approx(scalars["lambertian"], rel=TIGHT)
    assert losses.map_tv(second["env"]).item() == pytest.approx(scalars["env_tv"], rel=TIGHT)
    assert torch.equal(losses.eroded(mask), second["eroded_mask_7x7"])
    assert losses.lambertian(materials[..., 3], materials[..., 4], ~mask & mask) == 0


def test_the_light_terms_of_both_modes_agree_on_a_smooth_light():
    # A ramp has the same slope per angle on every grid, up to the shape of the texels.
    light = cubemap.texel_directions(64)[..., :1]
    published, ours = (losses.light_tv(light, mode=mode) for mode in ("reference", "corrected"))
    assert ours.item() == pytest.approx(published.item(), rel=0.5)
    finer = losses.light_tv(cubemap.texel_directions(128)[..., :1])
    assert ours.item() == pytest.approx(finer.item(), rel=0.02)
