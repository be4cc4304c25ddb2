"""The learned alignment: a small U-Net that draws predicted depth towards a given depth map.

It sees the two inverse depths and gives a factor for each pixel, by which both layers are
multiplied. As published it has learned weights; with zero ones the factor is 1.

Source: Ronneberger et al., "U-Net" (2015), for the form.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fovea.errors import DataError
from fovea.photo.model.fusion import NormedResidual

WIDTHS = (16, 32, 64, 128, 256)
GROUPS = 4
MULTIPLE_PX = 16
LEAST_DEPTH_M = 1e-4


class DepthAlignment(nn.Module):
    """The state dict's `depth_alignment`: a holder of the one network inside it."""

    def __init__(self) -> None:
        super().__init__()
        self.scale_map_estimator = ScaleMapEstimator()

    def forward(
        self, depth_m: Float[Tensor, "B 2 S S"], given_m: Float[Tensor, "B 1 S S"]
    ) -> Float[Tensor, "B 2 S S"]:
        """Predicted depth, drawn towards the given one."""
        return depth_m * self.scale_map_estimator(depth_m[:, :1], given_m)


class ScaleMapEstimator(nn.Module):
    """Two depth maps become a positive factor a pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Contracting()
        self.decoder = Expanding()
        self.conv_out = nn.Conv2d(WIDTHS[0], 1, 1)

    def forward(
        self, depth_m: Float[Tensor, "B 1 h w"], given_m: Float[Tensor, "B 1 h w"]
    ) -> Float[Tensor, "B 1 h w"]:
        """What `depth_m` is to be multiplied by.

        Raises:
            DataError: the sides are no multiples of 16 px, or differ.
        """
        _check(depth_m, given_m)
        dtype = self.conv_out.weight.dtype
        inverse = [1 / depth.clamp_min(LEAST_DEPTH_M) for depth in (depth_m, given_m)]
        decoded = self.decoder(self.encoder(torch.cat(inverse, dim=1).to(dtype)))
        return self.conv_out(decoded).to(depth_m.dtype).exp()


class Contracting(nn.Module):
    """The way down: five maps, each of half the side of the one before."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_in = nn.Sequential(
            nn.Conv2d(2, WIDTHS[0], 3, padding=1), nn.GroupNorm(GROUPS, WIDTHS[0]), nn.ReLU()
        )
        self.convs_down = nn.ModuleList(
            [
                nn.Sequential(nn.AvgPool2d(2), *_two_blocks(wide, wider))
                for wide, wider in pairwise(WIDTHS)
            ]
        )

    def forward(self, inverse: Float[Tensor, "B 2 h w"]) -> list[Tensor]:
        """Finest first."""
        maps = [self.conv_in(inverse)]
        for down in self.convs_down:
            maps.append(down(maps[-1]))
        return maps


class Expanding(nn.Module):
    """The way up: at each size the encoder's map is laid beside."""

    def __init__(self) -> None:
        super().__init__()
        targets = WIDTHS[-2::-1]
        sources = (WIDTHS[-1], *(2 * width for width in targets[:-1]))
        self.convs_up = nn.ModuleList(
            [
                nn.Sequential(nn.Upsample(scale_factor=2), *_two_blocks(source, target))
                for source, target in zip(sources, targets, strict=True)
            ]
        )
        self.conv_out = nn.Sequential(
            nn.GroupNorm(GROUPS, 2 * WIDTHS[0]),
            nn.ReLU(),
            nn.Conv2d(2 * WIDTHS[0], WIDTHS[0], 1),
            nn.GroupNorm(GROUPS, WIDTHS[0]),
            nn.ReLU(),
        )

    def forward(self, maps: list[Tensor]) -> Float[Tensor, "B 16 h w"]:
        """At the size of the finest map."""
        *finer, x = maps
        for up, beside in zip(self.convs_up, reversed(finer), strict=True):
            x = torch.cat([up(x), beside], dim=1)
        return self.conv_out(x)


def _two_blocks(width: int, width_out: int) -> tuple[NormedResidual, NormedResidual]:
    return (
        NormedResidual(width, width_out, groups=GROUPS),
        NormedResidual(width_out, width_out, groups=GROUPS),
    )


def _check(depth_m: Tensor, given_m: Tensor) -> None:
    if depth_m.shape != given_m.shape or any(s % MULTIPLE_PX for s in depth_m.shape[-2:]):
        raise DataError(
            f"a given depth map has the size of the network's picture, both sides multiples of"
            f" {MULTIPLE_PX} px: the picture has {list(depth_m.shape[-2:])}, the map"
            f" {list(given_m.shape[-2:])}. Resize it with `depth_to_network`."
        )
