"""The second half of the network: encoder maps and base Gaussians become deltas of Gaussians."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fovea.photo.model.architecture import Architecture
from fovea.photo.model.decoder import MultiresDecoder
from fovea.photo.model.fusion import FusionBlock, NormedResidual
from fovea.photo.model.initializer import LAYERS, STRIDE

GROUPS = 8
IMAGE_CHANNELS = 5
GEOMETRY, TEXTURE = 3, 11
"""Attributes a Gaussian: its position; scale (3), quaternion (4), colour (3) and opacity (1)."""


class GaussianDecoder(nn.Module):
    """Texture and geometry features of every cell of the grid.

    `forward` runs all of it; its parts are `decoder`, `image_encoder`, `fusion` and the two heads.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        width = architecture.gaussian_width
        self.decoder = MultiresDecoder(architecture.encoder_widths, width)
        self.image_encoder = ImageSkip(width)
        self.fusion = FusionBlock(width, doubles=False)
        self.texture_head = _feature_head(width, architecture.feature_width)
        self.geometry_head = _feature_head(width, architecture.feature_width)

    def forward(
        self, maps: tuple[Tensor, ...], features: Float[Tensor, "B 5 S S"]
    ) -> tuple[Tensor, Tensor]:
        """Texture features, then geometry features, (B, F, S/2, S/2) each."""
        return self.heads(self.fuse(self.decoder(maps), features))

    def fuse(
        self, decoded: Float[Tensor, "B D h w"], features: Float[Tensor, "B 5 S S"]
    ) -> Float[Tensor, "B D h w"]:
        """The decoder's map with picture and disparities added."""
        return self.fusion(decoded, self.image_encoder(features.to(decoded.dtype)))

    def heads(self, fused: Float[Tensor, "B D h w"]) -> tuple[Tensor, Tensor]:
        """Texture features, then geometry features.

        Memory is made contiguous first: the norms' statistics over a million values lose a digit
        in PyTorch's kernel for channels-last memory.
        """
        fused = fused.contiguous()
        return self.texture_head(fused), self.geometry_head(fused)


class ImageSkip(nn.Module):
    """Picture and disparities at the grid's size."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(IMAGE_CHANNELS, width, STRIDE, stride=STRIDE)

    def forward(self, features: Float[Tensor, "B 5 S S"]) -> Float[Tensor, "B D h w"]:
        """One value a cell and channel."""
        return self.conv(features)


class PredictionHead(nn.Module):
    """Features become deltas of the base Gaussians."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.geometry_prediction_head = nn.Conv2d(features, GEOMETRY * LAYERS, 1)
        self.texture_prediction_head = nn.Conv2d(features, TEXTURE * LAYERS, 1)

    def forward(
        self, texture: Float[Tensor, "B F h w"], geometry: Float[Tensor, "B F h w"]
    ) -> Float[Tensor, "B 14 2 h w"]:
        """Position (x, y, inverse depth), scale (3), quaternion (wxyz), colour (3), opacity.

        Channels of the convolutions run over attributes first and layers second.
        """
        position = self.geometry_prediction_head(geometry).unflatten(1, (GEOMETRY, LAYERS))
        others = self.texture_prediction_head(texture).unflatten(1, (TEXTURE, LAYERS))
        return torch.cat([position, others], dim=1)


def _feature_head(width: int, features: int) -> nn.Sequential:
    return nn.Sequential(
        NormedResidual(width, width, groups=GROUPS),
        NormedResidual(width, width, groups=GROUPS),
        nn.ReLU(),
        nn.Conv2d(width, features, 1),
        nn.ReLU(),
    )
