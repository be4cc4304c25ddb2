"""The feature pyramid: coarse features reach the fine ones, and these the coarse ones again.

Source: Liu et al., "Path Aggregation Network" (2018), with the blocks of YOLOX.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from fovea.events.model.architecture import Architecture
from fovea.events.model.backbone import Features
from fovea.events.model.convolution import BaseConv, CspLayer


class FeaturePyramid(nn.Module):
    """From the features of stages 2, 3 and 4 to three levels of the same sizes."""

    def __init__(self, of: Architecture) -> None:
        super().__init__()
        _, fine, middle, coarse = of.dims
        count = of.bottlenecks
        self.lateral_conv0 = BaseConv(coarse, middle, 1)
        self.C3_p4 = CspLayer(2 * middle, middle, count)
        self.reduce_conv1 = BaseConv(middle, fine, 1)
        self.C3_p3 = CspLayer(2 * fine, fine, count)
        self.bu_conv2 = BaseConv(fine, fine, 3, stride=2)
        self.C3_n3 = CspLayer(2 * fine, middle, count)
        self.bu_conv1 = BaseConv(middle, middle, 3, stride=2)
        self.C3_n4 = CspLayer(2 * middle, coarse, count)

    def forward(self, features: Features) -> tuple[Tensor, Tensor, Tensor]:
        """The levels at strides 8, 16 and 32."""
        fine, middle, coarse = (features[number] for number in (2, 3, 4))
        lateral = self.lateral_conv0(coarse)
        mixed = self.C3_p4(torch.cat([_doubled(lateral), middle], dim=1))
        reduced = self.reduce_conv1(mixed)
        level3 = self.C3_p3(torch.cat([_doubled(reduced), fine], dim=1))
        level4 = self.C3_n3(torch.cat([self.bu_conv2(level3), reduced], dim=1))
        level5 = self.C3_n4(torch.cat([self.bu_conv1(level4), lateral], dim=1))
        return level3, level4, level5


def _doubled(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="nearest-exact")
