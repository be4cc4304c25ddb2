"""The encoder: one picture at three sizes, read in crops and put together as five maps.

Notation: `S` the picture's side (1536), `P` a crop's side (384), `g` tokens along a crop (24), `D`
channels of the transformers, `B` pictures. Crops are ordered by level, row and column, and within
each crop by picture: index = crop * B + picture.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from fovea.photo.model.architecture import Architecture
from fovea.photo.model.vit import VisionTransformer, VitTokens

EncoderMaps = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
"""E0..E4, finest first: (B, width, S/2, S/2) to (B, width, S/32, S/32)."""


class MergedTokens(NamedTuple):
    """What the transformers said, on maps of whole pictures."""

    latent0: Float[Tensor, "B D 4g 4g"]
    latent1: Float[Tensor, "B D 4g 4g"]
    full: Float[Tensor, "B D 4g 4g"]
    half: Float[Tensor, "B D 2g 2g"]
    quarter: Float[Tensor, "B D g g"]
    whole: Float[Tensor, "B D g g"]
    """The image transformer's view of the smallest picture."""


def picture_pyramid(image: Float[Tensor, "B 3 S S"]) -> tuple[Tensor, Tensor, Tensor]:
    """The picture at full, half and quarter size, by bilinear samples without a filter.

    A pixel of the half is the mean of 2 x 2, one of the quarter that of the central 2 x 2 of 4 x 4.
    """
    half, quarter = (
        functional.interpolate(image, scale_factor=factor, mode="bilinear", align_corners=False)
        for factor in (0.5, 0.25)
    )
    return image, half, quarter


def split_crops(
    picture: Float[Tensor, "B 3 side side"], *, crop_px: int, stride_px: int
) -> Float[Tensor, "crops*B 3 P P"]:
    """Square crops of a picture at even steps, row by row."""
    starts = range(0, picture.shape[-1] - crop_px + 1, stride_px)
    return torch.cat(
        [picture[..., y : y + crop_px, x : x + crop_px] for y in starts for x in starts]
    )


def merge_crops(
    maps: Float[Tensor, "crops*B D g g"], *, batch: int, trim: int
) -> Float[Tensor, "B D G G"]:
    """Maps of neighbouring crops, side by side.

    Each crop gives up `trim` tokens on every side that touches another crop; the picture's own
    border stays. Nothing is blended.
    """
    side = round((len(maps) // batch) ** 0.5)

    def kept(place: int) -> slice:
        last = None if place == side - 1 or not trim else -trim
        return slice(trim if place else 0, last)

    rows = [
        torch.cat(
            [
                maps[(y * side + x) * batch : (y * side + x + 1) * batch][..., kept(y), kept(x)]
                for x in range(side)
            ],
            dim=-1,
        )
        for y in range(side)
    ]
    return torch.cat(rows, dim=-2)


class PyramidEncoder(nn.Module):
    """A picture in [-1, 1] becomes five maps.

    `forward` runs all of it. An engine that counts its memory calls the pieces: `crops`, then
    `patch_encoder` on some of them at a time, `image_encoder` on the last, `merge`, and one
    `level0` .. `level4` after another.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.crop_px, self.trims = architecture.vit.image_px, architecture.trims
        self.patch_px = architecture.vit.patch_px
        width = architecture.vit.width
        e0, e1, e2, e3, e4 = architecture.encoder_widths
        self.patch_encoder = VisionTransformer(architecture.vit)
        self.image_encoder = VisionTransformer(architecture.vit)
        self.upsample_latent0 = _upsampling(width, e1, e0, e0, e0)
        self.upsample_latent1 = _upsampling(width, e1, e1, e1)
        self.upsample0 = _upsampling(width, e2, e2)
        self.upsample1 = _upsampling(width, e3, e3)
        self.upsample2 = _upsampling(width, e4, e4)
        self.upsample_lowres = nn.ConvTranspose2d(width, e4, 2, stride=2)
        self.fuse_lowres = nn.Conv2d(2 * e4, e4, 1)

    def forward(
        self, image: Float[Tensor, "B 3 S S"], *, crops_at_once: int | None = None
    ) -> EncoderMaps:
        """The five maps; `crops_at_once` crops pass the transformer together, by default all."""
        crops = self.crops(image)
        groups = [self.patch_encoder(group) for group in crops.split(crops_at_once or len(crops))]
        tokens = VitTokens(*(torch.cat(parts) for parts in zip(*groups, strict=True)))
        whole = self.image_encoder(crops[-len(image) :]).final
        return self.maps(self.merge(tokens, whole, batch=len(image)))

    def crops(self, image: Float[Tensor, "B 3 S S"]) -> Float[Tensor, "crops*B 3 P P"]:
        """All crops of the three sizes; the last B are the smallest pictures, whole."""
        strides = [self.crop_px - 2 * trim * self.patch_px for trim in (*self.trims, 0)]
        return torch.cat(
            [
                split_crops(picture, crop_px=self.crop_px, stride_px=stride)
                for picture, stride in zip(picture_pyramid(image), strides, strict=True)
            ]
        )

    def merge(
        self, tokens: VitTokens, whole: Float[Tensor, "B T D"], *, batch: int
    ) -> MergedTokens:
        """Tokens of all crops, put together by level."""
        crops = len(tokens.final) // batch
        full = _side(4 * self.crop_px, self.crop_px, 2 * self.trims[0] * self.patch_px) ** 2
        as_map, (trim0, trim1) = self.patch_encoder.as_map, self.trims
        final = as_map(tokens.final)
        return MergedTokens(
            merge_crops(as_map(tokens.early)[: full * batch], batch=batch, trim=trim0),
            merge_crops(as_map(tokens.middle)[: full * batch], batch=batch, trim=trim0),
            merge_crops(final[: full * batch], batch=batch, trim=trim0),
            merge_crops(final[full * batch : (crops - 1) * batch], batch=batch, trim=trim1),
            final[-batch:],
            self.image_encoder.as_map(whole),
        )

    def maps(self, merged: MergedTokens) -> EncoderMaps:
        """The five maps from merged tokens."""
        return (
            self.level0(merged),
            self.level1(merged),
            self.level2(merged),
            self.level3(merged),
            self.level4(merged),
        )

    def level0(self, merged: MergedTokens) -> Float[Tensor, "B e0 S/2 S/2"]:
        """E0. Each token makes its own square of the map, so a part of the tokens makes a part."""
        return self.upsample_latent0(merged.latent0)

    def level1(self, merged: MergedTokens) -> Float[Tensor, "B e1 S/4 S/4"]:
        """E1; in parts as E0."""
        return self.upsample_latent1(merged.latent1)

    def level2(self, merged: MergedTokens) -> Float[Tensor, "B e2 S/8 S/8"]:
        """E2."""
        return self.upsample0(merged.full)

    def level3(self, merged: MergedTokens) -> Float[Tensor, "B e3 S/16 S/16"]:
        """E3."""
        return self.upsample1(merged.half)

    def level4(self, merged: MergedTokens) -> Float[Tensor, "B e4 S/32 S/32"]:
        """E4, of what both transformers say about the smallest picture."""
        both = [self.upsample2(merged.quarter), self.upsample_lowres(merged.whole)]
        return self.fuse_lowres(torch.cat(both, dim=1))


def _side(picture_px: int, crop_px: int, overlap_px: int) -> int:
    return -(-(picture_px - crop_px) // (crop_px - overlap_px)) + 1


def _upsampling(*widths: int) -> nn.Sequential:
    # A 1x1 convolution, then transposed ones that double the side; no bias, nothing between them.
    first, *rest = widths[1:]
    layers: list[nn.Module] = [nn.Conv2d(widths[0], first, 1, bias=False)]
    for source, target in pairwise([first, *rest]):
        layers.append(nn.ConvTranspose2d(source, target, 2, stride=2, bias=False))
    return nn.Sequential(*layers)
