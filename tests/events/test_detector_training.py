"""One iteration of training against the reference's: targets, losses, gradients, weights."""

import json

import numpy as np
import pytest
import torch

from fovea.events.labels import Labels
from fovea.events.model.architecture import Architecture
from fovea.events.model.detector import at_frames
from fovea.events.model.targets import collect_targets
from fovea.events.sensor import Sensor
from fovea.events.settings.losses import LossConfig

MICRO = Sensor("micro", 48, 64, ("car", "pedestrian"))
RATE = 2e-4


@pytest.fixture(scope="module", params=["hard", "soft"])
def iteration(request, goldens, fill, filled) -> dict:
    """What one iteration gives, and what the reference's gave."""
    golden = json.loads((goldens / "events" / f"train_{request.param}.json").read_text())
    arrays = np.load(goldens / "events" / f"train_{request.param}.npz")
    meta = json.loads((goldens / "events" / "model_meta.json").read_text())
    made = meta["cases"][f"train_{request.param}"]["input"]
    histograms = torch.from_numpy(fill.make_input(made["name"], made["shape"]))
    labels = [
        [
            Labels(arrays[name], 48, 64) if (name := f"labels_t{t}_b{b}") in arrays.files else None
            for b in range(histograms.shape[1])
        ]
        for t in range(len(histograms))
    ]
    detector = filled(Architecture.of("tiny", MICRO)).train()
    before = {name: each.detach().clone() for name, each in detector.state_dict().items()}
    settings = LossConfig(assignment=request.param)
    targets = collect_targets(labels, settings, classes=2)
    features, _ = detector.sequence_features(histograms)
    losses = detector.losses(
        at_frames(features, targets.steps, targets.lanes), targets.rows, settings
    )
    losses.total.backward()
    gradients = {name: p.grad.clone() for name, p in detector.named_parameters()}
    optimizer = torch.optim.AdamW(detector.parameters(), lr=RATE, weight_decay=0)
    torch.nn.utils.clip_grad_value_(detector.parameters(), 1.0)
    optimizer.step()
    return {
        "golden": golden, "arrays": arrays, "targets": targets, "losses": losses,
        "gradients": gradients, "before": before, "after": detector.state_dict(),
    }  # fmt: skip


def test_targets_are_the_reference_s(iteration) -> None:
    targets = iteration["targets"]
    frames = list(zip(targets.steps.tolist(), targets.lanes.tolist(), strict=True))
    assert frames == list(map(tuple, iteration["golden"]["labelled_frames_t_b_in_feature_order"]))
    np.testing.assert_array_equal(targets.rows.numpy(), iteration["arrays"]["targets"])


def test_losses_are_the_reference_s(iteration) -> None:
    shown = iteration["losses"].shown()
    names = {"total": "loss", "iou": "iou_loss", "objectness": "conf_loss", "classes": "cls_loss"}
    for ours, theirs in (names | {"positives_a_box": "num_fg"}).items():
        assert shown[ours] == pytest.approx(iteration["golden"]["losses"][theirs], rel=1e-4), ours


def test_gradients_are_the_reference_s(iteration) -> None:
    for name, (norm, total, most) in iteration["golden"]["grad_norm_sum_absmax"].items():
        found = iteration["gradients"][name]
        assert float(found.norm()) == pytest.approx(norm, rel=1e-3, abs=1e-6), name
        assert float(found.abs().max()) == pytest.approx(most, rel=1e-3, abs=1e-6), name
        # Sums cancel, so they are as near as the norm lets them be.
        near = 1e-3 * norm * found.numel() ** 0.5 + 1e-6
        assert float(found.sum()) == pytest.approx(total, abs=near), name


def test_one_step_of_the_optimiser_gives_the_reference_s_weights(iteration) -> None:
    golden = iteration["golden"]["state_sum_norm_after_one_AdamW_step_lr2e-4_clipvalue1"]
    assert set(golden) == set(iteration["after"])
    for name, (total, norm) in golden.items():
        found = iteration["after"][name].double()
        # Its first step moves a weight by the rate whichever way its gradient points, and
        # gradients that are rounding errors point either way.
        gradient = iteration["gradients"].get(name)
        unsure = (
            0 if gradient is None else int((gradient.abs() < 1e-4 * gradient.abs().max()).sum())
        )
        near = 2 * RATE * unsure + 1e-5 * norm + 1e-5
        assert float(found.sum()) == pytest.approx(total, abs=near + 1e-4 * abs(total)), name
        assert float(found.norm()) == pytest.approx(norm, rel=1e-4, abs=near), name
    for name, gradient in iteration["gradients"].items():
        moved = not torch.equal(iteration["before"][name], iteration["after"][name])
        assert moved == bool(gradient.any()), name
