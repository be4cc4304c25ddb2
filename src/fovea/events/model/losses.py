"""The detector's loss, from outputs and boxes to one number and its parts.

Notation as in `assignment`: N images, M boxes at most, A anchors; P positive anchors.

Source: Ge et al., "YOLOX" (2021); ignored boxes and weights of boxes: Wu et al., "LEOD" (2024).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from fovea.errors import ConfigError
from fovea.events.labels import IGNORE
from fovea.events.model.assignment import Assignment, assign
from fovea.events.model.head import Anchors, Outputs
from fovea.events.model.weighting import parse
from fovea.events.settings.losses import LossConfig

FOCAL_ALPHA, FOCAL_GAMMA = 0.25, 2.0


@dataclass(frozen=True)
class Losses:
    """The loss of a batch and its parts, each with its weight."""

    total: Tensor
    iou: Tensor
    objectness: Tensor
    classes: Tensor
    l1: Tensor
    positives_a_box: float
    """Anchors that answer for a box, on average."""

    def shown(self) -> dict[str, float]:
        """The numbers, for a log."""
        names = ("total", "iou", "objectness", "classes", "l1")
        shown = {name: float(getattr(self, name).detach()) for name in names}
        return shown | {"positives_a_box": self.positives_a_box}


def thresholds(values: Sequence[float], classes: int) -> tuple[float, ...]:
    """A threshold for each class, from one for all, one each, or two as (cars, all others).

    Raises:
        ConfigError: their number fits none of these.
    """
    if len(values) == classes:
        return tuple(values)
    if len(values) == 1:
        return tuple(values) * classes
    if len(values) == 2 and classes == 3:
        # The classes of gen4: pedestrian, two-wheeler, car.
        return values[1], values[1], values[0]
    raise ConfigError(
        f"thresholds are one for all classes, one for each, or for gen4 two as (cars, all others);"
        f" found {len(values)}, {tuple(values)}, for {classes} classes. Give {classes} numbers."
    )


def with_ignored(targets: Float[Tensor, "N M 7"], least: Sequence[float]) -> Float[Tensor, "N M 7"]:
    """The same boxes, those less sure than the threshold of their class given the class IGNORE."""
    of_class = targets[..., 0].long()
    limit = targets.new_tensor([*least, 0.0])[of_class.clamp(max=len(least))]
    unsure = (targets[..., 5] < limit) | (targets[..., 6] < limit)
    unsure &= targets.sum(dim=2) > 0
    kinds = targets[..., 0].masked_fill(unsure, float(IGNORE))
    return torch.cat([kinds[..., None], targets[..., 1:]], dim=-1)


def detection_losses(
    found: Outputs, targets: Float[Tensor, "N M 7"], settings: LossConfig
) -> Losses:
    """The loss of a batch.

    Args:
        found: what the head says.
        targets: as `Labels.targets` gives them, padded with rows of zeros.
        settings: of the loss.
    """
    outputs, targets = found.boxes, targets.float()
    if settings.assignment == "soft":
        least = thresholds(settings.ignore_bbox_thresh, outputs.shape[2] - 5)
        targets = with_ignored(targets, least)
    ignored = targets[..., 0] == IGNORE
    given = assign(outputs.detach(), found.anchors, targets, ignored=ignored)
    images, places = given.is_positive.nonzero(as_tuple=True)
    wanted = targets[images, given.box[images, places]]
    predicted = outputs[images, places]
    weights = _weights(wanted, settings)
    count = max(len(images), 1)

    overlap = _iou(predicted[:, :4], wanted[:, 1:5])
    iou = settings.iou * (_weighted(1 - overlap**2, weights)).sum() / count
    kinds = functional.one_hot(wanted[:, 0].long(), outputs.shape[2] - 5)
    goal = kinds * given.iou[images, places, None]
    of_classes = functional.binary_cross_entropy_with_logits(
        predicted[:, 5:], goal, reduction="none"
    )
    classes = settings.classes * _weighted(of_classes.sum(dim=1), weights).sum() / count
    objectness = settings.objectness * _objectness(outputs[..., 4], given, settings) / count
    l1 = outputs.new_zeros(())
    if settings.l1:
        goal = _in_cells(wanted[:, 1:5], found.anchors, places)
        l1 = settings.l1 * (found.raw[images, places] - goal).abs().sum() / count
    boxes = int(((targets.sum(dim=2) > 0) & ~ignored).sum())
    return Losses(
        total=iou + objectness + classes + l1,
        iou=iou,
        objectness=objectness,
        classes=classes,
        l1=l1,
        positives_a_box=count / max(boxes, 1),
    )


def _iou(predicted: Float[Tensor, "P 4"], wanted: Float[Tensor, "P 4"]) -> Float[Tensor, " P"]:
    low = torch.maximum(predicted[:, :2] - predicted[:, 2:] / 2, wanted[:, :2] - wanted[:, 2:] / 2)
    high = torch.minimum(predicted[:, :2] + predicted[:, 2:] / 2, wanted[:, :2] + wanted[:, 2:] / 2)
    shared = (high - low).prod(dim=1) * (low < high).all(dim=1)
    union = predicted[:, 2:].prod(dim=1) + wanted[:, 2:].prod(dim=1) - shared
    return shared / (union + 1e-16)


def _objectness(logits: Float[Tensor, "N A"], given: Assignment, settings: LossConfig) -> Tensor:
    """Summed over all anchors that count."""
    goal = given.is_positive.to(logits.dtype)
    losses = functional.binary_cross_entropy_with_logits(logits, goal, reduction="none")
    if settings.obj_focal_loss:
        chance = logits.sigmoid()
        off = (goal - chance).abs()
        alpha = FOCAL_ALPHA * goal + (1 - FOCAL_ALPHA) * (1 - goal)
        losses = alpha * off**FOCAL_GAMMA * losses
    left_out = given.is_ignored
    if settings.ignore_bg_k:
        left_out = left_out | _likeliest_background(logits, given, settings.ignore_bg_k)
    return losses.masked_fill(left_out, 0.0).sum()


@torch.no_grad()
def _likeliest_background(logits: Tensor, given: Assignment, share: float) -> Tensor:
    """Which background anchors of each image look most like objects."""
    is_background = ~given.is_positive & ~given.is_ignored
    counts = (is_background.sum(dim=1) * share).int()
    order = logits.masked_fill(~is_background, -torch.inf).argsort(dim=1, descending=True)
    ranks = order.argsort(dim=1)
    return ranks < counts[:, None]


def _weights(wanted: Float[Tensor, "P 7"], settings: LossConfig) -> Tensor | None:
    """How much each positive anchor counts; None is all alike."""
    weights = None
    if settings.bbox_loss_weighting:
        name, function = parse(settings.bbox_loss_weighting)
        scores = {"obj": wanted[:, 5], "cls": wanted[:, 6], "objxcls": wanted[:, 5] * wanted[:, 6]}
        weights = function(scores[name]).expand(len(wanted))
        weights = weights / weights.mean()
    if settings.soft_label_weight != 1:
        is_pseudo = (wanted[:, 5:7] < 1).any(dim=1)
        factor = torch.where(is_pseudo, settings.soft_label_weight, 1.0)
        weights = factor if weights is None else weights * factor
    return weights


def _weighted(losses: Tensor, weights: Tensor | None) -> Tensor:
    return losses if weights is None else losses * weights


def _in_cells(
    wanted: Float[Tensor, "P 4"], anchors: Anchors, places: Tensor
) -> Float[Tensor, "P 4"]:
    """What the head should say of these boxes, before it is decoded."""
    in_cells = wanted / anchors.strides[places, None]
    return torch.cat([in_cells[:, :2] - anchors.cells[places], (in_cells[:, 2:] + 1e-8).log()], 1)
