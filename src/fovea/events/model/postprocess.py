"""Boxes from decoded predictions: confidence first, then non-maximum suppression."""

from __future__ import annotations

import numba
import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

NMS_IOU = 0.45


def postprocess(
    decoded: Float[Tensor, "B anchors 5+classes"],
    *,
    confidence: float,
    iou: float = NMS_IOU,
    class_agnostic: bool = False,
) -> list[Float[Tensor, "n 7"]]:
    """The boxes of each frame, surest first.

    Args:
        decoded: [centre x, centre y, w, h, objectness, classes...], probabilities.
        confidence: least objectness times class confidence.
        iou: overlap above which the less sure of two boxes goes.
        class_agnostic: whether boxes of other classes count too.

    Returns:
        Rows [x1, y1, x2, y2, objectness, class confidence, class].
    """
    best, kind = decoded[..., 5:].max(dim=2)
    half = decoded[..., 2:4] / 2
    corners = torch.cat([decoded[..., :2] - half, decoded[..., :2] + half], dim=-1)
    rows = torch.cat(
        [corners, decoded[..., 4:5], best[..., None], kind[..., None].to(decoded.dtype)], dim=-1
    )
    found: list[Tensor] = []
    for each, is_sure in zip(rows, decoded[..., 4] * best >= confidence, strict=True):
        sure = each[is_sure]
        kinds = torch.zeros_like(sure[:, 6]) if class_agnostic else sure[:, 6]
        found.append(sure[nms(sure[:, :4], sure[:, 4] * sure[:, 5], kinds, iou=iou)])
    return found


def nms(
    boxes: Float[Tensor, "n 4"],
    scores: Float[Tensor, " n"],
    kinds: Float[Tensor, " n"],
    *,
    iou: float,
) -> Int64[Tensor, " kept"]:
    """Greedy non-maximum suppression within each kind.

    Args:
        boxes: corners [x1, y1, x2, y2].
        scores: the higher goes first, of equal ones the earlier.
        kinds: only boxes of one kind suppress each other.
        iou: overlap above which a box is suppressed.

    Returns:
        Indices of the boxes that stay, highest score first.
    """
    order = scores.argsort(descending=True, stable=True)
    sorted_boxes = boxes[order].detach().cpu().float().contiguous().numpy()
    is_kept = _kept(sorted_boxes, kinds[order].cpu().long().numpy(), np.float32(iou))
    return order[torch.from_numpy(is_kept).to(order.device)]


@numba.njit(cache=True, nogil=True)
def _kept(
    boxes: Float[np.ndarray, "n 4"], kinds: Int64[np.ndarray, " n"], iou: np.float32
) -> Bool[np.ndarray, " n"]:
    count = len(boxes)
    is_kept = np.ones(count, np.bool_)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    zero = np.float32(0)
    for first in range(count):
        if not is_kept[first]:
            continue
        for second in range(first + 1, count):
            if not is_kept[second] or kinds[first] != kinds[second]:
                continue
            width = min(boxes[first, 2], boxes[second, 2]) - max(boxes[first, 0], boxes[second, 0])
            height = min(boxes[first, 3], boxes[second, 3]) - max(boxes[first, 1], boxes[second, 1])
            shared = max(width, zero) * max(height, zero)
            if shared > iou * (areas[first] + areas[second] - shared):
                is_kept[second] = False
    return is_kept
