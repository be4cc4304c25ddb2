"""The vision transformer that reads crops of a picture: a ViT-L/16 with layer scale.

Notation: `C` crops, `T` tokens with the class token first, `D` channels.

Source: Dosovitskiy et al., "An Image is Worth 16x16 Words" (2021); layer scale from Touvron et al.,
"Going deeper with Image Transformers" (2021).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from fovea.photo.model.architecture import VitArchitecture

EPS = 1e-6


class VitTokens(NamedTuple):
    """What a transformer says of its crops."""

    early: Float[Tensor, "C T D"]
    """After the first hook, without the final norm."""
    middle: Float[Tensor, "C T D"]
    """After the second hook, without the final norm."""
    final: Float[Tensor, "C T D"]
    """After the last block and the final norm."""


class VisionTransformer(nn.Module):
    """Crops in [-1, 1] become tokens. The classifier of the checkpoint is not built."""

    def __init__(self, architecture: VitArchitecture) -> None:
        super().__init__()
        width, self.hooks, self.grid = architecture.width, architecture.hooks, architecture.grid
        self.cls_token = nn.Parameter(torch.empty(1, 1, width))
        self.pos_embed = nn.Parameter(torch.empty(1, self.grid**2 + 1, width))
        self.patch_embed = PatchEmbedding(architecture)
        self.blocks = nn.ModuleList(
            [Block(width, architecture.heads) for _ in range(architecture.depth)]
        )
        self.norm = nn.LayerNorm(width, eps=EPS)

    def forward(self, crops: Float[Tensor, "C 3 P P"]) -> VitTokens:
        """The tokens that the rest of the network reads."""
        tokens = self.embed(crops)
        kept: list[Tensor] = []
        for number, block in enumerate(self.blocks):
            tokens = block(tokens)
            kept += [tokens] * self.hooks.count(number)
        early, middle = kept
        return VitTokens(early, middle, self.norm(tokens))

    def embed(self, crops: Float[Tensor, "C 3 P P"]) -> Float[Tensor, "C T D"]:
        """The class token and a token a patch, with their places added."""
        patches = self.patch_embed(crops)
        first = self.cls_token.expand(patches.shape[0], -1, -1)
        return torch.cat([first, patches], dim=1) + self.pos_embed

    def as_map(self, tokens: Float[Tensor, "C T D"]) -> Float[Tensor, "C D g g"]:
        """The tokens of the patches at their places; the class token is dropped."""
        return tokens[:, 1:].transpose(1, 2).unflatten(2, (self.grid, self.grid))


class PatchEmbedding(nn.Module):
    """Each patch of 16 x 16 pixels becomes one token."""

    def __init__(self, architecture: VitArchitecture) -> None:
        super().__init__()
        side = architecture.patch_px
        self.proj = nn.Conv2d(3, architecture.width, side, stride=side)

    def forward(self, crops: Float[Tensor, "C 3 P P"]) -> Float[Tensor, "C patches D"]:
        """Row by row."""
        return self.proj(crops).flatten(2).transpose(1, 2)


class Block(nn.Module):
    """Attention and a perceptron, each normed before and scaled by channel after."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=EPS)
        self.attn = Attention(width, heads)
        self.ls1 = LayerScale(width)
        self.norm2 = nn.LayerNorm(width, eps=EPS)
        self.mlp = Perceptron(width)
        self.ls2 = LayerScale(width)

    def forward(self, tokens: Float[Tensor, "C T D"]) -> Float[Tensor, "C T D"]:
        """The residual stream, one block on."""
        tokens = tokens + self.ls1(self.attn(self.norm1(tokens)))
        return tokens + self.ls2(self.mlp(self.norm2(tokens)))


class Attention(nn.Module):
    """Softmax attention between all tokens of a crop."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Float[Tensor, "C T D"]) -> Float[Tensor, "C T D"]:
        """Rows of `qkv` are ordered query, key, value, then head, then channel."""
        split = self.qkv(tokens).unflatten(2, (3, self.heads, -1))
        query, key, value = split.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        return self.proj(mixed.transpose(1, 2).flatten(2))


class Perceptron(nn.Module):
    """Two layers with the exact GELU between them, four times as wide inside."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, tokens: Float[Tensor, "C T D"]) -> Float[Tensor, "C T D"]:
        """Token by token."""
        return self.fc2(functional.gelu(self.fc1(tokens)))


class LayerScale(nn.Module):
    """A learned factor a channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.empty(width))

    def forward(self, tokens: Float[Tensor, "C T D"]) -> Float[Tensor, "C T D"]:
        """The tokens, scaled."""
        return tokens * self.gamma
