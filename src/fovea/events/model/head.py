"""The head: at every cell of three levels one box, its objectness and its classes.

Notation: an anchor is a cell; anchors run level by level, finest first, row by row. Boxes are
[centre x, centre y, w, h] in pixels of the network's input.

Source: Ge et al., "YOLOX" (2021), with a quarter of the coarsest level's channels inside.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fovea.events.model.architecture import STRIDES, Architecture
from fovea.events.model.convolution import BaseConv

PRIOR = 0.01
"""What the head thinks at first of an object, or a class, at any place."""


@dataclass(frozen=True)
class Anchors:
    """Where the predictions of one input size stand."""

    cells: Float[Tensor, "anchors 2"]
    """Column and row within its level."""
    strides: Float[Tensor, " anchors"]

    @property
    def centres(self) -> Float[Tensor, "anchors 2"]:
        """Pixel positions of the middles of the cells."""
        return (self.cells + 0.5) * self.strides[:, None]

    @classmethod
    def of(cls, sizes: Sequence[tuple[int, int]], device: torch.device | str = "cpu") -> Anchors:
        """For levels of these (height, width)."""
        cells: list[Tensor] = []
        strides: list[Tensor] = []
        for stride, (height, width) in zip(STRIDES, sizes, strict=True):
            rows = torch.arange(height, device=device).repeat_interleave(width)
            columns = torch.arange(width, device=device).repeat(height)
            cells.append(torch.stack([columns, rows], dim=1).float())
            strides.append(torch.full((height * width,), float(stride), device=device))
        return cls(torch.cat(cells), torch.cat(strides))


@dataclass(frozen=True)
class Outputs:
    """What the head says of B images."""

    boxes: Float[Tensor, "B anchors 5+classes"]
    """Boxes in pixels, then logits of objectness and classes."""
    raw: Float[Tensor, "B anchors 4"]
    """The boxes before they are decoded: offsets in cells, logarithms of sizes in cells."""
    anchors: Anchors


class YoloxHead(nn.Module):
    """Classes and boxes by separate branches."""

    def __init__(self, of: Architecture) -> None:
        super().__init__()
        hidden, levels = of.hidden, of.dims[1:]
        self.cls_convs = nn.ModuleList([_twice(hidden) for _ in levels])
        self.reg_convs = nn.ModuleList([_twice(hidden) for _ in levels])
        self.cls_preds = nn.ModuleList([nn.Conv2d(hidden, of.classes, 1) for _ in levels])
        self.reg_preds = nn.ModuleList([nn.Conv2d(hidden, 4, 1) for _ in levels])
        self.obj_preds = nn.ModuleList([nn.Conv2d(hidden, 1, 1) for _ in levels])
        self.stems = nn.ModuleList([BaseConv(channels, hidden, 1) for channels in levels])
        for conv in (*self.cls_preds, *self.obj_preds):
            assert isinstance(conv, nn.Conv2d)
            assert conv.bias is not None
            nn.init.constant_(conv.bias, -math.log((1 - PRIOR) / PRIOR))

    def forward(self, levels: Sequence[Float[Tensor, "B C H W"]]) -> Outputs:
        """Boxes, objectness and classes at every anchor."""
        raw: list[Tensor] = []
        sizes: list[tuple[int, int]] = []
        for number, level in enumerate(levels):
            stem = self.stems[number](level)
            of_classes = self.cls_convs[number](stem)
            of_boxes = self.reg_convs[number](stem)
            found = torch.cat(
                [
                    self.reg_preds[number](of_boxes),
                    self.obj_preds[number](of_boxes),
                    self.cls_preds[number](of_classes),
                ],
                dim=1,
            )
            sizes.append((found.shape[2], found.shape[3]))
            raw.append(found.flatten(2).transpose(1, 2))
        anchors = Anchors.of(sizes, raw[0].device)
        # The assignment and the losses keep full precision whatever the network ran in.
        joined = torch.cat(raw, dim=1).float()
        strides = anchors.strides[:, None]
        centres = (joined[..., :2] + anchors.cells) * strides
        extents = joined[..., 2:4].exp() * strides
        boxes = torch.cat([centres, extents, joined[..., 4:]], dim=-1)
        return Outputs(boxes, joined[..., :4], anchors)


def _twice(channels: int) -> nn.Sequential:
    return nn.Sequential(BaseConv(channels, channels, 3), BaseConv(channels, channels, 3))
