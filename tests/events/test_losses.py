"""Assignment and losses against the reference's, and what ignored boxes may not do."""

import json

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from fovea.errors import ConfigError
from fovea.events.labels import IGNORE
from fovea.events.model.assignment import assign, pairwise_iou
from fovea.events.model.head import Anchors, Outputs
from fovea.events.model.losses import detection_losses, thresholds, with_ignored
from fovea.events.settings.losses import LossConfig

CASES = (
    "hard_small", "hard_gen1", "hard_gen4", "hard_crowd_one_anchor_many_gt", "hard_empty_image",
    "soft_thresh_gen1", "soft_thresh_gen4", "soft_thresh_gen4_wsod", "ignore_some",
    "ignore_all_in_one_image", "ignore_overlaps_valid", "weight_objxcls", "weight_cls_squared",
    "obj_focal", "ignore_bg_k10pct", "l1_on",
)  # fmt: skip
NAMES = {
    "total": "loss",
    "iou": "iou_loss",
    "objectness": "conf_loss",
    "classes": "cls_loss",
    "l1": "l1_loss",
    "positives_a_box": "num_fg_per_gt",
}


class Case:
    """One case of the goldens."""

    def __init__(self, goldens, name: str) -> None:
        self.golden = json.loads((goldens / "events" / "assignment_losses.json").read_text())[name]
        self.arrays = np.load(goldens / "events" / "assignment_losses.npz")
        self.name = name
        height, width = self.golden["padded_hw"]
        self.anchors = Anchors.of([(height // s, width // s) for s in (8, 16, 32)])
        self.boxes = self["outputs"].requires_grad_()
        self.targets = self["labels"]
        options = dict(self.golden["head_args"])
        if "ignore_bbox_thresh" in options:
            options |= {"assignment": "soft", "ignore_bbox_thresh": options["ignore_bbox_thresh"]}
        self.settings = LossConfig(**options, l1=float(self.golden["use_l1"]))

    def __getitem__(self, key: str) -> torch.Tensor:
        return torch.from_numpy(self.arrays[f"{self.name}_{key}"])

    def has(self, key: str) -> bool:
        return f"{self.name}_{key}" in self.arrays.files

    @property
    def outputs(self) -> Outputs:
        raw = self["origin_preds"] if self.has("origin_preds") else self.boxes[..., :4]
        return Outputs(self.boxes, raw, self.anchors)


@pytest.fixture(params=CASES)
def case(request, goldens) -> Case:
    return Case(goldens, request.param)


def test_every_case_of_the_goldens_is_tried(goldens) -> None:
    found = json.loads((goldens / "events" / "assignment_losses.json").read_text())
    assert sorted(found) == sorted(CASES)


def test_losses_and_gradients_are_the_reference_s(case: Case) -> None:
    losses = detection_losses(case.outputs, case.targets, case.settings)
    for ours, theirs in NAMES.items():
        found = float(torch.as_tensor(getattr(losses, ours)).detach())
        assert found == pytest.approx(case.golden["losses"][theirs], rel=1e-4), ours
    losses.total.backward()
    golden = case["grad_outputs"]
    scale = float(golden.abs().max())
    torch.testing.assert_close(case.boxes.grad, golden, rtol=1e-3, atol=1e-6 * scale)


def test_assignments_are_the_reference_s(case: Case) -> None:
    targets = case.targets
    if case.settings.assignment == "soft":
        least = thresholds(case.settings.ignore_bbox_thresh, case.boxes.shape[2] - 5)
        targets = with_ignored(targets, least)
    ignored = targets[..., 0] == IGNORE
    found = assign(case.boxes.detach(), case.anchors, targets, ignored=ignored)
    is_valid = (targets.sum(dim=2) > 0) & ~ignored
    assigned = [image for image in range(len(targets)) if is_valid[image].any()]
    assert assigned, "an image with boxes"
    for number, image in enumerate(assigned):
        is_positive = found.is_positive[image]
        assert torch.equal(is_positive, case[f"assign{number}_fg_mask"])
        valid = is_valid[image].nonzero()[:, 0]
        assert torch.equal(found.box[image][is_positive], valid[case[f"assign{number}_gt_inds"]])
        torch.testing.assert_close(found.iou[image][is_positive], case[f"assign{number}_ious"])
        of_class = targets[image, found.box[image][is_positive], 0]
        assert torch.equal(of_class, case[f"assign{number}_classes"])


# Ignored boxes


def scene(*rows: tuple[float, ...]) -> torch.Tensor:
    return torch.tensor(rows).unsqueeze(0)


def made_outputs(seed: int = 0) -> tuple[torch.Tensor, Anchors]:
    """Plausible predictions of a frame of 64 x 64."""
    anchors = Anchors.of([(64 // s, 64 // s) for s in (8, 16, 32)])
    make = torch.Generator().manual_seed(seed)
    count = len(anchors.cells)
    boxes = torch.randn(1, count, 7, generator=make)
    boxes[..., :2] = anchors.centres + 2 * boxes[..., :2]
    boxes[..., 2:4] = anchors.strides[:, None] * boxes[..., 2:4].exp()
    return boxes.requires_grad_(), anchors


def test_no_gradient_of_objectness_where_only_ignored_boxes_are() -> None:
    boxes, anchors = made_outputs()
    targets = scene((0, 12, 12, 10, 10, 1, 1), (IGNORE, 48, 48, 12, 12, 0, 0))
    detection_losses(
        Outputs(boxes, boxes[..., :4], anchors), targets, LossConfig()
    ).total.backward()
    found = assign(boxes.detach(), anchors, targets, ignored=targets[..., 0] == IGNORE)
    near = ((anchors.centres - 48).abs() < 1.5 * anchors.strides[:, None]).all(dim=1)
    near_valid = ((anchors.centres - 12).abs() < 1.5 * anchors.strides[:, None]).all(dim=1)
    assert torch.equal(found.is_ignored[0], near & ~near_valid)
    gradient = boxes.grad[0, :, 4]
    assert (gradient[found.is_ignored[0]] == 0).all()
    assert (gradient[~found.is_ignored[0]] != 0).all()


def test_an_ignored_box_upon_a_valid_one_changes_nothing() -> None:
    boxes, anchors = made_outputs()
    valid = (1.0, 30, 30, 14, 14, 1, 1)
    alone = detection_losses(Outputs(boxes, boxes[..., :4], anchors), scene(valid), LossConfig())
    both = scene(valid, (IGNORE, 30, 30, 14, 14, 0, 0))
    together = detection_losses(Outputs(boxes, boxes[..., :4], anchors), both, LossConfig())
    assert torch.equal(alone.total, together.total)


def test_rows_of_zeros_change_nothing() -> None:
    boxes, anchors = made_outputs()
    targets = scene((1.0, 30, 30, 14, 14, 1, 1))
    padded = torch.nn.functional.pad(targets, (0, 0, 0, 5))
    outputs = Outputs(boxes, boxes[..., :4], anchors)
    few, many = (detection_losses(outputs, t, LossConfig()).total for t in (targets, padded))
    assert torch.equal(few, many)


def test_frames_without_boxes_teach_that_there_is_nothing() -> None:
    boxes, anchors = made_outputs()
    losses = detection_losses(
        Outputs(boxes, boxes[..., :4], anchors), torch.zeros(1, 1, 7), LossConfig()
    )
    assert float(losses.iou.detach()) == float(losses.classes.detach()) == 0
    assert float(losses.objectness.detach()) == pytest.approx(
        float(torch.nn.functional.softplus(boxes.detach()[..., 4]).sum()), rel=1e-5
    )


def test_a_box_beyond_all_anchors_is_told_of_and_left_out(caplog) -> None:
    boxes, anchors = made_outputs()
    far = scene((0.0, 500, 500, 10, 10, 1, 1))
    losses = detection_losses(Outputs(boxes, boxes[..., :4], anchors), far, LossConfig())
    assert float(losses.iou.detach()) == 0
    assert "1 of 1 images have boxes whose centres lie beyond all anchors" in caplog.text


def test_images_are_assigned_independently_of_each_other() -> None:
    boxes, anchors = made_outputs(1)
    others, _ = made_outputs(2)
    first = scene((0, 20, 22, 18, 12, 1, 1), (1, 40, 40, 9, 9, 1, 1))
    second = scene((1, 30, 11, 25, 12, 1, 1), (0, 0, 0, 0, 0, 0, 0))
    ignored = torch.zeros(2, 2, dtype=torch.bool)
    both = assign(
        torch.cat([boxes, others]).detach(), anchors, torch.cat([first, second]), ignored=ignored
    )
    for image, (output, target) in enumerate(((boxes, first), (others, second))):
        alone = assign(output.detach(), anchors, target, ignored=ignored[:1])
        assert torch.equal(both.is_positive[image], alone.is_positive[0])
        assert torch.equal(both.box[image], alone.box[0])


def test_overlap_is_one_with_itself_and_none_with_what_is_apart() -> None:
    boxes = torch.tensor([[[5.0, 5, 4, 4], [7, 5, 4, 4], [50, 50, 4, 4]]])
    expected = torch.tensor([[[1, 1 / 3, 0], [1 / 3, 1, 0], [0, 0, 1]]])
    torch.testing.assert_close(pairwise_iou(boxes, boxes), expected)


# Options


def test_pseudo_labels_may_weigh_less() -> None:
    boxes, anchors = made_outputs()
    outputs = Outputs(boxes, boxes[..., :4], anchors)
    pseudo, truth = scene((0, 20, 20, 12, 12, 0.8, 0.9)), scene((0, 20, 20, 12, 12, 1, 1))
    half = LossConfig(soft_label_weight=0.5)
    full_weight = detection_losses(outputs, pseudo, LossConfig())
    half_weight = detection_losses(outputs, pseudo, half)
    torch.testing.assert_close(half_weight.iou, 0.5 * full_weight.iou)
    torch.testing.assert_close(half_weight.classes, 0.5 * full_weight.classes)
    torch.testing.assert_close(half_weight.objectness, full_weight.objectness)
    torch.testing.assert_close(detection_losses(outputs, truth, half).iou, full_weight.iou)


def test_thresholds_come_as_one_as_two_or_as_one_for_each_class() -> None:
    assert thresholds((0.5,), 3) == (0.5, 0.5, 0.5)
    assert thresholds((0.7, 0.35), 2) == (0.7, 0.35)
    assert thresholds((0.7, 0.35), 3) == (0.35, 0.35, 0.7), "gen4: pedestrian, two-wheeler, car"
    with pytest.raises(ConfigError, match=r"found 4, .* for 3 classes\. Give 3 numbers"):
        thresholds((0.1, 0.2, 0.3, 0.4), 3)


def test_a_weighting_that_is_none_is_refused_when_it_is_set() -> None:
    with pytest.raises(ValidationError, match="'obj_' is no score"):
        LossConfig(bbox_loss_weighting="obj_")
