import json
from pathlib import Path

import numpy as np
import pytest
import torch

from fovea.relight import losses
from fovea.relight.stages import LossConfig

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
