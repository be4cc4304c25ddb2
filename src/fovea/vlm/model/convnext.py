"""ConvNeXt's stem and stages, as a tower that keeps its resolution: Mini-Gemini's second eye.

B images, C channels. Names of weights are timm's, which OpenCLIP's files use below `visual.trunk.`.

Source: Liu et al., "A ConvNet for the 2020s" (2022).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


@dataclass(frozen=True)
class ConvNextShape:
    """Widths and depths of the four stages."""

    widths: tuple[int, int, int, int] = (192, 384, 768, 1536)
    depths: tuple[int, int, int, int] = (3, 3, 27, 3)

    @classmethod
    def of(cls, state: Mapping[str, Tensor]) -> ConvNextShape:
        """The shape that weights are of."""
        blocks = [{int(k.split(".")[3]) for k in state if k.startswith(f"stages.{n}.blocks.")}
                  for n in range(4)]  # fmt: skip
        widths = [len(state[f"stages.{stage}.blocks.0.norm.weight"]) for stage in range(4)]
        first, second, third, fourth = (len(found) for found in blocks)
        return cls((widths[0], widths[1], widths[2], widths[3]), (first, second, third, fourth))


LARGE = ConvNextShape()


class ConvNext(nn.Module):
    """Maps of a picture at strides 4, 8, 16 and 32."""

    def __init__(self, shape: ConvNextShape = LARGE) -> None:
        super().__init__()
        self.shape = shape
        first = shape.widths[0]
        self.stem = nn.Sequential(nn.Conv2d(3, first, 4, stride=4), ChannelNorm(first))
        before = (first, *shape.widths[:3])
        self.stages = nn.ModuleList(
            Stage(width_in, width, depth)
            for width_in, width, depth in zip(before, shape.widths, shape.depths, strict=True)
        )

    def forward(self, image: Float[Tensor, "B 3 height width"]) -> list[Tensor]:
        """Sides are multiples of 32; CLIP's colours."""
        x = self.stem(image)
        maps: list[Tensor] = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


class Stage(nn.Module):
    """Half the resolution where the width grows, then blocks."""

    def __init__(self, width_in: int, width: int, depth: int) -> None:
        super().__init__()
        self.downsample = (
            nn.Identity()
            if width_in == width
            else nn.Sequential(ChannelNorm(width_in), nn.Conv2d(width_in, width, 2, stride=2))
        )
        self.blocks = nn.Sequential(*(Block(width) for _ in range(depth)))

    def forward(self, x: Float[Tensor, "B C height width"]) -> Tensor:
        """The stage's map."""
        return self.blocks(self.downsample(x))


class Block(nn.Module):
    """A 7x7 filter a channel, then a small network a position, scaled and added."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv_dw = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.ModuleDict(
            {"fc1": nn.Linear(width, 4 * width), "fc2": nn.Linear(4 * width, width)}
        )
        self.gamma = nn.Parameter(self.norm.weight.new_full((width,), 1e-6))

    def forward(self, x: Float[Tensor, "B C height width"]) -> Tensor:
        """X and what the block adds."""
        y = self.norm(self.conv_dw(x).permute(0, 2, 3, 1))
        y = self.mlp["fc2"](F.gelu(self.mlp["fc1"](y)))
        return x + (self.gamma * y).permute(0, 3, 1, 2)


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of a map."""

    def __init__(self, width: int) -> None:
        super().__init__(width, eps=1e-6)

    def forward(self, input: Float[Tensor, "B C height width"]) -> Tensor:
        """A map of the same shape."""
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
