"""From the towers' features to tokens of the language model: patch-info mining and projection.

B images, N low-resolution patches, C their channels, M high-resolution positions behind each patch,
A their channels, D the language model's width.

Source: Li et al., "Mini-Gemini: mining the potential of multi-modality vision language models"
(2024), section 3.2. Names of modules are those of the published checkpoints.
"""

from __future__ import annotations

import re

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from fovea.errors import ConfigError


def build_projector(kind: str, channels: int, width: int) -> nn.Module:
    """`linear`, `identity`, or `mlp2x_gelu`: layers of Linear with GELU between them.

    Raises:
        ConfigError: it is none of these.
    """
    if kind == "identity":
        return nn.Identity()
    if kind == "linear":
        return nn.Linear(channels, width)
    match = re.fullmatch(r"mlp(\d+)x_gelu", kind)
    if match is None:
        raise ConfigError(
            f"a projector is linear, identity or mlp2x_gelu (any number of layers); found {kind!r}."
            " Set projector to one of them."
        )
    layers: list[nn.Module] = [nn.Linear(channels, width)]
    for _ in range(1, int(match.group(1))):
        layers += [nn.GELU(), nn.Linear(width, width)]
    return nn.Sequential(*layers)


class ImageTokens(nn.Module):
    """Features of one or two towers become the tokens of an image.

    With two towers each low-resolution patch asks the high-resolution positions behind it for what
    it could not see (`mine`); the answer is added to the patch before projection.

    Args:
        channels: C, of the low-resolution tower.
        aux_channels: A, of the high-resolution tower; 0 for none.
        width: D.
        kind: of the projector.
        grid: the picture is cut into grid x grid crops, each with its own patches.
        has_whole: whether a view of the whole picture comes before the crops.
    """

    def __init__(
        self,
        channels: int,
        aux_channels: int,
        width: int,
        *,
        kind: str = "mlp2x_gelu",
        grid: int = 1,
        has_whole: bool = False,
    ) -> None:
        super().__init__()
        self.grid = grid
        self.has_whole = has_whole
        self.mm_projector = build_projector(kind, channels, width)
        self.has_aux = aux_channels > 0
        if self.has_aux:
            self.vlm_uni_query_projector = _normed(channels, channels)
            self.vlm_uni_aux_projector = _normed(aux_channels, channels)
            self.vlm_uni_val_projector = _normed(aux_channels, channels)

    def forward(
        self, patches: Float[Tensor, "views N C"], aux: Float[Tensor, "B A height width"] | None
    ) -> Float[Tensor, "B tokens D"]:
        """The tokens of each image, crop by crop in rows, the whole picture first.

        Args:
            patches: of all crops of all images, then of all whole pictures.
            aux: high-resolution map of each image; None without a second tower.
        """
        if aux is None or not self.has_aux:
            return self._per_image(self.mm_projector(patches))
        side = int(patches.shape[1] ** 0.5)
        maps = crops(aux, self.grid)
        if self.has_whole:
            small = functional.interpolate(
                aux.float(), scale_factor=1 / self.grid, mode="bilinear", align_corners=False
            )
            maps = torch.cat([maps, small.to(aux)])
        mined = self.mine(patches, windows(maps, side))
        return self._per_image(self.mm_projector(patches + mined))

    def mine(
        self, patches: Float[Tensor, "views N C"], behind: Float[Tensor, "views N M A"]
    ) -> Float[Tensor, "views N C"]:
        """What each patch finds among the positions behind it; NaN where it cannot look is 0."""
        query = self.vlm_uni_query_projector(patches)
        key = self.vlm_uni_aux_projector(behind)
        value = self.vlm_uni_val_projector(behind)
        logits = torch.einsum("vnc,vnmc->vnm", query, key) / query.shape[-1] ** 0.5
        weight = torch.softmax(torch.nan_to_num(logits), dim=-1)
        return torch.einsum("vnm,vnmc->vnc", weight, value)

    def _per_image(self, tokens: Float[Tensor, "views N D"]) -> Float[Tensor, "B tokens D"]:
        crops = self.grid**2
        images = len(tokens) // (crops + int(self.has_whole))
        per_image = tokens[: images * crops].reshape(images, -1, tokens.shape[-1])
        if not self.has_whole:
            return per_image
        return torch.cat([tokens[images * crops :], per_image], dim=1)


def windows(
    maps: Float[Tensor, "views A height width"], side: int
) -> Float[Tensor, "views side*side M A"]:
    """A map cut into side x side windows, rows first, and each window's positions, rows first."""
    views, channels, height, width = maps.shape
    rows, columns = height // side, width // side
    cut = maps.reshape(views, channels, side, rows, side, columns)
    return cut.permute(0, 2, 4, 3, 5, 1).reshape(views, side * side, rows * columns, channels)


def crops(
    images: Float[Tensor, "B C height width"], grid: int
) -> Float[Tensor, "B*grid*grid C rows columns"]:
    """The grid x grid crops of each image or map, rows first, image after image."""
    if grid == 1:
        return images
    batch, channels, height, width = images.shape
    cut = images.reshape(batch, channels, grid, height // grid, grid, width // grid)
    return cut.permute(0, 2, 4, 1, 3, 5).reshape(-1, channels, height // grid, width // grid)


def _normed(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, width))
