"""SimOTA: which anchors answer for which box, found anew in every iteration.

All images of a batch are assigned at once, over the anchors that are candidates of any box.

Notation: N images, M boxes at most, A anchors, K candidates at most. Boxes are [centre x, centre y,
w, h] in pixels.

Source: Ge et al., "YOLOX" (2021); its rule that a candidate must lie inside the box is left out, as
in RVT. Ignored boxes: Wu et al., "LEOD" (2024).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from fovea.events.model.head import Anchors

log = logging.getLogger(__name__)
REACH = 1.5
"""An anchor is a candidate within so many cells of a box's centre, in both axes."""
MOST = 10
"""Anchors of a box."""
IOU_WEIGHT = 3.0
FAR = 1e6
"""Cost of an anchor that only other boxes have as a candidate."""


@dataclass(frozen=True)
class Assignment:
    """What each anchor is to learn."""

    is_positive: Bool[Tensor, "N A"]
    box: Int64[Tensor, "N A"]
    """Index of the box a positive anchor answers for; 0 elsewhere."""
    iou: Float[Tensor, "N A"]
    """Of the predicted box with that box."""
    is_ignored: Bool[Tensor, "N A"]
    """Neither an object nor background: only ignored boxes are near."""


@torch.no_grad()
def assign(
    outputs: Float[Tensor, "N A 5+classes"],
    anchors: Anchors,
    targets: Float[Tensor, "N M 7"],
    *,
    ignored: Bool[Tensor, "N M"],
) -> Assignment:
    """Assign anchors to boxes.

    Args:
        outputs: predicted boxes, and logits of objectness and classes.
        anchors: of the same input size.
        targets: [class, cx, cy, w, h, objectness, class confidence]; rows of zeros are no boxes.
        ignored: boxes that take no part, and keep others from calling their place background.
    """
    is_box = targets.sum(dim=2) > 0
    is_valid = is_box & ~ignored
    near_any = _near(anchors, targets)
    near = near_any & is_valid[..., None]
    is_candidate = near.any(dim=1)
    is_ignored = (near_any & (is_box & ignored)[..., None]).any(dim=1) & ~is_candidate
    _warn_of_lost(is_valid, is_candidate)
    shape = is_candidate.shape
    is_positive = torch.zeros(shape, dtype=torch.bool, device=outputs.device)
    box = torch.zeros(shape, dtype=torch.long, device=outputs.device)
    iou = torch.zeros(shape, device=outputs.device)
    if is_candidate.any():
        where, places, is_there = _gathered(is_candidate)
        candidates = outputs.gather(1, places[..., None].expand(-1, -1, outputs.shape[2]))
        ious = pairwise_iou(targets[..., 1:5], candidates[..., :4])
        near = near.gather(2, places[:, None].expand(-1, near.shape[1], -1))
        part = is_valid[..., None] & is_there[:, None]
        matched, boxes = _match(_costs(candidates, targets, ious, near), ious, part)
        of_match = ious.gather(1, boxes[:, None])[:, 0]
        is_positive[where] = matched[is_there]
        box[where] = torch.where(matched, boxes, 0)[is_there]
        iou[where] = torch.where(matched, of_match, 0.0)[is_there]
    return Assignment(is_positive, box, iou, is_ignored)


def pairwise_iou(
    boxes: Float[Tensor, "N M 4"], others: Float[Tensor, "N K 4"]
) -> Float[Tensor, "N M K"]:
    """Intersection over union of each with each, boxes [centre x, centre y, w, h]."""
    a, b = boxes[:, :, None], others[:, None]
    low = torch.maximum(a[..., :2] - a[..., 2:] / 2, b[..., :2] - b[..., 2:] / 2)
    high = torch.minimum(a[..., :2] + a[..., 2:] / 2, b[..., :2] + b[..., 2:] / 2)
    shared = (high - low).clamp(min=0).prod(dim=-1)
    return (shared / (a[..., 2:].prod(-1) + b[..., 2:].prod(-1) - shared)).nan_to_num(0.0)


def _near(anchors: Anchors, targets: Tensor) -> Bool[Tensor, "N M A"]:
    reach = (REACH * anchors.strides)[:, None]
    centres, places = targets[..., None, 1:3], anchors.centres
    return ((places > centres - reach) & (places < centres + reach)).all(dim=-1)


def _gathered(is_candidate: Bool[Tensor, "N A"]) -> tuple[tuple[Tensor, Tensor], Tensor, Tensor]:
    """The candidates of each image side by side: where they are, their places, which are real."""
    images, places = is_candidate.nonzero(as_tuple=True)
    counts = is_candidate.sum(dim=1)
    is_there = torch.arange(int(counts.max()), device=counts.device) < counts[:, None]
    padded = torch.zeros(is_there.shape, dtype=torch.long, device=counts.device)
    padded[is_there] = places
    return (images, places), padded, is_there


def _costs(candidates: Tensor, targets: Tensor, ious: Tensor, near: Tensor) -> Tensor:
    """What it would cost each box to have each candidate, [N, M, K]."""
    scores = (candidates[..., 5:].sigmoid() * candidates[..., 4:5].sigmoid()).sqrt()
    yes, no = -scores.log().clamp(min=-100), -(-scores).log1p().clamp(min=-100)
    # Ignored boxes have no class of the detector's, and no part in the matching either.
    of_class = targets[..., 0].long().clamp(max=scores.shape[2] - 1)
    wanted = of_class[:, None].expand(-1, scores.shape[1], -1)
    classes = no.sum(dim=2, keepdim=True) + (yes - no).gather(2, wanted)
    return classes.transpose(1, 2) - IOU_WEIGHT * (ious + 1e-8).log() + FAR * (~near)


def _match(cost: Tensor, ious: Tensor, part: Tensor) -> tuple[Tensor, Tensor]:
    """Which candidates are matched, and to which box, both [N, K]."""
    cost = cost.masked_fill(~part, torch.inf)
    most = min(MOST, cost.shape[2])
    wanted = ious.masked_fill(~part, 0.0).topk(most, dim=2).values.sum(dim=2).int().clamp(min=1)
    cheapest, places = cost.topk(most, dim=2, largest=False)
    taken = torch.arange(most, device=cost.device) < wanted[..., None]
    matching = torch.zeros_like(part).scatter_(2, places, taken & cheapest.isfinite())
    claims = matching.sum(dim=1)
    first = matching.int().argmax(dim=1)
    # A candidate claimed by several goes to whom it costs least, claimant or not.
    return claims > 0, torch.where(claims > 1, cost.argmin(dim=1), first)


def _warn_of_lost(is_valid: Tensor, is_candidate: Tensor) -> None:
    lost = is_valid.any(dim=1) & ~is_candidate.any(dim=1)
    if lost.any():
        log.warning(
            "%d of %d images have boxes whose centres lie beyond all anchors; these boxes teach"
            " nothing. Check the labels with fovea events.check.", int(lost.sum()), len(lost),
        )  # fmt: skip
