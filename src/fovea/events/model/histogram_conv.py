# pyright: reportIncompatibleMethodOverride=false
# torch leaves too many of its own types unknown for strict.
"""The first convolution on a CPU: counts as they come, most of them zeros, are never made floats.

The same sums as `conv2d` over the padded histograms, in another order. At the share of counts above
zero that recordings have, 1 to 10%, it takes a tenth to a third of the time, both ways.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from fovea.scene.raster.compiled import kernels
from fovea.scene.raster.workers import share

WORD = 8
"""Counts that are looked at together."""
STRIDE, KERNEL = 4, 7
PARTS = 8
"""Of the images, in the sums of gradients; fixed, so that these are the same for any threads."""


def can_take(histograms: Tensor) -> bool:
    """Whether these histograms may come as they are: counts on a CPU, and nobody is exporting."""
    is_watched = torch.compiler.is_compiling()
    return histograms.dtype == torch.uint8 and not histograms.is_cuda and not is_watched


def histogram_conv(
    histograms: UInt8[Tensor, "N bins h w"],
    weight: Float[Tensor, "C bins 7 7"],
    size: tuple[int, int],
) -> Float[Tensor, "N H W C"]:
    """The convolution of 7x7 at stride 4, channels last.

    Args:
        histograms: unpadded.
        weight: of the convolution.
        size: (height, width) of the padded histograms.
    """
    missing = -histograms.shape[-1] % WORD
    whole = functional.pad(histograms, (0, missing)) if missing else histograms
    return _HistogramConv.apply(whole.contiguous(), weight, size)


def _taps(weight: Tensor) -> Tensor:
    """The weights in the order of the kernels."""
    padded = functional.pad(weight.permute(1, 2, 3, 0), (0, 0, 1, 0))
    return torch.stack([padded[:, :, STRIDE:], padded[:, :, :STRIDE]], dim=3).contiguous()


def _untapped(taps: Float[Tensor, "bins 7 4 2 C"]) -> Float[Tensor, "C bins 7 7"]:
    """The order of the weights again; the tap outside of the kernel goes."""
    return torch.cat([taps[:, :, 1:, 1], taps[:, :, :, 0]], dim=2).permute(3, 0, 1, 2)


class _HistogramConv(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, histograms: Tensor, weight: Tensor, size: tuple[int, int]) -> Tensor:
        words = histograms.numpy().view(np.uint64)
        height, width = size[0] // STRIDE, size[1] // STRIDE
        outputs = torch.empty(len(histograms), height, width, len(weight))
        taps = _taps(weight.detach()).view(-1)
        kernel = kernels("histogram_conv", package="fovea.events").forward
        share(kernel, words, taps.numpy(), outputs.numpy())
        ctx.save_for_backward(histograms, weight)
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        histograms, weight = ctx.saved_tensors
        words = histograms.numpy().view(np.uint64)
        parts = min(PARTS, max(len(histograms), 1))
        channels, bins = weight.shape[:2]
        sums = torch.zeros(parts, bins * KERNEL * STRIDE * 2 * channels)
        gradients = grad_outputs[0].contiguous().numpy()
        kernel = kernels("histogram_conv", package="fovea.events").backward
        share(kernel, words, gradients, sums.numpy(), parts=parts)
        return None, _untapped(sums.sum(dim=0).view(bins, KERNEL, STRIDE, 2, channels)), None
