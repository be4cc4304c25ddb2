"""Attention within windows, and across a grid that reaches over the whole frame.

Both blocks work on tokens already cut into groups, [groups, tokens, channels]; what differs is only
which tokens form a group. Feature maps are [B, H, W, C] here.

Source: Tu et al., "MaxViT: Multi-Axis Vision Transformer" (2022), without convolutions, position
biases and dropout, as Gehrig and Scaramuzza (2023) use it.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from fovea.events.model.architecture import Architecture

EPS = 1e-5
Size = tuple[int, int]


def to_windows(x: Float[Tensor, "B H W C"], partition: Size) -> Float[Tensor, "groups tokens C"]:
    """Cut a map into contiguous windows of `partition` tokens, row by row."""
    batch, height, width, channels = x.shape
    p, q = partition
    cut = x.reshape(batch, height // p, p, width // q, q, channels)
    return cut.transpose(2, 3).reshape(-1, p * q, channels)


def from_windows(
    groups: Float[Tensor, "groups tokens C"], partition: Size, size: Size
) -> Float[Tensor, "B H W C"]:
    """Undo `to_windows` for maps of `size`, (height, width)."""
    (p, q), (height, width) = partition, size
    cut = groups.reshape(-1, height // p, width // q, p, q, groups.shape[-1])
    return cut.transpose(2, 3).reshape(-1, height, width, groups.shape[-1])


def to_grid(x: Float[Tensor, "B H W C"], partition: Size) -> Float[Tensor, "groups tokens C"]:
    """Group tokens that lie H / partition rows and W / partition columns apart."""
    batch, height, width, channels = x.shape
    p, q = partition
    cut = x.reshape(batch, p, height // p, q, width // q, channels)
    return cut.permute(0, 2, 4, 1, 3, 5).reshape(-1, p * q, channels)


def from_grid(
    groups: Float[Tensor, "groups tokens C"], partition: Size, size: Size
) -> Float[Tensor, "B H W C"]:
    """Undo `to_grid` for maps of `size`, (height, width)."""
    (p, q), (height, width) = partition, size
    cut = groups.reshape(-1, height // p, width // q, p, q, groups.shape[-1])
    return cut.permute(0, 3, 1, 4, 2, 5).reshape(-1, height, width, groups.shape[-1])


class LayerScale(nn.Module):
    """A factor for each channel of a branch."""

    def __init__(self, channels: int, initial: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((channels,), initial))

    def after(self, linear: nn.Linear, x: Tensor) -> Tensor:
        """The scaled output of a linear map; its small weights are scaled, not its large output."""
        return functional.linear(x, self.gamma[:, None] * linear.weight, self.gamma * linear.bias)


class SelfAttention(nn.Module):
    """Every token of a group asks all of its group."""

    def __init__(self, channels: int, head_dim: int) -> None:
        super().__init__()
        self.head_dim = head_dim
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """What the heads say, before `proj` mixes them."""
        groups, tokens, channels = x.shape
        # The rows of the weight are grouped by head, and q, k, v stand within each.
        heads = self.qkv(x).view(groups, tokens, -1, 3, self.head_dim).transpose(1, 2)
        q, k, v = heads.unbind(3)
        said = functional.scaled_dot_product_attention(q, k, v)
        return said.transpose(1, 2).reshape(groups, tokens, channels)


class Mlp(nn.Module):
    """Two linear maps with GELU between, nested as the published checkpoints name them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide = nn.Sequential(nn.Linear(channels, 4 * channels), nn.GELU())
        self.net = nn.Sequential(wide, nn.Identity(), nn.Linear(4 * channels, channels))

    @property
    def last(self) -> nn.Linear:
        """The map back to the block's channels."""
        last = self.net[2]
        assert isinstance(last, nn.Linear)
        return last

    def forward(self, x: Tensor) -> Tensor:
        """The wide layer, before `last`."""
        return self.net[0](x)


class AttentionBlock(nn.Module):
    """Attention and an MLP, each added to what came in."""

    def __init__(self, channels: int, of: Architecture, *, is_normed: bool) -> None:
        super().__init__()
        self.norm1 = nn.Identity() if is_normed else nn.LayerNorm(channels, EPS)
        self.self_attn = SelfAttention(channels, of.head_dim)
        self.ls1 = LayerScale(channels, of.layer_scale)
        self.norm2 = nn.LayerNorm(channels, EPS)
        self.mlp = Mlp(channels)
        self.ls2 = LayerScale(channels, of.layer_scale)

    def forward(self, x: Float[Tensor, "groups tokens C"]) -> Float[Tensor, "groups tokens C"]:
        """The same tokens, each knowing of its group."""
        x = x + self.ls1.after(self.self_attn.proj, self.self_attn(self.norm1(x)))
        return x + self.ls2.after(self.mlp.last, self.mlp(self.norm2(x)))


class AttentionPair(nn.Module):
    """Windows first, then the grid; the map that comes in is normalised already."""

    def __init__(self, channels: int, of: Architecture) -> None:
        super().__init__()
        self.partition = of.partition
        self.att_window = AttentionBlock(channels, of, is_normed=True)
        self.att_grid = AttentionBlock(channels, of, is_normed=False)

    def forward(self, x: Float[Tensor, "B H W C"]) -> Float[Tensor, "B H W C"]:
        """The same map, each token knowing of its window and of the whole frame."""
        size = x.shape[1], x.shape[2]
        near = from_windows(self.att_window(to_windows(x, self.partition)), self.partition, size)
        return from_grid(self.att_grid(to_grid(near, self.partition)), self.partition, size)
