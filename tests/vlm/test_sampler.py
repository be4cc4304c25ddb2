"""Batches by length and kind, in the reference's order; rates as it logs them."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fovea.training.schedule import warmup_cosine
from fovea.vlm.sampler import grouped_by_length


def test_the_order_is_the_reference_s(goldens: Path) -> None:
    cases = json.loads((goldens / "vlm" / "modality_length_sampler.json").read_text())["cases"]
    for case in cases:
        torch.manual_seed(case["global_seed"])
        order = grouped_by_length(
            case["lengths"],
            batch_size=case["batch_size"],
            world_size=case["world_size"],
            generator=torch.Generator().manual_seed(case["generator_seed"]),
        )
        assert order == case["indices"], case["name"]


@given(
    st.lists(st.integers(-50, 50), min_size=1, max_size=60), st.integers(1, 4), st.integers(1, 4)
)
def test_every_sample_comes_once(lengths: list[int], batch_size: int, world_size: int) -> None:
    order = grouped_by_length(
        lengths,
        batch_size=batch_size,
        world_size=world_size,
        generator=torch.Generator().manual_seed(0),
        kinds=torch.Generator().manual_seed(1),
    )
    assert sorted(order) == list(range(len(lengths)))


def test_learning_rates_are_those_the_reference_logs(goldens: Path) -> None:
    runs = json.loads((goldens / "vlm" / "lr_schedule.json").read_text())
    for name, run in runs.items():
        peak = 1e-3 if name.startswith("pretrain") else 2e-5
        steps = run["samples"] // run["global_batch"]
        assert steps == run["total_steps"]
        for step, rate in run["lr_logged_at_step"].items():
            found = warmup_cosine(int(step), peak=peak, steps=steps)
            assert found == pytest.approx(rate, rel=1e-12, abs=1e-16), (name, step)
