"""Linear layers in int8: weights by output channel, activations by token, sums in int32.

Both are symmetric, value = scale * integer with the largest magnitude at 127. A token's scale is
found when it comes (dynamic quantisation), so nothing has to be calibrated, and one token with
large values costs no other its digits.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

LARGEST = 127.0
TINY = 1e-12
"""Keeps the scale of a token of zeros above zero."""


class Int8Linear(nn.Module):
    """Stands for a float32 `nn.Linear`; outputs are bfloat16.

    Crops are multiplied one after another: what a crop of SHARP fills then stays in the cache,
    which is worth a third of the time.
    """

    weight: Tensor
    """int8, [outputs, inputs]."""
    scale: Tensor
    bias: Tensor

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        integers, scale = quantized(linear.weight.float())
        self.register_buffer("weight", integers, persistent=False)
        self.register_buffer("scale", scale[:, 0], persistent=False)
        self.register_buffer("bias", linear.bias.float(), persistent=False)

    def forward(self, tokens: Float[Tensor, "C T D"]) -> Float[Tensor, "C T outputs"]:
        """Token by token, rounded to 8 bits on the way in."""
        return torch.stack([self._crop(crop) for crop in tokens])

    def _crop(self, tokens: Tensor) -> Tensor:
        integers, scale = quantized(tokens)
        # A product of T = 577 rows with the transposed weights; oneDNN takes any order of memory.
        sums = torch._int_mm(integers, self.weight.t())  # pyright: ignore
        return torch.addcmul(self.bias, sums * scale, self.scale).to(torch.bfloat16)


def quantized(rows: Float[Tensor, "N D"]) -> tuple[Tensor, Tensor]:
    """Integers in -127..127, and the scale of each row, [N, 1], in float32."""
    scale = rows.abs().amax(dim=1, keepdim=True).float().clamp_min_(TINY).div_(LARGEST)
    return (rows * (1 / scale)).round_().to(torch.int8), scale
