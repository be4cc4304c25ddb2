"""A block of the vision transformer in reduced numbers, made of the network's own float32 one.

The residual stream and the norms stay in float32, so that errors of one block do not add up in the
next; what is multiplied is bfloat16 or int8.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from fovea.photo.model.vit import Block
from fovea.photo.precision.int8 import Int8Linear
from fovea.photo.precision.numbers import Precision


class ReducedBlock:
    """The block with copies of its weights in few bits; the float32 ones are not kept."""

    def __init__(self, block: Block, precision: Precision) -> None:
        self._norms = block.norm1, block.norm2
        self._factors = block.ls1.gamma, block.ls2.gamma
        self._heads = block.attn.heads
        self._qkv, self._proj, self._fc1, self._fc2 = (
            reduced_linear(layer, precision)
            for layer in (block.attn.qkv, block.attn.proj, block.mlp.fc1, block.mlp.fc2)
        )

    def __call__(self, tokens: Float[Tensor, "C T D"]) -> Float[Tensor, "C T D"]:
        """The residual stream, one block on; changes `tokens`."""
        norms = (norm(tokens).bfloat16() for norm in self._norms)
        tokens.addcmul_(self._attend(next(norms)), self._factors[0])
        return tokens.addcmul_(self._perceive(next(norms)), self._factors[1])

    def _attend(self, tokens: Tensor) -> Tensor:
        split = self._qkv(tokens).unflatten(2, (3, self._heads, -1))
        query, key, value = split.permute(2, 0, 3, 1, 4)
        # Written out: with bfloat16 and 577 tokens, two products and a softmax take two thirds of
        # the time of PyTorch's fused attention on a CPU.
        scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
        mixed = scores.softmax(-1) @ value
        return self._proj(mixed.transpose(1, 2).flatten(2))

    def _perceive(self, tokens: Tensor) -> Tensor:
        return self._fc2(functional.gelu(self._fc1(tokens)))


def reduced_linear(layer: nn.Linear, precision: Precision) -> nn.Module:
    """A copy of a Linear layer in that precision."""
    if precision == "int8":
        return Int8Linear(layer)
    copy = nn.Linear(layer.in_features, layer.out_features, device="meta", dtype=torch.bfloat16)
    values = {name: value.bfloat16() for name, value in layer.state_dict().items()}
    copy.load_state_dict(values, assign=True)
    return copy
