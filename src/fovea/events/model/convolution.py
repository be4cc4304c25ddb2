"""Convolutions as YOLOX has them: without bias, then BatchNorm, then SiLU."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class BaseConv(nn.Module):
    """A convolution, BatchNorm and SiLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B c h w"]:
        """As its name says."""
        return functional.silu(self.bn(self.conv(x)))


class Bottleneck(nn.Module):
    """1x1, then 3x3, as wide inside as outside."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = BaseConv(channels, channels, 1)
        self.conv2 = BaseConv(channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        """One after the other."""
        return self.conv2(self.conv1(x))


class CspLayer(nn.Module):
    """Two branches of half the channels, one with bottlenecks, joined again.

    Source: Wang et al., "CSPNet" (2019), as in YOLOX.
    """

    def __init__(self, inputs: int, outputs: int, bottlenecks: int) -> None:
        super().__init__()
        half = outputs // 2
        self.conv1 = BaseConv(inputs, half, 1)
        self.conv2 = BaseConv(inputs, half, 1)
        self.conv3 = BaseConv(2 * half, outputs, 1)
        self.m = nn.Sequential(*(Bottleneck(half) for _ in range(bottlenecks)))

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B c H W"]:
        """Both branches, joined."""
        return self.conv3(torch.cat([self.m(self.conv1(x)), self.conv2(x)], dim=1))
