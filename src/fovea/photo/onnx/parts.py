"""The parts that the network is exported in, as modules of torch and as names of their arrays.

A part is what can be run, and its memory given back, before the next begins. What lies between
parts has no weights and is NumPy's: crops, merging, base Gaussians, composition.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fovea.photo.model.architecture import Architecture
from fovea.photo.model.network import SharpNetwork
from fovea.photo.model.pyramid import MergedTokens, PyramidEncoder

MAPS = ("e0", "e1", "e2", "e3", "e4")


@dataclass(frozen=True)
class Part:
    """One network of the folder."""

    name: str
    """Of its file, without the suffix."""
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    module: Callable[[SharpNetwork], nn.Module]
    open_batch: bool = False
    """Whether it takes any number of crops."""


class Tokens(nn.Module):
    """The patch transformer with its tokens as three tensors."""

    def __init__(self, network: SharpNetwork) -> None:
        super().__init__()
        self.vit = network.encoder.patch_encoder

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """After the hooks and at the end."""
        tokens = self.vit(crops)
        return tokens.early, tokens.middle, tokens.final


class Whole(nn.Module):
    """The image transformer; only its last tokens are read."""

    def __init__(self, network: SharpNetwork) -> None:
        super().__init__()
        self.vit = network.encoder.image_encoder

    def forward(self, crop: Tensor) -> Tensor:
        """Of the whole picture, at its smallest."""
        return self.vit(crop).final


class Maps(nn.Module):
    """Merged tokens become the encoder's five maps."""

    def __init__(self, network: SharpNetwork) -> None:
        super().__init__()
        self.encoder: PyramidEncoder = network.encoder

    def forward(self, *merged: Tensor) -> tuple[Tensor, ...]:
        """Arguments in the order of `MergedTokens`."""
        return self.encoder.maps(MergedTokens(*merged))


class Disparity(nn.Module):
    """The maps become the disparity of two layers."""

    def __init__(self, network: SharpNetwork) -> None:
        super().__init__()
        self.decoder, self.head = network.monodepth_decoder, network.depth_head

    def forward(self, *maps: Tensor) -> Tensor:
        """At the size of the picture."""
        return self.head(self.decoder(maps))


class Deltas(nn.Module):
    """Maps and base Gaussians become what moves them."""

    def __init__(self, network: SharpNetwork) -> None:
        super().__init__()
        self.features, self.head = network.feature_model, network.prediction_head

    def forward(self, *given: Tensor) -> Tensor:
        """The five maps, then the feature picture."""
        *maps, features = given
        return self.head(*self.features(tuple(maps), features))


PARTS = (
    Part("patch_encoder", ("crops",), ("early", "middle", "final"), Tokens, open_batch=True),
    Part("image_encoder", ("crop",), ("whole_tokens",), Whole),
    Part("encoder_maps", MergedTokens._fields, MAPS, Maps),
    Part("disparity", MAPS, ("disparity",), Disparity),
    Part("deltas", (*MAPS, "features"), ("delta",), Deltas),
)
TRANSFORMERS = ("patch_encoder", "image_encoder")
"""Whose Linear layers int8 is for."""


def shapes(architecture: Architecture, *, crops: int) -> dict[str, tuple[int, ...]]:
    """The shape of every input by its name."""
    vit, size = architecture.vit, architecture.network_size
    grid, width = vit.grid, vit.width
    sides = dict(zip(MergedTokens._fields, (4, 4, 4, 2, 1, 1), strict=True))
    merged = {name: (1, width, side * grid, side * grid) for name, side in sides.items()}
    maps = {
        name: (1, wide, size >> level, size >> level)
        for level, (name, wide) in enumerate(
            zip(MAPS, architecture.encoder_widths, strict=True), start=1
        )
    }
    crop = 3, vit.image_px, vit.image_px
    return (
        {"crops": (crops, *crop), "crop": (1, *crop)}
        | merged
        | maps
        | {"features": (1, 5, size, size)}
    )


def examples(part: Part, architecture: Architecture, *, crops: int, seed: int) -> list[Tensor]:
    """Inputs of a part, drawn at random; a picture's values lie in [-1, 1], others about 0."""
    random = torch.Generator().manual_seed(seed)
    found = shapes(architecture, crops=crops)
    return [
        torch.rand(found[name], generator=random) * 2 - 1
        if name in ("crops", "crop", "features")
        else torch.randn(found[name], generator=random)
        for name in part.inputs
    ]
