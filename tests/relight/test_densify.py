from pathlib import Path

import numpy as np
import pytest
import torch

from fovea.relight.densify import (
    child_scales,
    clone_and_split_masks,
    densify,
    mean_gradients,
    prune_mask,
    reset_opacities,
)
from fovea.relight.settings.fit import DensifyConfig

CONFIG = DensifyConfig(gradient=2e-4)  # as published


@pytest.fixture(scope="module")
def known(goldens: Path) -> dict[str, torch.Tensor]:
    arrays = np.load(goldens / "inverse-rendering/densify.npz")
    return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


@pytest.fixture
def parameters(known) -> dict[str, torch.Tensor]:
    count = len(known["opacity"])
    return {
        "means": torch.arange(3.0 * count, dtype=torch.float64).reshape(count, 3),
        "scales": known["scales"].log(),
        "quats": torch.tensor([[1.0, 0.0, 0.0, 0.0]], dtype=torch.float64).repeat(count, 1),
        "opacities": torch.logit(known["opacity"]),
    }


def test_the_gradient_is_a_mean_over_the_views_that_saw_a_gaussian(known):
    found = mean_gradients(known["grad_accum"], known["denom"])
    torch.testing.assert_close(found, known["avg_grad"], rtol=1e-9, atol=0)


def test_the_references_gaussians_are_cloned_and_split(known):
    clones, splits = clone_and_split_masks(
        known["avg_grad"], known["scales"], extent=float(known["extent"]), config=CONFIG
    )
    assert clones.equal(known["clone_mask"])
    assert splits.equal(known["split_mask"])
    children = child_scales(known["scales"][splits]).repeat(2, 1)
    torch.testing.assert_close(children, known["child_scales"], rtol=1e-9, atol=0)


@pytest.mark.parametrize(
    ("mask", "remove_large"), [("prune_small_opacity", False), ("prune_with_size", True)]
)
def test_rows_come_out_in_the_references_order_without_the_pruned(
    known, parameters, mask, remove_large
):
    splits, clones = known["split_mask"], known["clone_mask"]
    rows = torch.arange(len(splits))
    order = torch.cat([rows[~splits], rows[clones], rows[splits], rows[splits]])
    assert len(order) == int(known["count_before_prune"])
    new, source, is_new = densify(
        parameters,
        known["avg_grad"],
        extent=float(known["extent"]),
        remove_large=remove_large,
        config=CONFIG,
        generator=torch.Generator().manual_seed(0),
    )
    remaining = ~known[mask]
    assert source.equal(order[remaining])
    assert is_new.equal((torch.arange(len(order)) >= int((~splits).sum()))[remaining])
    moved = (new["means"] != parameters["means"][source]).any(dim=-1)
    is_child = (torch.arange(len(order)) >= int((~splits).sum() + clones.sum()))[remaining]
    assert moved.equal(is_child)


def test_what_is_pruned_after_the_split_is_what_the_reference_prunes(known):
    splits, clones = known["split_mask"], known["clone_mask"]
    rows = torch.arange(len(splits))
    order = torch.cat([rows[~splits], rows[clones], rows[splits], rows[splits]])
    scales = known["scales"][order]
    children = len(known["child_scales"])
    scales[-children:] = known["child_scales"]
    for name, remove_large in (("prune_small_opacity", False), ("prune_with_size", True)):
        found = prune_mask(
            known["opacity"][order],
            scales,
            extent=float(known["extent"]),
            remove_large=remove_large,
            config=CONFIG,
        )
        assert found.equal(known[name])


def test_a_reset_brings_opacities_to_a_hundredth_and_leaves_fainter_ones(known):
    raw = reset_opacities(torch.logit(known["opacity"]))
    torch.testing.assert_close(raw.sigmoid(), known["opacity_after_reset"], rtol=1e-9, atol=1e-12)


def test_the_strongest_go_first_when_the_limit_is_near(known):
    config = DensifyConfig(gradient=2e-4, most=len(known["avg_grad"]) + 7)
    clones, splits = clone_and_split_masks(
        known["avg_grad"], known["scales"], extent=float(known["extent"]), config=config
    )
    chosen = known["avg_grad"][clones | splits]
    assert len(chosen) == 7
    assert chosen.min() >= known["avg_grad"][~(clones | splits)].max()
